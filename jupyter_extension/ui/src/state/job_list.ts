import type { Job, Sweep } from '../api/models';
import type { Requests } from '../api/requests';
import { NO_FILTER, type Filter } from './filter';
import { JobChanges } from './job_changes';
import type { Row } from './job_rows';
import { JobSources } from './job_sources';
import type { Jobs } from './jobs';
import { Observable } from './observable';

export interface Loading {
  /** Whether an answer is awaited. */
  busy: boolean;
  /** Whether there was an answer to what is asked now. */
  known: boolean;
  error: Error | null;
}

/** The person's jobs, newest first, as far as somebody looks at them, kept current by the page's one stream. */
export class JobList {
  readonly rows = new Observable<Row[]>([]);
  readonly filter = new Observable<Filter>(NO_FILTER);
  readonly grouped = new Observable(true);
  /** The sweeps whose jobs are shown. */
  readonly open = new Observable<ReadonlySet<string>>(new Set());
  readonly loading = new Observable<Loading>({ busy: false, known: false, error: null });
  private sources: JobSources | null = null;
  private view: [number, number] = [0, 0];
  private readonly changes: JobChanges;
  private readonly stops: (() => void)[];

  constructor(
    private readonly requests: Requests,
    jobs: Jobs,
  ) {
    this.changes = new JobChanges(requests, {
      sources: () => this.sources,
      refresh: () => this.refresh(),
      show: () => this.show(),
    });
    this.stops = [
      jobs.onEvent(event => this.changes.take(event)),
      jobs.resumed.subscribe(() => this.refresh()),
    ];
  }

  dispose(): void {
    this.stops.forEach(stop => stop());
    this.changes.dispose();
    this.sources?.dispose();
    this.sources = null;
  }

  /** The gateway is ready: begin, or ask again. */
  begin(): void {
    if (this.sources) {
      this.refresh();
    } else {
      this.restart();
    }
  }

  setFilter(filter: Filter): void {
    this.filter.set(filter);
    if (this.sources) {
      this.restart();
    }
  }

  setGrouped(grouped: boolean): void {
    if (grouped !== this.grouped.value) {
      this.grouped.set(grouped);
      if (this.sources) {
        this.restart();
      }
    }
  }

  setOpen(sweep: string, open: boolean): void {
    const all = new Set(this.open.value);
    if (open) {
      all.add(sweep);
    } else {
      all.delete(sweep);
    }
    this.open.set(all);
    this.show();
  }

  /** Which rows are looked at: the first and the last. */
  look(first: number, last: number): void {
    if (this.view[0] !== first || this.view[1] !== last) {
      this.view = [first, last];
      this.pump();
    }
  }

  /** Everything may be different now. */
  refresh(): void {
    this.sources?.growOld();
    this.note();
  }

  /** What is known here of a job. */
  job(id: string): Job | null {
    return this.sources?.job(id) ?? null;
  }

  sweep(id: string): Sweep | null {
    return this.sources?.sweeps?.list.entries.get(id)?.item ?? null;
  }

  /** Forget what is known, and begin anew with another question. */
  private restart(): void {
    this.sources?.dispose();
    const made = new JobSources(this.requests, this.filter.value, this.grouped.value, () => {
      if (made === this.sources) {
        this.show();
      }
    });
    this.sources = made;
    this.view = [0, 0];
    this.show();
  }

  private show(): void {
    if (this.sources) {
      this.sources.setOpen(this.open.value);
      this.rows.set(this.sources.rows());
      this.pump();
    }
  }

  private pump(): void {
    this.sources?.look(this.rows.value.slice(this.view[0], this.view[1] + 1));
    this.note();
  }

  private note(): void {
    const all = this.sources?.all() ?? [];
    const before = this.loading.value;
    const now: Loading = {
      busy: all.some(source => source.loading),
      known: this.sources?.known ?? false,
      error: all.find(source => source.error)?.error ?? null,
    };
    if (now.busy !== before.busy || now.known !== before.known || now.error !== before.error) {
      this.loading.set(now);
    }
  }
}
