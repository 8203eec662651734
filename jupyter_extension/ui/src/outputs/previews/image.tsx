import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { OutputFile } from '../../api/models';
import { bytesText } from '../../components/bytes';
import { baseName, imageUrl } from '../../components/output_files';
import { usePanel } from '../../panel';
import { NoPreview } from './none';

/** Larger ones are shown when asked for. */
const LARGE = 30_000_000;

/** An image, only ever through <img>: what an SVG file contains besides drawing does not run there. */
export default function ImagePreview({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const [broken, setBroken] = useState<string | null>(null);
  const [anyway, setAnyway] = useState(false);
  const [actual, setActual] = useState(false);
  const [pixels, setPixels] = useState('');
  const address = imageUrl(requests, file);
  if (broken === address) {
    return <NoPreview file={file} why={trans.__('The browser cannot show this image.')} />;
  }
  if (file.size > LARGE && !anyway) {
    return (
      <div className="sg-look-none">
        <p>{trans.__('The image has %1.', bytesText(file.size))}</p>
        <Button onClick={() => setAnyway(true)}>{trans.__('Show it')}</Button>
      </div>
    );
  }
  return (
    <figure className={`sg-look-image${actual ? ' sg-mod-actual' : ''}`}>
      <div className="sg-look-canvas" tabIndex={actual ? 0 : undefined}>
        <img
          src={address}
          alt={file.path}
          onError={() => setBroken(address)}
          onLoad={event => {
            const { naturalWidth, naturalHeight } = event.currentTarget;
            setPixels(`${naturalWidth} × ${naturalHeight}`);
          }}
        />
      </div>
      <figcaption>
        <span>{baseName(file.path)}</span>
        <span>{pixels}</span>
        <Button small minimal aria-pressed={actual} onClick={() => setActual(!actual)}>
          {trans.__('Actual size')}
        </Button>
      </figcaption>
    </figure>
  );
}

/** Several images, next to each other. */
export function ImagesSideBySide({ files }: { files: OutputFile[] }): React.JSX.Element {
  return (
    <div className="sg-look-images">
      {files.map(file => (
        <ImagePreview key={file.path} file={file} />
      ))}
    </div>
  );
}
