import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { Finding, Job, Verification } from '../api/models';
import { Problem } from '../api/problems';
import { address } from '../api/requests';
import { bytesText } from '../components/bytes';
import { useMayWrite } from '../components/may_write';
import { ErrorNotice, Notice } from '../components/notice';
import { ageText, useAge } from '../components/times';
import { usePanel } from '../panel';
import { useAnswer } from './use_answer';
import { evidenceOf, resultWord, verdictText } from './verdicts';

/** Files that a quick verification reads. */
const SAMPLE = 100;
/** Findings of one page. */
const PAGE = 200;

/** Whether what is in a store is still what was signed: the last verification, and a new one. */
export function Proof({ job, store }: { job: Job; store: string }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const mayWrite = useMayWrite();
  const [error, setError] = useState<Error | null>(null);
  const [asking, setAsking] = useState(false);
  const path = address('jobs', job.id, 'verification');
  const verifiedAt = job.outputs.stores[store]?.verified_at ?? '';
  const found = useAnswer<Verification>(
    `${job.id} ${store} ${verifiedAt}`,
    signal => lastOne(requests.get<Verification>(path, { store, limit: PAGE }, signal)),
    value => value.state === 'running',
  );
  const last = found.value;
  const running = last?.state === 'running';
  const problem = error ?? found.error;
  const carryOut = async (work: () => Promise<Verification>): Promise<void> => {
    setError(null);
    setAsking(true);
    try {
      found.learn(await work());
    } catch (thrown) {
      setError(thrown as Error);
    }
    setAsking(false);
  };
  const verify = (sample?: number): Promise<void> =>
    carryOut(() => requests.post<Verification>(path, undefined, { query: { store, sample } }));
  const stop = (): Promise<void> =>
    carryOut(async () => {
      await requests.send('DELETE', path, { query: { store } });
      return requests.get<Verification>(path, { store, limit: PAGE });
    });
  return (
    <section className="sg-care" aria-label={trans.__('Verification')}>
      <div className="sg-care-tools">
        {mayWrite && !running && (
          <>
            <Button small disabled={asking} onClick={() => void verify()}>
              {trans.__('Verify every byte')}
            </Button>
            <Button small disabled={asking} onClick={() => void verify(SAMPLE)}>
              {trans.__('Verify a sample of %1 files', SAMPLE)}
            </Button>
          </>
        )}
        {mayWrite && running && (
          <Button small disabled={asking} onClick={() => void stop()}>
            {trans.__('Stop')}
          </Button>
        )}
      </div>
      {problem && <ErrorNotice error={problem} />}
      {found.settled && !last && !found.error && (
        <p>
          {trans.__(
            'Not verified yet. Verifying checks the signature, every name and size in the store, and reads the bytes again.',
          )}
        </p>
      )}
      {last && <Told last={last} />}
    </section>
  );
}

/** The last verification; null where there was none. */
async function lastOne(asked: Promise<Verification>): Promise<Verification | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) {
      return null;
    }
    throw error;
  }
}

function Told({ last }: { last: Verification }): React.JSX.Element {
  const { trans } = usePanel();
  const age = useAge(last.ended_at ?? last.updated_at);
  const text = verdictText(last, trans);
  const when = age === null ? '' : ageText(age, trans);
  return (
    <>
      {last.state === 'running' ? (
        <p role="status" className="sg-care-progress">
          <progress
            aria-label={trans.__('Bytes that were read')}
            max={Math.max(last.bytes, 1)}
            value={last.bytes_checked}
          />{' '}
          {trans.__(
            '%1 of %2 files, %3 of %4',
            last.files_checked,
            last.files,
            bytesText(last.bytes_checked),
            bytesText(last.bytes),
          )}
        </p>
      ) : (
        <Notice kind={last.verdict === 'failed' ? 'error' : last.problem ? 'warning' : 'info'}>
          <strong>{text}</strong> {when}
          {last.problem && <div>{last.problem}</div>}
        </Notice>
      )}
      <dl className="sg-care-facts">
        {evidenceOf(last, trans).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {last.findings.length > 0 && <Findings key={last.started_at} last={last} />}
    </>
  );
}

/** The files that are not as they should be, page by page. */
function Findings({ last }: { last: Verification }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const [more, setMore] = useState<readonly Finding[]>([]);
  const [cursor, setCursor] = useState(last.next_cursor);
  const [error, setError] = useState<Error | null>(null);
  const next = async (): Promise<void> => {
    setError(null);
    try {
      const path = address('jobs', last.job_id, 'verification');
      const query = { store: last.store, limit: PAGE, cursor };
      const page = await requests.get<Verification>(path, query);
      setMore([...more, ...page.findings]);
      setCursor(page.next_cursor);
    } catch (problem) {
      setError(problem as Error);
    }
  };
  return (
    <div
      className="sg-care-scroll"
      tabIndex={0}
      role="region"
      aria-label={trans.__('Files that are not as they should be')}
    >
      <table className="sg-care-table">
        <thead>
          <tr>
            <th scope="col">{trans.__('File')}</th>
            <th scope="col">{trans.__('Result')}</th>
            <th scope="col">{trans.__('What was found')}</th>
          </tr>
        </thead>
        <tbody>
          {[...last.findings, ...more].map(one => (
            <tr key={one.path}>
              <th scope="row">{one.path}</th>
              <td>{resultWord(one.result, trans)}</td>
              <td>{one.detail}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {cursor && (
        <Button small minimal onClick={() => void next()}>
          {trans.__('Show more')}
        </Button>
      )}
      {error && <ErrorNotice error={error} />}
    </div>
  );
}
