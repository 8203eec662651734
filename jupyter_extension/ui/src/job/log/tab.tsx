import { useEffect, useMemo, useState } from 'react';

import { ENDED, type Job } from '../../api/models';
import { useShown } from '../../components/shown';
import { usePanel } from '../../panel';
import { LogReader, type LogStream } from './reader';
import { LogView } from './view';

/** The logs of the job's current attempt, one at a time. */
export function LogTab({ job }: { job: Job }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const shown = useShown();
  const [stream, setStream] = useState<LogStream>(() =>
    job.reason === 'image_pull_failed' ? 'pull' : 'stdout',
  );
  const ended = ENDED.has(job.state);
  const reader = useMemo(
    () => new LogReader(panel, job.id, stream),
    // Each attempt has logs of its own.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [panel, job.id, stream, job.attempt],
  );
  useEffect(() => {
    if (shown) {
      reader.start(ended);
    }
    return () => reader.pause();
    // That the job has ended is told by the stream, after its last line.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [reader, shown]);
  const names: [LogStream, string][] = [
    ['stdout', trans.__('Output')],
    ['stderr', trans.__('Errors')],
    ['pull', trans.__('Image')],
    ['sync', trans.__('Sync')],
  ];
  return (
    <LogView
      key={stream}
      job={job}
      stream={stream}
      reader={reader}
      choice={
        <fieldset className="sg-log-streams">
          <legend>{trans.__('Log')}</legend>
          {names.map(([name, label]) => (
            <label key={name} className={stream === name ? 'sg-chosen' : ''}>
              <input
                type="radio"
                name={`sg-log-${job.id}`}
                checked={stream === name}
                onChange={() => setStream(name)}
              />
              {label}
            </label>
          ))}
        </fieldset>
      }
    />
  );
}
