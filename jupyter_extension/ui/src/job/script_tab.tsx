import { Clipboard } from '@jupyterlab/apputils';
import { useEffect, useState } from 'react';

import type { Job } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';

/** The batch script of the current attempt. */
export function ScriptTab({ job }: { job: Job }): React.JSX.Element {
  const { requests, trans } = usePanel();
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    requests
      .text(address('jobs', job.id, 'script'))
      .then(found => {
        if (!gone) {
          setText(found);
          setError(null);
        }
      })
      .catch((found: unknown) => {
        if (!gone) {
          setError(found instanceof Error ? found : new Error(String(found)));
        }
      });
    return () => {
      gone = true;
    };
    // Each attempt has a script of its own, which is there once it was staged.
  }, [requests, job.id, job.attempt, job.state]);
  if (error) {
    return <ErrorNotice error={error} />;
  }
  if (text === null) {
    return <p className="sg-job-quiet">{trans.__('Reading…')}</p>;
  }
  const copy = (): void => {
    Clipboard.copyToSystem(text);
    setSaid(trans.__('Copied'));
  };
  return (
    <div className="sg-job-script">
      <div className="sg-job-bar">
        <button type="button" className="jp-mod-styled" onClick={copy}>
          {trans.__('Copy')}
        </button>
        <span role="status">{said}</span>
      </div>
      <pre tabIndex={0} aria-label={trans.__('Script of %1', job.name)}>
        {text}
      </pre>
    </div>
  );
}
