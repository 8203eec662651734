import { useMemo } from 'react';

import type { Job } from '../api/models';
import { Notice } from '../components/notice';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { AddJob } from './add_job';
import { jobLabels } from './differences';
import { CompareImages } from './images';
import type { Comparison } from './model';
import { CompareOutputs } from './outputs';
import { CompareSeries } from './series';
import { CompareTable } from './table';
import { useFiles } from './use_files';
import { useJobs } from './use_jobs';

/** More lines than this cannot be told apart in a plot. */
export const MOST = 12;

/** Jobs side by side: what differs, their data series, their images. */
export function CompareView({ comparison }: { comparison: Comparison }): React.JSX.Element {
  const { trans } = usePanel();
  const ids = useValue(comparison.ids);
  const known = useJobs(ids.slice(0, MOST));
  const jobs = useMemo(
    () => known.flatMap(one => (one.job && !one.gone ? [one.job] : [])),
    [known],
  );
  const labels = useMemo(() => jobLabels(jobs), [jobs]);
  return (
    <div className="sg-compare">
      <AddJob ids={ids} onAdd={id => comparison.add(id)} />
      {ids.length > MOST && (
        <Notice kind="info">
          {trans.__('The first %1 of %2 jobs are compared.', MOST, ids.length)}
        </Notice>
      )}
      <Missing ids={ids} known={known} onRemove={id => comparison.remove(id)} />
      {jobs.length > 0 && (
        <CompareTable jobs={jobs} labels={labels} onRemove={id => comparison.remove(id)} />
      )}
      {jobs.length < 2 && known.every(one => one.checkedAt !== null || one.error !== null) && (
        <p className="sg-look-empty">{trans.__('Add at least two jobs to compare them.')}</p>
      )}
      {jobs.length > 1 && (
        <>
          <CompareSeries jobs={jobs} labels={labels} />
          <CompareFiles jobs={jobs} labels={labels} />
        </>
      )}
    </div>
  );
}

interface FilesProps {
  jobs: readonly Job[];
  labels: readonly string[];
}

/** What is compared of the jobs' files, which are listed once. */
function CompareFiles({ jobs, labels }: FilesProps): React.JSX.Element {
  const files = useFiles(jobs);
  return (
    <>
      <CompareImages jobs={jobs} labels={labels} files={files} />
      <CompareOutputs labels={labels} files={files} />
    </>
  );
}

interface MissingProps {
  ids: readonly string[];
  known: readonly { job: Job | null; gone: boolean; error: Error | null }[];
  onRemove: (id: string) => void;
}

/** Jobs that cannot be shown, and why. */
function Missing({ ids, known, onRemove }: MissingProps): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <>
      {known.map((one, index) => {
        const id = ids[index] ?? '';
        if (one.gone) {
          return (
            <Notice key={id} kind="warning">
              {trans.__('Job %1 does not exist any more.', id.slice(0, 8))}{' '}
              <button type="button" className="sg-compare-link" onClick={() => onRemove(id)}>
                {trans.__('Remove it')}
              </button>
            </Notice>
          );
        }
        return one.error ? (
          <Notice key={id} kind="error">
            {one.job
              ? trans.__('%1 is shown as it was: %2', one.job.name, one.error.message)
              : `${id.slice(0, 8)}: ${one.error.message}`}
          </Notice>
        ) : null;
      })}
    </>
  );
}
