import { Button, closeIcon } from '@jupyterlab/ui-components';
import { lazy, Suspense, useEffect, useState } from 'react';

import type { OutputFile } from '../api/models';
import { bytesText } from '../components/bytes';
import { baseName, kindOf } from '../components/output_files';
import { localTime } from '../components/times';
import { usePanel } from '../panel';
import { FileActions } from './actions';
import { ArchivedFile } from './archived';
import { StateMark } from './marks';
import { NoPreview } from './previews/none';

const TextPreview = lazy(() => import('./previews/text'));
const TablePreview = lazy(() => import('./previews/table'));
const JsonPreview = lazy(() => import('./previews/json'));
const VtkPreview = lazy(() => import('./previews/vtk'));
const ImagePreview = lazy(() => import('./previews/image'));
const Images = lazy(async () => ({ default: (await import('./previews/image')).ImagesSideBySide }));

/** Moving over files with an arrow key opens none of them on the way. */
const REST = 150;

/** The files as soon as the person stays with them. */
function useRested(files: readonly OutputFile[]): readonly OutputFile[] {
  const key = files.map(file => file.path).join('\n');
  const [rested, setRested] = useState(key);
  useEffect(() => {
    const timer = setTimeout(() => setRested(key), REST);
    return () => clearTimeout(timer);
  }, [key]);
  return rested === key ? files : [];
}

interface Props {
  files: readonly OutputFile[];
  onClose: () => void;
}

/** What is chosen in the tree: a file with its preview, or images side by side. */
export function Preview({ files, onClose }: Props): React.JSX.Element | null {
  const { trans } = usePanel();
  const rested = useRested(files);
  const only = files.length === 1 ? files[0] : undefined;
  const images = rested.filter(
    file => kindOf(file.path, file.content_type) === 'image' && !file.archived,
  );
  return (
    <section className="sg-look" aria-label={trans.__('Preview')}>
      <header className="sg-look-head">
        <div className="sg-look-title">
          <h3>{only ? baseName(only.path) : trans._n('%1 file', '%1 files', files.length)}</h3>
          {only && <Facts file={only} />}
        </div>
        {only && !only.archived && <FileActions file={only} />}
        <Button small minimal aria-label={trans.__('Close the preview')} onClick={onClose}>
          <closeIcon.react tag="span" className="sg-tree-icon" />
        </Button>
      </header>
      <Suspense fallback={<p className="sg-look-empty">{trans.__('Loading…')}</p>}>
        {only && rested[0] && <OnePreview key={`${only.store} ${only.path}`} file={only} />}
        {!only && images.length > 0 && <Images files={images} />}
        {!only && rested.length > 0 && images.length === 0 && (
          <p className="sg-look-empty">
            {trans.__('Several files are shown together only if they are images.')}
          </p>
        )}
      </Suspense>
    </section>
  );
}

function Facts({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <div className="sg-look-facts">
      <StateMark file={file} />
      <span>{bytesText(file.size)}</span>
      {file.modified_at && <span>{trans.__('changed %1', localTime(file.modified_at))}</span>}
      {file.digest && (
        <span title={file.digest} className="sg-look-digest">
          {file.digest.slice(0, 19)}…
        </span>
      )}
    </div>
  );
}

function OnePreview({ file }: { file: OutputFile }): React.JSX.Element {
  if (file.archived) {
    return <ArchivedFile file={file} />;
  }
  switch (kindOf(file.path, file.content_type)) {
    case 'text':
      return <TextPreview file={file} />;
    case 'perhaps text':
      return <TextPreview file={file} unsure />;
    case 'table':
      return <TablePreview file={file} />;
    case 'json':
      return <JsonPreview file={file} />;
    case 'image':
      return <ImagePreview file={file} />;
    case 'vtk':
      return <VtkPreview file={file} />;
    case 'page':
    case 'other':
      return <NoPreview file={file} />;
  }
}
