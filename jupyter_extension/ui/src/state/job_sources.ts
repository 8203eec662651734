import type { Job, JobPage, Sweep, SweepPage } from '../api/models';
import type { Requests } from '../api/requests';
import { canGroup, matches, queryOf, type Filter } from './filter';
import { childKey, jobKey, rowsOf, sweepKey, type Row } from './job_rows';
import { amend, frontier, takeItem, without, type KeysetList } from './keyset';
import { Source, type View } from './source';

const PAGE = 100;

/** The lists of the server's behind the rows: jobs and, where jobs are grouped, sweeps and the jobs of open ones. */
export class JobSources {
  readonly jobs: Source<Job>;
  /** Null: jobs are not grouped. */
  readonly sweeps: Source<Sweep> | null;
  readonly children = new Map<string, Source<Job>>();
  /** The sweeps of jobs that were seen. */
  readonly sweepOf = new Map<string, string>();
  private ticks = 1;

  /** @param changed Called after every answer and every failure. */
  constructor(
    private readonly requests: Requests,
    readonly filter: Filter,
    grouped: boolean,
    private readonly changed: () => void,
  ) {
    const groups = grouped && canGroup(filter);
    this.jobs = this.jobSource(groups ? { sweep: 'none' } : {});
    this.sweeps = groups ? this.sweepSource() : null;
  }

  /** Number what happens, so that old answers are known as such. */
  tick(): number {
    return ++this.ticks;
  }

  all(): (Source<Job> | Source<Sweep>)[] {
    return this.sweeps
      ? [this.jobs, this.sweeps, ...this.children.values()]
      : [this.jobs, ...this.children.values()];
  }

  dispose(): void {
    this.all().forEach(source => source.dispose());
  }

  growOld(): void {
    this.all().forEach(source => source.growOld());
  }

  /** Whether the first answers are there. */
  get known(): boolean {
    const main = [this.jobs.list.parts[0], this.sweeps?.list.parts[0]];
    return main.every(part => part === undefined || part.answered > 0);
  }

  /** Have the jobs of those sweeps that are open and known, and of no others. */
  setOpen(open: ReadonlySet<string>): void {
    const known = this.sweeps?.list.entries;
    for (const id of open) {
      if (known?.has(id) && !this.children.has(id)) {
        this.children.set(id, this.jobSource({ sweep: id, sort: 'sweep_index' }, childKey));
      }
    }
    for (const [id, source] of this.children) {
      if (!open.has(id) || !known?.has(id)) {
        source.dispose();
        this.children.delete(id);
      }
    }
  }

  rows(): Row[] {
    const children = new Map<string, KeysetList<Job>>();
    for (const [id, source] of this.children) {
      children.set(id, source.list);
    }
    const sweeps = this.sweeps?.list ?? null;
    return rowsOf({ filter: this.filter, jobs: this.jobs.list, sweeps, children });
  }

  /** Let each list ask for what is looked at of it. */
  look(rows: readonly Row[]): void {
    const more = new Set(rows.map(row => (row.kind === 'more' ? row.of : undefined)));
    const own = rows.filter(row => row.kind !== 'more' && !(row.kind === 'job' && row.below));
    // Of two lists that are not known to their ends, the one that ends earlier keeps the other from being shown.
    const edges = [frontier(this.jobs.list), this.sweeps && frontier(this.sweeps.list)];
    const ranks = edges.map(edge => (edge ? (edge.after?.rank ?? -Infinity) : Infinity));
    const first = Math.min(...ranks);
    this.jobs.look(viewOf(own, more.has(null) && ranks[0] === first));
    this.sweeps?.look(viewOf(own, more.has(null) && ranks[1] === first));
    for (const [id, source] of this.children) {
      const below = rows.filter(row => row.kind === 'job' && row.below === id);
      source.look(viewOf(below, more.has(id)));
    }
  }

  job(id: string): Job | null {
    for (const source of this.jobLists()) {
      const entry = source.list.entries.get(id);
      if (entry) {
        return entry.item;
      }
    }
    return null;
  }

  /** Take in a job that was asked for by itself. */
  learn(job: Job, asked: number): void {
    this.remember(job);
    const source = job.sweep && this.sweeps ? this.children.get(job.sweep) : this.jobs;
    if (!source) {
      return;
    }
    const belongs = matches(this.filter, job);
    if (belongs === false) {
      source.list = without(source.list, job.id, asked);
    } else if (belongs || source.list.entries.has(job.id)) {
      source.list = takeItem(source.list, { ...job, spec: null }, asked);
    }
  }

  learnSweep(sweep: Sweep, asked: number): void {
    if (this.sweeps) {
      this.sweeps.list = takeItem(this.sweeps.list, sweep, asked);
    }
  }

  /** Change what a job's row shows; the answer is whether there is one. */
  amend(id: string, change: (job: Job) => Job): boolean {
    let changed = false;
    for (const source of this.jobLists()) {
      const list = amend(source.list, id, change);
      changed ||= list !== source.list;
      source.list = list;
    }
    return changed;
  }

  /** A job, or a sweep, is no more. */
  drop(id: string): void {
    const now = this.tick();
    for (const source of this.jobLists()) {
      source.list = without(source.list, id, now);
    }
    if (this.sweeps?.list.entries.has(id)) {
      this.sweeps.list = without(this.sweeps.list, id, now);
    }
    this.sweepOf.delete(id);
  }

  private jobLists(): Source<Job>[] {
    return [this.jobs, ...this.children.values()];
  }

  private remember(job: Job): void {
    if (job.sweep) {
      this.sweepOf.set(job.id, job.sweep);
    }
  }

  private jobSource(more: Record<string, string>, keyOf = jobKey): Source<Job> {
    const query = { ...queryOf(this.filter), ...more, limit: PAGE };
    const ask = async (cursor: string | null, signal: AbortSignal): Promise<JobPage> => {
      const page = await this.requests.get<JobPage>('/api/v1/jobs', { ...query, cursor }, signal);
      page.items.forEach(job => this.remember(job));
      return page;
    };
    return new Source<Job>(ask, keyOf, () => this.tick(), this.changed);
  }

  private sweepSource(): Source<Sweep> {
    const ask = (cursor: string | null, signal: AbortSignal): Promise<SweepPage> =>
      this.requests.get<SweepPage>('/api/v1/sweeps', { limit: PAGE, cursor }, signal);
    return new Source<Sweep>(ask, sweepKey, () => this.tick(), this.changed);
  }
}

function viewOf(rows: readonly Row[], tail: boolean): View {
  const first = rows[0];
  const last = rows.at(-1);
  return {
    from: first && first.kind !== 'more' ? first.place : null,
    to: last && last.kind !== 'more' ? last.place : null,
    tail,
  };
}
