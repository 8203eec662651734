import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { Job, JobRetention } from '../api/models';
import { address } from '../api/requests';
import { useMayWrite } from '../components/may_write';
import { ErrorNotice } from '../components/notice';
import { localTime } from '../components/times';
import { usePanel } from '../panel';
import { ArchivedOutputs } from './archived';
import { OwnRule } from './own_rule';
import { comingText, folderText, workText } from './retention_words';
import { useAnswer } from './use_answer';

/** How long a job's outputs are kept: what the rules will do and when, what was done, and who holds them. */
export function Keeping({ job, store }: { job: Job; store: string }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const mayWrite = useMayWrite();
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const path = address('jobs', job.id, 'retention');
  const found = useAnswer<JobRetention>(
    `${job.id} ${job.version}`,
    signal => requests.get<JobRetention>(path, {}, signal),
    value => value.going > 0 || value.works.some(work => work.done_at === null),
  );
  const carryOut = async (work: () => Promise<JobRetention | null>): Promise<void> => {
    setError(null);
    setBusy(true);
    try {
      found.learn((await work()) ?? (await requests.get<JobRetention>(path)));
    } catch (thrown) {
      setError(thrown as Error);
    }
    setBusy(false);
  };
  const shown = found.value;
  const problem = error ?? found.error;
  return (
    <section className="sg-care" aria-label={trans.__('Keeping')}>
      {problem && <ErrorNotice error={problem} />}
      {!found.settled && <p role="status">{trans.__('Loading…')}</p>}
      {shown && (
        <>
          <Holds
            shown={shown}
            mayWrite={mayWrite}
            busy={busy}
            onHold={why =>
              void carryOut(() =>
                requests.post<JobRetention>(`${path}/hold`, why === '' ? {} : { why }),
              )
            }
            onRelease={() => void carryOut(() => requests.post<JobRetention>(`${path}/release`))}
          />
          <ArchivedOutputs
            shown={shown}
            mayWrite={mayWrite}
            busy={busy}
            onRestore={urgent =>
              void carryOut(() => requests.post<JobRetention>(`${path}/restore`, { store, urgent }))
            }
          />
          <Rules shown={shown} />
          {mayWrite && shown.owners && (
            <OwnRule
              key={JSON.stringify(shown.own)}
              own={shown.own}
              busy={busy}
              onSet={rule => void carryOut(() => requests.put<JobRetention>(path, rule))}
              onRemove={() =>
                void carryOut(async () => {
                  await requests.delete(path);
                  return null;
                })
              }
            />
          )}
          <p className="sg-care-quiet">{folderText(shown.folder, trans)}</p>
        </>
      )}
    </section>
  );
}

interface HoldsProps {
  shown: JobRetention;
  mayWrite: boolean;
  busy: boolean;
  onHold: (why: string) => void;
  onRelease: () => void;
}

function Holds({ shown, mayWrite, busy, onHold, onRelease }: HoldsProps): React.JSX.Element {
  const { trans } = usePanel();
  const [why, setWhy] = useState('');
  return (
    <>
      {shown.holds.map(hold => (
        <p key={hold.kind}>
          <strong>{trans.__('Held by %1 since %2', hold.by, localTime(hold.at))}</strong>
          {hold.why && `: ${hold.why}`}{' '}
          {hold.kind === 'admin' && trans.__('Only an administrator takes this hold away.')}
        </p>
      ))}
      {shown.going > 0 && (
        <p role="status">
          {trans._n('%1 output goes at this moment.', '%1 outputs go at this moment.', shown.going)}
        </p>
      )}
      {mayWrite && (
        <div className="sg-care-tools">
          {shown.holds.length === 0 ? (
            <>
              <input
                className="jp-mod-styled"
                value={why}
                maxLength={500}
                aria-label={trans.__('What the outputs are held for')}
                placeholder={trans.__('What for: a paper, a review…')}
                onChange={event => setWhy(event.target.value)}
              />
              <Button small disabled={busy} onClick={() => onHold(why.trim())}>
                {trans.__('Hold the outputs')}
              </Button>
            </>
          ) : (
            <Button small disabled={busy} onClick={onRelease}>
              {trans.__('Release')}
            </Button>
          )}
          <span className="sg-care-quiet">
            {trans.__('While a hold stands, no output is removed or archived.')}
          </span>
        </div>
      )}
    </>
  );
}

/** What the rules will do, and what was done. */
function Rules({ shown }: { shown: JobRetention }): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <>
      {shown.coming.length === 0 && shown.works.length === 0 && (
        <p>{trans.__('No rule removes or archives these outputs.')}</p>
      )}
      {shown.coming.length > 0 && (
        <ul aria-label={trans.__('What the rules will do')}>
          {shown.coming.map(item => (
            <li key={`${item.rule} ${item.store}`}>{comingText(item, shown.automatic, trans)}</li>
          ))}
        </ul>
      )}
      {shown.works.length > 0 && (
        <ul aria-label={trans.__('What was done')}>
          {shown.works.map(work => (
            <li key={work.id}>{workText(work, trans)}</li>
          ))}
        </ul>
      )}
    </>
  );
}
