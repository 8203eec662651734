import { HTMLSelect } from '@jupyterlab/ui-components';
import { useEffect, useMemo, useState } from 'react';

import type { Job, SeriesPage, SeriesRows } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice } from '../components/notice';
import { LinePlot } from '../components/plot';
import { usePanel, type Panel } from '../panel';
import { linesOf, sharedColumns, type JobSeries } from './matching';

/** Rows of a series that are drawn at most. */
const MOST_ROWS = 100_000;

interface Props {
  jobs: readonly Job[];
  labels: readonly string[];
}

/** Data series of the same name on one plot. */
export function CompareSeries({ jobs, labels }: Props): React.JSX.Element | null {
  const { trans } = usePanel();
  const names = useNames(jobs);
  const [wanted, setWanted] = useState<string | null>(null);
  const name = wanted !== null && names.includes(wanted) ? wanted : (names[0] ?? null);
  const { all, error } = useSeries(jobs, labels, name);
  const columns = useMemo(() => sharedColumns(all), [all]);
  const [column, setColumn] = useState<string | null>(null);
  const shown = columns.find(one => one.name === column) ?? columns[0] ?? null;
  const [log, setLog] = useState(false);
  const drawn = useMemo(() => (shown ? linesOf(all, shown.name) : null), [all, shown]);
  if (name === null) {
    return null;
  }
  return (
    <section aria-label={trans.__('Data series')}>
      <div className="sg-compare-head">
        <h2>{trans.__('Data series')}</h2>
        {names.length > 1 && (
          <label>
            {trans.__('Series')}
            <HTMLSelect
              value={name}
              options={names}
              onChange={event => setWanted(event.target.value)}
            />
          </label>
        )}
        {columns.length > 1 && (
          <label>
            {trans.__('Column')}
            <HTMLSelect
              value={shown?.name}
              options={columns.map(one => ({ value: one.name, label: one.label }))}
              onChange={event => setColumn(event.target.value)}
            />
          </label>
        )}
        <label>
          <input type="checkbox" checked={log} onChange={event => setLog(event.target.checked)} />
          {trans.__('Logarithmic')}
        </label>
      </div>
      {error && <ErrorNotice error={error} />}
      {drawn && drawn.series.length > 0 && (
        <LinePlot
          series={drawn.series}
          xLabel={drawn.xLabel}
          log={log}
          label={trans.__('%1 of the compared jobs', shown?.label ?? '')}
        />
      )}
    </section>
  );
}

/** Names of series that at least two of the jobs have. */
function useNames(jobs: readonly Job[]): string[] {
  const { requests } = usePanel();
  const [names, setNames] = useState<string[]>([]);
  const key = jobs.map(job => job.id).join(' ');
  useEffect(() => {
    let gone = false;
    const ask = async (): Promise<void> => {
      const pages = await Promise.allSettled(
        key.split(' ').map(id => requests.get<SeriesPage>(address('jobs', id, 'data'))),
      );
      const counts = new Map<string, number>();
      for (const page of pages) {
        const items = page.status === 'fulfilled' ? page.value.items : [];
        for (const one of items) {
          counts.set(one.name, (counts.get(one.name) ?? 0) + 1);
        }
      }
      if (!gone) {
        setNames([...counts].filter(([, count]) => count > 1).map(([name]) => name));
      }
    };
    void ask();
    return () => {
      gone = true;
    };
  }, [requests, key]);
  return names;
}

/** A series of each job, asked for again when a job goes on. */
function useSeries(
  jobs: readonly Job[],
  labels: readonly string[],
  name: string | null,
): { all: JobSeries[]; error: Error | null } {
  const { requests } = usePanel();
  const [found, setFound] = useState<{ all: JobSeries[]; error: Error | null }>({
    all: [],
    error: null,
  });
  const key = jobs.map(job => `${job.id}:${job.state}:${job.outputs.bytes}`).join(' ');
  const names = labels.join('\n');
  useEffect(() => {
    if (name === null) {
      return;
    }
    let gone = false;
    const ids = key.split(' ').map(part => part.split(':')[0] ?? '');
    void readAll(requests, ids, names.split('\n'), name).then(answer => {
      if (!gone) {
        setFound(answer);
      }
    });
    return () => {
      gone = true;
    };
  }, [requests, key, names, name]);
  return found;
}

async function readAll(
  requests: Panel['requests'],
  ids: string[],
  labels: string[],
  name: string,
): Promise<{ all: JobSeries[]; error: Error | null }> {
  const all: JobSeries[] = [];
  let error: Error | null = null;
  for (const [index, id] of ids.entries()) {
    try {
      const page = await requests.get<SeriesPage>(address('jobs', id, 'data'));
      const info = page.items.find(one => one.name === name);
      if (info) {
        const rows = await requests.get<SeriesRows>(address('jobs', id, 'data', name), {
          limit: MOST_ROWS,
        });
        all.push({ label: labels[index] ?? id, x: info.x, rows });
      }
    } catch (problem) {
      error = problem as Error;
    }
  }
  return { all, error };
}
