import { memo } from 'react';

import type { Job } from '../api/models';
import { ProgressBar } from '../components/progress';
import { StateBadge } from '../components/state';
import { useValue } from '../state/observable';
import { Age, CheckedAge, CheckedSince } from './age';
import { isLive, type SidebarModel } from './model';

/** When a job was last heard of, where that is not now; else how long it has been there. */
function JobAge({ job, model }: { job: Job; model: SidebarModel }): React.JSX.Element {
  const since = useValue(model.staleSince);
  useValue(model.targets.targets);
  if (isLive(job)) {
    if (since !== null) {
      return <CheckedSince since={since} />;
    }
    if (job.observed_at && job.state !== 'unknown' && model.targets.isAway(job.target)) {
      return <CheckedAge time={job.observed_at} />;
    }
  }
  return <Age time={job.ended_at ?? job.created_at} />;
}

/** What the row of a job shows. */
export const JobItem = memo(function JobItem({
  job,
  model,
}: {
  job: Job;
  model: SidebarModel;
}): React.JSX.Element {
  return (
    <div className="sg-item">
      <div className="sg-item-line">
        <span className="sg-item-name" title={job.name}>
          {job.name}
        </span>
        <StateBadge job={job} />
      </div>
      <div className="sg-item-line sg-item-more">
        <span className="sg-item-target">{job.target}</span>
        <JobAge job={job} model={model} />
      </div>
      {isLive(job) && <ProgressBar job={job} />}
    </div>
  );
});
