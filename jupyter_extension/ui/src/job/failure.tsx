import { useEffect, useState } from 'react';

import { ENDED, type Job } from '../api/models';
import { address } from '../api/requests';
import { Notice } from '../components/notice';
import { usePanel } from '../panel';
import { overwritten, plainText } from './log/ansi';
import { logOf, reasonText } from './reasons';

/** Bytes of the end of a log, and lines of that, which are shown with a failure. */
const TAIL = 8192;
const LINES = 12;

/** Why a job ended as it did, with the last lines of the log that says most about it. */
export function Failure({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  const bad = job.state === 'failed' || job.state === 'lost';
  const tail = useTail(job, bad ? logOf(job.reason) : null);
  return (
    <Notice kind={bad ? 'error' : 'info'}>
      <div className="sg-job-reason">
        {job.reason ? reasonText(job.reason, trans) : trans.__('What was said at its end')}
        {job.exit_code ? ` (${trans.__('exit code %1', job.exit_code)})` : ''}
      </div>
      {job.message && <div className="sg-job-said">{job.message}</div>}
      {tail && (
        <>
          <div className="sg-job-quiet">{trans.__('The last lines of %1:', tail.name)}</div>
          <pre
            className="sg-job-lines"
            tabIndex={0}
            aria-label={trans.__('The last lines of %1', tail.name)}
          >
            {tail.text}
          </pre>
        </>
      )}
    </Notice>
  );
}

interface Tail {
  name: string;
  text: string;
}

/** The end of a log of a job that has ended; of standard output where standard error is empty. */
function useTail(job: Job, stream: 'stderr' | 'pull' | null): Tail | null {
  const { requests } = usePanel();
  const [tail, setTail] = useState<Tail | null>(null);
  const ended = ENDED.has(job.state);
  useEffect(() => {
    if (!stream || !ended) {
      setTail(null);
      return;
    }
    let gone = false;
    const read = async (): Promise<void> => {
      for (const name of stream === 'stderr' ? ['stderr', 'stdout'] : [stream]) {
        const path = address('jobs', job.id, 'logs', name);
        const text = lastLines(await requests.text(path, { offset: -TAIL, limit: TAIL }));
        if (text !== '') {
          if (!gone) {
            setTail({ name, text });
          }
          return;
        }
      }
    };
    // The reason stands there already: a log that cannot be read takes nothing away.
    read().catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [requests, job.id, job.attempt, stream, ended]);
  return tail;
}

function lastLines(text: string): string {
  const lines = text.trimEnd().split('\n').slice(-LINES);
  return lines.map(line => plainText(overwritten(line))).join('\n');
}
