import { ENDED, type Job } from '../api/models';
import type { Panel } from '../panel';
import { EndedJobs, type News } from '../state/ended';
import { JobList } from '../state/job_list';
import { Observable } from '../state/observable';
import { NOTHING_CHOSEN, prune, type Selection } from '../state/selection';
import { TargetBoard } from '../state/target_board';
import type { Row } from '../state/job_rows';

/** What the parts of the sidebar share. */
export class SidebarModel {
  readonly list: JobList;
  readonly ended: EndedJobs;
  readonly targets: TargetBoard;
  readonly selection = new Observable<Selection>(NOTHING_CHOSEN);
  /** Null: what is shown is current; else since when it is not, by this browser's clock. */
  readonly staleSince = new Observable<number | null>(null);
  /** What was asked for and refused. */
  readonly failure = new Observable<Error | null>(null);
  private ready = false;
  private readonly stops: (() => void)[];

  constructor(
    readonly panel: Panel,
    tell: (news: News[]) => void,
  ) {
    this.list = new JobList(panel.requests, panel.jobs);
    this.ended = new EndedJobs(panel.requests, panel.jobs, tell);
    this.targets = new TargetBoard(panel.requests, panel.jobs);
    this.stops = [
      panel.status.subscribe(() => this.begin()),
      panel.jobs.live.subscribe(() => this.judge()),
      this.list.loading.subscribe(() => {
        this.judge();
        this.askAgain();
      }),
      this.list.rows.subscribe(() => {
        const { active, chosen } = this.selection.value;
        if (active !== null || chosen.size > 0) {
          const there = new Set(this.list.rows.value.map(row => row.key));
          this.selection.set(prune(this.selection.value, there));
        }
      }),
    ];
    this.begin();
  }

  dispose(): void {
    this.stops.forEach(stop => stop());
    this.list.dispose();
    this.ended.dispose();
    this.targets.dispose();
  }

  refresh(): void {
    this.list.begin();
    void this.targets.refresh();
    void this.panel.refreshStatus();
  }

  /** The rows that are chosen, or else the one that the keyboard is on. */
  chosen(): Exclude<Row, { kind: 'more' }>[] {
    const { chosen, active } = this.selection.value;
    const keys = chosen.size > 0 ? chosen : new Set(active === null ? [] : [active]);
    return this.list.rows.value.filter(row => row.kind !== 'more').filter(row => keys.has(row.key));
  }

  private begin(): void {
    const ready = this.panel.status.value?.state === 'ready';
    if (ready && !this.ready) {
      this.list.begin();
      void this.targets.refresh();
    }
    this.ready = ready;
    this.judge();
  }

  private judge(): void {
    const { error } = this.list.loading.value;
    if (this.panel.jobs.live.value && !error && this.ready) {
      this.staleSince.set(null);
      return;
    }
    const heard = Math.min(this.panel.socket.heardAt, Date.now());
    this.staleSince.set(this.staleSince.value ?? heard);
  }

  /** Where the list cannot be read although the gateway counts as ready, or the other way round, ask how it is. */
  private askAgain(): void {
    const { error, known, busy } = this.list.loading.value;
    if (!busy && known && (error === null) !== this.ready) {
      void this.panel.refreshStatus();
    }
  }
}

/** Whether something may still happen to a job, so that the age of what is known of it matters. */
export function isLive(job: Job): boolean {
  return !ENDED.has(job.state) && job.state !== 'draft';
}
