import { Clipboard, Notification } from '@jupyterlab/apputils';
import { Button, downloadIcon, linkIcon, notebookIcon } from '@jupyterlab/ui-components';

import type { OutputFile } from '../api/models';
import { run } from '../commands';
import { archiveUrl, baseName, outputUrl } from '../components/output_files';
import { usePanel, type Panel } from '../panel';

/** Save what is at an address of this server. */
export function download(address: string, name: string): void {
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

/** Save files and folders: a file as it is, a folder as an archive, one after the other. */
export function downloadAll(
  panel: Panel,
  job: string,
  names: Iterable<string>,
  store: string,
): void {
  const folders = [...names].filter(name => name.endsWith('/'));
  // What is in a folder that is saved anyway is not saved twice.
  const wanted = [...names].filter(
    name => !folders.some(folder => name !== folder && name.startsWith(folder)),
  );
  for (const [number, name] of wanted.entries()) {
    const address = name.endsWith('/')
      ? archiveUrl(panel.requests, job, name, store)
      : outputUrl(panel.requests, job, name, store);
    // Browsers drop downloads that begin at the same moment.
    setTimeout(() => download(address, name.endsWith('/') ? '' : baseName(name)), 300 * number);
  }
}

/** What one can do with one file. */
export function FileActions({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans, requests, commands } = usePanel();
  const address = outputUrl(requests, file.job_id, file.path, file.store);
  return (
    <div className="sg-file-actions" role="toolbar" aria-label={trans.__('File')}>
      <Button
        small
        minimal
        title={trans.__('Download')}
        aria-label={trans.__('Download %1', baseName(file.path))}
        onClick={() => download(address, baseName(file.path))}
      >
        <downloadIcon.react tag="span" className="sg-tree-icon" />
      </Button>
      <Button
        small
        minimal
        title={trans.__('Copy link')}
        aria-label={trans.__('Copy the link to %1', baseName(file.path))}
        onClick={() => {
          Clipboard.copyToSystem(new URL(address, window.location.href).href);
          Notification.success(
            trans.__('The link is copied. It opens for those who are logged in here.'),
            {
              autoClose: 3000,
            },
          );
        }}
      >
        <linkIcon.react tag="span" className="sg-tree-icon" />
      </Button>
      <Button
        small
        minimal
        title={trans.__('Open in a notebook')}
        aria-label={trans.__('Open %1 in a notebook', baseName(file.path))}
        onClick={() =>
          run(commands, 'openInNotebook', { job: file.job_id, path: file.path, store: file.store })
        }
      >
        <notebookIcon.react tag="span" className="sg-tree-icon" />
      </Button>
    </div>
  );
}
