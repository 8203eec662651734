import type { Job } from '../api/models';
import { run } from '../commands';
import { usePanel } from '../panel';
import { Section } from './section';

/** The jobs, the sweep and the case that this job belongs to. */
export function Links({ job }: { job: Job }): React.JSX.Element | null {
  const { commands, trans } = usePanel();
  const jobs: [string, string][] = [
    ...(job.rerun_of ? [[trans.__('Run again from'), job.rerun_of] as [string, string]] : []),
    ...job.after_success.map((id): [string, string] => [trans.__('Waits for the success of'), id]),
    ...job.after_end.map((id): [string, string] => [trans.__('Waits for the end of'), id]),
  ];
  if (jobs.length === 0 && !job.sweep && !job.case) {
    return null;
  }
  return (
    <Section title={trans.__('Belongs to')}>
      <dl className="sg-job-pairs">
        {jobs.map(([label, id]) => (
          <div key={`${label} ${id}`}>
            <dt>{label}</dt>
            <dd>
              <button
                type="button"
                className="sg-job-link"
                onClick={() => run(commands, 'openJob', { id })}
              >
                {id}
              </button>
            </dd>
          </div>
        ))}
        {job.sweep && (
          <div>
            <dt>{trans.__('Sweep')}</dt>
            <dd>
              {job.sweep_index === null
                ? job.sweep
                : trans.__('%1, number %2', job.sweep, job.sweep_index)}
            </dd>
          </div>
        )}
        {job.case && (
          <div>
            <dt>{trans.__('Case')}</dt>
            <dd>
              <button
                type="button"
                className="sg-job-link"
                onClick={() => run(commands, 'launch', { case: job.case ?? '' })}
              >
                {job.case}
              </button>
            </dd>
          </div>
        )}
      </dl>
    </Section>
  );
}
