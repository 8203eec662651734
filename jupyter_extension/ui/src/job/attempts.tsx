import { useEffect, useState } from 'react';

import type { Attempt, AttemptPage, Job } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice } from '../components/notice';
import { localTime } from '../components/times';
import { usePanel } from '../panel';
import { reasonText } from './reasons';

/** Each try at the job, and how it ended. */
export function Attempts({ job }: { job: Job }): React.JSX.Element {
  const { requests, trans } = usePanel();
  const [items, setItems] = useState<Attempt[]>([]);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    let gone = false;
    requests
      .get<AttemptPage>(address('jobs', job.id, 'attempts'))
      .then(page => {
        if (!gone) {
          setItems(page.items);
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
  }, [requests, job.id, job.attempt, job.state]);
  if (error) {
    return <ErrorNotice error={error} />;
  }
  return (
    <table className="sg-job-table">
      <thead>
        <tr>
          <th scope="col">{trans.__('Attempt')}</th>
          <th scope="col">{trans.__('Scheduler id')}</th>
          <th scope="col">{trans.__('Began')}</th>
          <th scope="col">{trans.__('Ended as')}</th>
          <th scope="col">{trans.__('Why')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map(item => (
          <tr key={item.number}>
            <td>{item.number}</td>
            <td>{item.scheduler_id ?? '–'}</td>
            <td>{item.claimed_at ? localTime(item.claimed_at) : trans.__('not yet')}</td>
            <td>{item.state ?? '–'}</td>
            <td>
              {item.reason && reasonText(item.reason, trans)}
              {item.message && <div className="sg-job-quiet">{item.message}</div>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
