import { useState } from 'react';

import { ENDED, type Job } from '../../api/models';
import { textOf } from '../../api/problems';
import { address } from '../../api/requests';
import { usePanel, type Panel } from '../../panel';
import type { LogStream } from './reader';

/** Bytes of one answer, and answers that are put together at most. */
const PIECE = 8 * 1024 * 1024;
const PIECES = 32;

/** The whole log as a file: a stream of the gateway's once the job has ended, until then what is there now. */
export function DownloadLog({ job, stream }: { job: Job; stream: LogStream }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const [state, setState] = useState<string | null>(null);
  const path = address('jobs', job.id, 'logs', stream);
  const name = `${job.id}-${stream}.log`;
  if (ENDED.has(job.state)) {
    return (
      <a
        className="sg-log-download"
        href={panel.requests.url(path, { follow: true })}
        download={name}
      >
        {trans.__('Download')}
      </a>
    );
  }
  const save = async (): Promise<void> => {
    setState(trans.__('Reading…'));
    try {
      saveAs(name, await soFar(panel, path));
      setState(null);
    } catch (error) {
      setState(textOf(error));
    }
  };
  return (
    <span className="sg-log-download">
      <button type="button" className="sg-job-link" onClick={() => void save()}>
        {trans.__('Download what is there')}
      </button>
      <span role="status">{state}</span>
    </span>
  );
}

async function soFar(panel: Panel, path: string): Promise<Blob> {
  const parts: ArrayBuffer[] = [];
  let offset = 0;
  while (parts.length < PIECES) {
    const part = await panel.requests.bytes(path, { offset, limit: PIECE });
    parts.push(part);
    offset += part.byteLength;
    if (part.byteLength < PIECE) {
      break;
    }
  }
  return new Blob(parts, { type: 'text/plain' });
}

function saveAs(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}
