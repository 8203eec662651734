import type { Event, Job, Progress, Sweep } from '../api/models';
import { Problem } from '../api/problems';
import { address, type Requests } from '../api/requests';
import type { JobSources } from './job_sources';

/** Events that come within this time are answered together. */
const GATHER = 400;
/** How long to wait at least after pages were asked for again. */
const REST = 2000;
/** So many jobs are asked for one by one; when more have changed, the pages that are looked at are. */
const FEW = 5;
/** Events that change nothing that a row shows. */
const QUIET = new Set(['outputs', 'pull', 'phase', 'token']);

/** What the list does. */
export interface Changed {
  sources: () => JobSources | null;
  /** Ask again for all that is looked at. */
  refresh: () => void;
  /** Something is known better now. */
  show: () => void;
}

/** Turns events into as few questions as possible. */
export class JobChanges {
  private readonly jobs = new Set<string>();
  private readonly sweeps = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;

  constructor(
    private readonly requests: Requests,
    private readonly list: Changed,
  ) {}

  dispose(): void {
    clearTimeout(this.timer);
  }

  take(event: Event): void {
    const sources = this.list.sources();
    if (!sources) {
      return;
    }
    const id = event.job_id;
    if (event.kind === 'deleted') {
      this.drop(sources, String(event.data.id));
    } else if (id && event.kind === 'progress') {
      // It stands in the event itself: nothing needs to be asked.
      const progress = event.data as unknown as Progress;
      if (sources.amend(id, job => ({ ...job, progress }))) {
        this.list.show();
      }
    } else if (id && !QUIET.has(event.kind)) {
      this.jobs.add(id);
      this.gather(GATHER);
    }
  }

  private gather(pause: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (this.asking) {
        this.gather(GATHER);
      } else if (this.jobs.size + this.sweeps.size > 0) {
        void this.answer();
      }
    }, pause);
  }

  private drop(sources: JobSources, id: string): void {
    const sweep = sources.sweepOf.get(id);
    sources.drop(id);
    this.jobs.delete(id);
    if (sweep && sources.sweeps) {
      this.sweeps.add(sweep);
      this.gather(GATHER);
    }
    this.list.show();
  }

  private async answer(): Promise<void> {
    const sources = this.list.sources();
    if (!sources) {
      return;
    }
    const sweeps = new Set(this.sweeps);
    const jobs = [...this.jobs].filter(id => {
      const sweep = sources.sweeps ? sources.sweepOf.get(id) : undefined;
      if (sweep) {
        sweeps.add(sweep);
      }
      return !sweep || sources.children.has(sweep);
    });
    this.jobs.clear();
    this.sweeps.clear();
    // Where only the server can tell whether a new job belongs to the list, its first page does.
    const unsure = sources.filter.text !== '' || sources.filter.tag !== '';
    if (jobs.length + sweeps.size > FEW || (unsure && jobs.some(id => !sources.job(id)))) {
      this.list.refresh();
      this.gather(REST);
      return;
    }
    this.asking = true;
    for (const sweep of await Promise.all(jobs.map(id => this.askJob(sources, id)))) {
      if (sweep && sources.sweeps) {
        sweeps.add(sweep);
      }
    }
    await Promise.all([...sweeps].map(id => this.askSweep(sources, id)));
    this.asking = false;
    this.list.show();
  }

  /** Ask for a job; the answer is its sweep. */
  private async askJob(sources: JobSources, id: string): Promise<string | null> {
    const asked = sources.tick();
    try {
      const job = await this.requests.get<Job>(address('jobs', id));
      sources.learn(job, asked);
      return job.sweep ?? null;
    } catch (error) {
      if (isGone(error)) {
        sources.drop(id);
      } else {
        this.list.refresh();
      }
      return null;
    }
  }

  private async askSweep(sources: JobSources, id: string): Promise<void> {
    const asked = sources.tick();
    try {
      sources.learnSweep(await this.requests.get<Sweep>(address('sweeps', id)), asked);
    } catch (error) {
      if (isGone(error)) {
        sources.drop(id);
      } else {
        this.list.refresh();
      }
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Problem && error.status === 404;
}
