import { Button } from '@jupyterlab/ui-components';
import { lazy, Suspense, useState } from 'react';

import type { OutputFile } from '../../api/models';
import { bytesText } from '../../components/bytes';
import { kindOf, outputUrl } from '../../components/output_files';
import { usePanel } from '../../panel';

const TextPreview = lazy(() => import('./text'));

/** A file that is not shown: what it is, and the ways to it. */
export function NoPreview({ file, why }: { file: OutputFile; why?: string }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const [asText, setAsText] = useState(false);
  if (asText) {
    return (
      <Suspense fallback={<p>{trans.__('Loading…')}</p>}>
        <TextPreview file={file} />
      </Suspense>
    );
  }
  const page = kindOf(file.path, file.content_type) === 'page';
  return (
    <div className="sg-look-none">
      <p>
        {why ??
          (page
            ? trans.__('Pages of a job are not shown: they could run programs in your name.')
            : trans.__('There is no preview for this kind of file.'))}
      </p>
      <dl>
        <dt>{trans.__('Type')}</dt>
        <dd>{file.content_type ?? trans.__('unknown')}</dd>
        <dt>{trans.__('Size')}</dt>
        <dd>{bytesText(file.size)}</dd>
      </dl>
      <p className="sg-look-ways">
        <a href={outputUrl(requests, file.job_id, file.path, file.store)} download>
          {trans.__('Download')}
        </a>
        <Button small minimal onClick={() => setAsText(true)}>
          {trans.__('Show as text')}
        </Button>
      </p>
    </div>
  );
}
