import type { Job } from '../api/models';
import { usePanel } from '../panel';

/** Share of the work that is done, 0 to 1; null where the job does not say. */
export function shareDone(job: Job): number | null {
  const progress = job.progress;
  if (!progress || progress.max <= progress.min) {
    return null;
  }
  return Math.min(1, Math.max(0, (progress.value - progress.min) / (progress.max - progress.min)));
}

export function ProgressBar({ job }: { job: Job }): React.JSX.Element | null {
  const { trans } = usePanel();
  const share = shareDone(job);
  if (share === null) {
    return null;
  }
  const percent = Math.floor(100 * share);
  return (
    <div
      className={`sg-progress sg-state-${job.state}`}
      role="progressbar"
      aria-label={trans.__('Progress of %1', job.name)}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <div className="sg-progress-done" style={{ width: `${percent}%` }} />
    </div>
  );
}
