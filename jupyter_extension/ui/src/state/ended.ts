import { ENDED, type Event, type Job, type JobPage, type State, type Sweep } from '../api/models';
import { address, type Requests } from '../api/requests';
import type { Jobs } from './jobs';
import { Observable } from './observable';

/** Jobs that end within this time are told of together. */
const GATHER = 1500;
/** So many jobs are asked for one by one. */
const FEW = 3;

/** What somebody is told: one job, some of a sweep, or several. */
export interface News {
  /** The same for what belongs together: a later piece of news takes the place of the one before. */
  key: string;
  jobs: Job[];
  sweep: Sweep | null;
}

/** Sort jobs that have ended into pieces of news: one a sweep, one a job, or one for many jobs. Pure. */
export function newsOf(jobs: readonly Job[], sweeps: ReadonlyMap<string, Sweep>): News[] {
  const found = new Map<string, News>();
  const single: Job[] = [];
  for (const job of jobs.filter(found => ENDED.has(found.state))) {
    const sweep = job.sweep ? (sweeps.get(job.sweep) ?? null) : null;
    if (!sweep) {
      single.push(job);
      continue;
    }
    const news = found.get(sweep.id) ?? { key: sweep.id, jobs: [], sweep };
    news.jobs.push(job);
    found.set(sweep.id, news);
  }
  const alone = single.map(job => ({ key: job.id, jobs: [job], sweep: null }));
  const first = single[0];
  const many =
    first && single.length > FEW ? [{ key: first.id, jobs: single, sweep: null }] : alone;
  return [...many, ...found.values()];
}

/** How many jobs of some are in which ended state. */
export function countsOf(jobs: readonly Job[]): Partial<Record<State, number>> {
  const counts: Partial<Record<State, number>> = {};
  for (const job of jobs) {
    counts[job.state] = (counts[job.state] ?? 0) + 1;
  }
  return counts;
}

/** The jobs that ended while the page was open. */
export class EndedJobs {
  /** Those that nobody has looked at yet. */
  readonly unseen = new Observable<ReadonlySet<string>>(new Set());
  /** Whether what has ended is counted at all. */
  marks = true;
  private readonly fresh = new Set<string>();
  private readonly stop: () => void;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** @param tell Called with what has happened. */
  constructor(
    private readonly requests: Requests,
    jobs: Jobs,
    private readonly tell: (news: News[]) => void,
  ) {
    this.stop = jobs.onEvent(event => this.take(event));
  }

  dispose(): void {
    this.stop();
    clearTimeout(this.timer);
  }

  /** Somebody looks at the list. */
  see(): void {
    if (this.unseen.value.size > 0) {
      this.unseen.set(new Set());
    }
  }

  private take(event: Event): void {
    if (event.kind === 'deleted') {
      this.forget(String(event.data.id));
    }
    if (event.kind !== 'state' || !event.job_id) {
      return;
    }
    if (!ENDED.has(event.data.to as State)) {
      // Whether it was lost or not: it goes on.
      this.forget(event.job_id);
      return;
    }
    this.fresh.add(event.job_id);
    if (this.marks) {
      this.unseen.set(new Set(this.unseen.value).add(event.job_id));
    }
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.report();
    }, GATHER);
  }

  private forget(id: string): void {
    this.fresh.delete(id);
    if (this.unseen.value.has(id)) {
      const left = new Set(this.unseen.value);
      left.delete(id);
      this.unseen.set(left);
    }
  }

  private async report(): Promise<void> {
    const ids = [...this.fresh];
    this.fresh.clear();
    try {
      const jobs = await this.ask(ids);
      const sweeps = new Map<string, Sweep>();
      for (const id of new Set(jobs.map(job => job.sweep))) {
        if (id) {
          sweeps.set(id, await this.requests.get<Sweep>(address('sweeps', id)));
        }
      }
      const news = newsOf(jobs, sweeps);
      if (news.length > 0) {
        this.tell(news);
      }
    } catch (error) {
      // The mark on the icon says enough; what has become of them stands in the list.
      console.warn(error);
    }
  }

  private async ask(ids: string[]): Promise<Job[]> {
    if (ids.length <= FEW) {
      const asked = ids.map(id => this.requests.get<Job>(address('jobs', id)));
      const found = await Promise.allSettled(asked);
      return found.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []));
    }
    const query = { state: [...ENDED], sort: '-ended_at', limit: Math.min(500, ids.length + 20) };
    const page = await this.requests.get<JobPage>('/api/v1/jobs', query);
    return page.items.filter(job => ids.includes(job.id));
  }
}
