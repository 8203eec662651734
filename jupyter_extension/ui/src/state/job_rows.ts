/** The rows of the list of jobs, from what is known of jobs and sweeps. Pure. */
import type { Job, Sweep } from '../api/models';
import { hasMatches, type Filter } from './filter';
import { compare, frontier, mayGoOn, type Key, type KeysetList } from './keyset';

export interface JobRow {
  kind: 'job';
  key: string;
  place: Key;
  job: Job;
  /** The sweep that it is shown below. */
  below: string | null;
}

export interface SweepRow {
  kind: 'sweep';
  key: string;
  place: Key;
  sweep: Sweep;
  open: boolean;
}

/** More follows that is not known yet; `of` is a sweep's id, or null for the list itself. */
export interface MoreRow {
  kind: 'more';
  key: string;
  of: string | null;
}

export type Row = JobRow | SweepRow | MoreRow;

/** The newest first. The jobs of a sweep were made within a millisecond, in the order of their index. */
export function jobKey(job: Job): Key {
  return {
    rank: -Date.parse(job.created_at),
    minor: -(job.sweep_index ?? 0),
    id: job.id,
    group: job.sweep ?? job.id,
  };
}

/** Within a sweep: by index. */
export function childKey(job: Job): Key {
  return { rank: job.sweep_index ?? 0, minor: 0, id: job.id, group: job.id };
}

export function sweepKey(sweep: Sweep): Key {
  return { rank: -Date.parse(sweep.created_at), minor: 0, id: sweep.id, group: sweep.id };
}

export interface Known {
  filter: Filter;
  jobs: KeysetList<Job>;
  /** Null: jobs are not grouped. */
  sweeps: KeysetList<Sweep> | null;
  /** The jobs of sweeps that are open. */
  children: ReadonlyMap<string, KeysetList<Job>>;
}

/** Put the rows in order; where one of two lists is not known yet, the other is not shown either. */
export function rowsOf(known: Known): Row[] {
  const found: (JobRow | SweepRow)[] = known.jobs.order.map(entry => jobRow(entry.item, entry.key));
  for (const entry of known.sweeps?.order ?? []) {
    if (hasMatches(known.filter, entry.item)) {
      found.push(sweepRow(entry.item, entry.key, known.children.has(entry.item.id)));
    }
  }
  if (known.sweeps && known.sweeps.order.length > 0) {
    found.sort((a, b) => compare(a.place, b.place));
  }
  const edges = [frontier(known.jobs), known.sweeps && frontier(known.sweeps)].filter(
    edge => edge !== null,
  );
  const rows: Row[] = [];
  for (const row of found) {
    if (edges.some(edge => edge.after === null || compare(row.place, edge.after) > 0)) {
      break;
    }
    rows.push(row);
    if (row.kind === 'sweep' && row.open) {
      rows.push(...childRows(row.sweep.id, known.children.get(row.sweep.id)));
    }
  }
  if (mayGoOn(known.jobs) || (known.sweeps && mayGoOn(known.sweeps))) {
    rows.push({ kind: 'more', key: 'more', of: null });
  }
  return rows;
}

function childRows(sweep: string, list: KeysetList<Job> | undefined): Row[] {
  if (!list) {
    return [];
  }
  const rows: Row[] = list.order.map(({ item, key }) => jobRow(item, key, sweep));
  if (mayGoOn(list)) {
    rows.push({ kind: 'more', key: `more ${sweep}`, of: sweep });
  }
  return rows;
}

const madeJobs = new WeakMap<Job, Map<string | null, JobRow>>();

/** The same row for the same job, so that what did not change is not drawn again. */
function jobRow(job: Job, place: Key, below: string | null = null): JobRow {
  let made = madeJobs.get(job);
  if (!made) {
    made = new Map();
    madeJobs.set(job, made);
  }
  let row = made.get(below);
  if (!row) {
    row = { kind: 'job', key: job.id, place, job, below };
    made.set(below, row);
  }
  return row;
}

const madeSweeps = new WeakMap<Sweep, Map<boolean, SweepRow>>();

function sweepRow(sweep: Sweep, place: Key, open: boolean): SweepRow {
  let made = madeSweeps.get(sweep);
  if (!made) {
    made = new Map();
    madeSweeps.set(sweep, made);
  }
  let row = made.get(open);
  if (!row) {
    row = { kind: 'sweep', key: sweep.id, place, sweep, open };
    made.set(open, row);
  }
  return row;
}
