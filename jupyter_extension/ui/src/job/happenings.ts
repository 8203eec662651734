import type { Event } from '../api/models';
import type { Panel } from '../panel';
import { Observable } from '../state/observable';
import { eventsAfter } from './requests';

/** Events that come together are shown once, in milliseconds. */
const GATHER = 150;

/** All that has happened to one job, in order, kept current by the page's stream. */
export class Happenings {
  readonly events = new Observable<readonly Event[]>([]);
  readonly error = new Observable<Error | null>(null);
  readonly loaded = new Observable(false);
  private known: Event[] = [];
  private coming: Event[] = [];
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private reading = false;
  private again = false;
  private readonly leave: (() => void)[];

  constructor(
    private readonly panel: Panel,
    private readonly id: string,
  ) {
    this.leave = [
      panel.jobs.onEvent(event => {
        if (event.job_id === id) {
          this.coming.push(event);
          this.gathering ??= setTimeout(() => {
            this.settle();
          }, GATHER);
        }
      }),
      panel.jobs.resumed.subscribe(() => void this.read()),
    ];
    void this.read();
  }

  dispose(): void {
    clearTimeout(this.gathering);
    this.leave.forEach(end => end());
  }

  /** Read what happened since the last known event. */
  async read(): Promise<void> {
    if (this.reading) {
      this.again = true;
      return;
    }
    this.reading = true;
    try {
      do {
        this.again = false;
        const last = this.known.at(-1)?.sequence ?? 0;
        this.add(await eventsAfter(this.panel, this.id, last));
        this.error.set(null);
        this.loaded.set(true);
        // Set by another call, while this one waited.
      } while (this.mustReadAgain());
      this.settle();
    } catch (error) {
      this.error.set(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.reading = false;
    }
  }

  private mustReadAgain(): boolean {
    return this.again;
  }

  /** What came by the stream counts only behind what was read: else there could be a gap. */
  private settle(): void {
    this.gathering = undefined;
    if (this.loaded.value) {
      const come = this.coming;
      this.coming = [];
      this.add(come);
    }
  }

  private add(events: readonly Event[]): void {
    const last = this.known.at(-1)?.sequence ?? 0;
    const fresh = events
      .filter(event => event.sequence > last)
      .sort((a, b) => a.sequence - b.sequence)
      .filter((event, index, all) => event.sequence !== all[index - 1]?.sequence);
    if (fresh.length > 0) {
      this.known = [...this.known, ...fresh];
      this.events.set(this.known);
    }
  }
}
