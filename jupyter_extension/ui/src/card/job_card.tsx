import { useEffect } from 'react';

import type { Job } from '../api/models';
import { run } from '../commands';
import { ProgressBar } from '../components/progress';
import { StateBadge } from '../components/state';
import { ageText, useAge } from '../components/times';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';

/** What a cell's output says of a job: how it was when the cell ran. */
export interface Written {
  id: string;
  name: string;
  state: string;
  target: string;
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Read an output; null where it is none of ours. A notebook may come from anybody. */
export function readWritten(data: unknown): Written | null {
  if (typeof data !== 'object' || data === null) {
    return null;
  }
  const { id, name, state, target } = data as Record<string, unknown>;
  if (typeof id !== 'string' || !ID.test(id)) {
    return null;
  }
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return { id, name: text(name), state: text(state), target: text(target) };
}

/** A job in a notebook's cell, as it is now. */
export function JobCard({ written }: { written: Written }): React.JSX.Element {
  const { jobs, trans } = usePanel();
  const known = useValue(jobs.of(written.id));
  useEffect(() => jobs.watch(written.id), [jobs, written.id]);
  if (known.job) {
    return <Live job={known.job} />;
  }
  const why = known.gone
    ? trans.__('this gateway does not know the job')
    : known.error
      ? trans.__('the gateway cannot be reached')
      : trans.__('asking…');
  return (
    <div className="sg-job-card">
      <div className="sg-job-card-head">
        <strong>{written.name}</strong>
        <span className="sg-help">{trans.__('%1 when the cell ran; %2', written.state, why)}</span>
      </div>
    </div>
  );
}

function Live({ job }: { job: Job }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const live = useValue(panel.jobs.live);
  const known = useValue(panel.jobs.of(job.id));
  const age = useAge(job.ended_at ?? job.created_at);
  const checked = useAge(known.checkedAt === null ? null : new Date(known.checkedAt).toISOString());
  const open = (tab?: string): void => run(panel.commands, 'openJob', { id: job.id, tab });
  return (
    <section className="sg-job-card" aria-label={trans.__('Job %1', job.name)}>
      <div className="sg-job-card-head">
        <strong>{job.name}</strong>
        <StateBadge job={job} />
        <span className="sg-help">
          {job.target} · {age === null ? '' : ageText(age, trans)}
          {!live && checked !== null && ` · ${trans.__('checked %1', ageText(checked, trans))}`}
        </span>
      </div>
      <ProgressBar job={job} />
      {job.message && <div className="sg-job-card-message">{job.message}</div>}
      <div className="sg-job-card-foot">
        <span>
          {trans._n('%1 output', '%1 outputs', job.outputs.count)} ({job.outputs.state})
        </span>
        <button type="button" className="sg-link" onClick={() => open()}>
          {trans.__('Open')}
        </button>
        <button type="button" className="sg-link" onClick={() => open('log')}>
          {trans.__('Log')}
        </button>
        <button type="button" className="sg-link" onClick={() => open('outputs')}>
          {trans.__('Outputs')}
        </button>
      </div>
    </section>
  );
}
