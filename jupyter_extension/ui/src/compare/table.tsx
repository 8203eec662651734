import { Button, closeIcon } from '@jupyterlab/ui-components';
import { Fragment, useMemo, useState } from 'react';

import type { Job } from '../api/models';
import { run } from '../commands';
import { StateBadge } from '../components/state';
import { usePanel } from '../panel';
import { compareJobs, type Group, type Line } from './differences';

interface Props {
  jobs: readonly Job[];
  labels: readonly string[];
  onRemove: (id: string) => void;
}

/** What the jobs have in each place; only what differs, or all. */
export function CompareTable({ jobs, labels, onRemove }: Props): React.JSX.Element {
  const { trans, commands } = usePanel();
  const [all, setAll] = useState(false);
  const lines = useMemo(() => compareJobs(jobs), [jobs]);
  const shown = all || jobs.length < 2 ? lines : lines.filter(line => line.differs);
  const words: Record<Group, string> = {
    job: trans.__('Job'),
    values: trans.__('Values'),
    resources: trans.__('Resources'),
    specification: trans.__('Specification'),
    result: trans.__('Result'),
  };
  const groups = (Object.keys(words) as Group[])
    .map(group => ({ group, lines: shown.filter(line => line.group === group) }))
    .filter(({ lines: found }) => found.length > 0);
  return (
    <section aria-label={trans.__('Differences')}>
      <div className="sg-compare-head">
        <h2>{trans.__('Differences')}</h2>
        <label>
          <input type="checkbox" checked={all} onChange={event => setAll(event.target.checked)} />
          {trans.__('Show what is the same too')}
        </label>
      </div>
      <div
        className="sg-compare-scroll"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Table of differences')}
      >
        <table className="sg-compare-table">
          <thead>
            <tr>
              <td />
              {jobs.map((job, index) => (
                <th key={job.id} scope="col">
                  <div className="sg-compare-job">
                    <button
                      type="button"
                      className="sg-compare-link"
                      title={trans.__('Open the job')}
                      onClick={() => run(commands, 'openJob', { id: job.id })}
                    >
                      {labels[index]}
                    </button>
                    <Button
                      small
                      minimal
                      aria-label={trans.__('Remove %1 from the comparison', labels[index] ?? '')}
                      onClick={() => onRemove(job.id)}
                    >
                      <closeIcon.react tag="span" className="sg-tree-icon" />
                    </Button>
                  </div>
                  <StateBadge job={job} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {groups.map(({ group, lines: found }) => (
              <Fragment key={group}>
                <tr>
                  <th scope="rowgroup" colSpan={jobs.length + 1} className="sg-compare-group">
                    {words[group]}
                  </th>
                </tr>
                {found.map(line => (
                  <LineRow key={line.key} line={line} marked={line.differs && all} />
                ))}
              </Fragment>
            ))}
          </tbody>
        </table>
      </div>
      {jobs.length > 1 && shown.length === 0 && <p>{trans.__('Nothing differs.')}</p>}
    </section>
  );
}

function LineRow({ line, marked }: { line: Line; marked: boolean }): React.JSX.Element {
  return (
    <tr className={marked ? 'sg-mod-differs' : undefined}>
      <th scope="row">{line.key}</th>
      {line.values.map((value, index) => (
        <td key={index}>{value ?? '–'}</td>
      ))}
    </tr>
  );
}
