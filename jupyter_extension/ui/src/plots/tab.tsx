import { useEffect, useState } from 'react';

import type { Job, SeriesInfo, SeriesPage } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';
import { SeriesPlot } from './series_plot';

/** A plot for each data series of a job. */
export function PlotsTab({ job }: { job: Job }): React.JSX.Element {
  const { requests, trans } = usePanel();
  const [items, setItems] = useState<SeriesInfo[] | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    const leave = new AbortController();
    requests
      .get<SeriesPage>(address('jobs', job.id, 'data'), {}, leave.signal)
      .then(page => {
        setItems(page.items);
        setError(null);
      })
      .catch((found: unknown) => {
        if (!leave.signal.aborted) {
          setError(found instanceof Error ? found : new Error(String(found)));
        }
      });
    return () => leave.abort();
  }, [requests, job.id]);
  if (error) {
    return <ErrorNotice error={error} />;
  }
  if (items === null) {
    return <p className="sg-job-quiet">{trans.__('Reading…')}</p>;
  }
  if (items.length === 0) {
    return (
      <Notice kind="info">
        {trans.__('This job has no data series: its case or specification names none.')}
      </Notice>
    );
  }
  return (
    <div className="sg-plots">
      {items.map(info => (
        <SeriesPlot key={info.name} job={job} info={info} />
      ))}
    </div>
  );
}
