import type { TranslationBundle } from '@jupyterlab/translation';

import { ENDED, type Job } from '../api/models';
import { Backlog } from '../components/backlog';
import { ProgressBar } from '../components/progress';
import { StateBadge } from '../components/state';
import { ageText, localTime, useAge } from '../components/times';
import { usePanel } from '../panel';
import type { Known } from '../state/jobs';
import { useValue } from '../state/observable';
import { Buttons } from './buttons';
import { Editable } from './editable';
import { Failure } from './failure';
import { useMayWrite } from '../components/may_write';
import { change } from './requests';

/** What a job is, how it is, and what can be done. */
export function Header({ job, known }: { job: Job; known: Known }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const mayWrite = useMayWrite();
  return (
    <header className="sg-job-head">
      <div className="sg-job-title">
        <h2>
          <Editable
            value={job.name}
            label={trans.__('Name')}
            allowed={mayWrite}
            onSave={name => change(panel, job, { name })}
          />
        </h2>
        <StateBadge job={job} />
        <Freshness job={job} known={known} />
      </div>
      <Facts job={job} />
      <ProgressBar job={job} />
      {(job.outputs.behind || job.outputs.rescue_at) && (
        <p className="sg-job-behind">
          <Backlog store={job.outputs} />
        </p>
      )}
      {(job.reason ?? (job.message && ENDED.has(job.state))) ? (
        <Failure job={job} />
      ) : (
        job.message && <p className="sg-job-message">{job.message}</p>
      )}
      <Buttons job={job} />
    </header>
  );
}

/** Where it runs, and under which names. */
function Facts({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  const facts: [string, string | null | undefined][] = [
    [trans.__('Target'), job.target],
    [trans.__('Case'), job.case],
    [trans.__('Scheduler id'), job.scheduler_id],
    [trans.__('Exit code'), job.exit_code === null ? null : String(job.exit_code)],
    [trans.__('Created'), localTime(job.created_at)],
    [trans.__('Id'), job.id],
  ];
  return (
    <dl className="sg-job-facts">
      {facts
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      {Object.entries(job.tags).map(([name, value]) => (
        <div key={`tag ${name}`} className="sg-job-tag">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** After so long without a word from the target, its age is shown, in seconds. */
const OLD = 60;

/** How old this is, where it may not be the present. */
function Freshness({ job, known }: { job: Job; known: Known }): React.JSX.Element | null {
  const panel = usePanel();
  const live = useValue(panel.jobs.live);
  const now = useValue(panel.clock);
  const seen = useAge(job.observed_at ?? null);
  const { trans } = panel;
  if (!live || known.error) {
    const age = known.checkedAt === null ? null : Math.max(0, (now - known.checkedAt) / 1000);
    return (
      <span className="sg-job-old" role="status">
        {age === null
          ? trans.__('not connected')
          : trans.__('as of %1 (not connected)', ageText(age, trans))}
      </span>
    );
  }
  return <Seen job={job} seen={seen} trans={trans} />;
}

function Seen(props: {
  job: Job;
  seen: number | null;
  trans: TranslationBundle;
}): React.JSX.Element | null {
  const { job, seen, trans } = props;
  const watched = job.state === 'queued' || job.state === 'held' || job.state === 'running';
  if (!watched || seen === null || seen < OLD) {
    return null;
  }
  return (
    <span className="sg-job-old">{trans.__('seen on its target %1', ageText(seen, trans))}</span>
  );
}
