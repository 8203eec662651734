import type { Event, Job } from '../api/models';
import { Problem } from '../api/problems';
import { address, type Requests } from '../api/requests';
import type { Socket } from '../api/socket';
import { Observable } from './observable';

/** What the page knows of one job. */
export interface Known {
  job: Job | null;
  /** When the gateway last said so (milliseconds of this browser's clock); null: never. */
  checkedAt: number | null;
  /** Why it could not be asked; the job is then as it was at `checkedAt`. */
  error: Error | null;
  /** It does not exist (any more), or belongs to somebody else. */
  gone: boolean;
}

const NOTHING: Known = { job: null, checkedAt: null, error: null, gone: false };
/** Milliseconds before a stream that the gateway refused or ended is asked for again: at first, and at most. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
/** Events that come together are answered with one question. */
const GATHER = 250;

export type EventListener = (event: Event) => void;

/**
 * The jobs that the page looks at, kept current by the one stream of events. A job is asked for again only after an
 * event about it, and after the stream was away.
 */
export class Jobs {
  /** Whether events arrive; while they do not, what is shown is only as new as `checkedAt`. */
  readonly live = new Observable(false);
  private readonly known = new Map<string, Observable<Known>>();
  private readonly watchers = new Map<string, number>();
  private readonly listeners = new Set<EventListener>();
  private readonly dirty = new Set<string>();
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private sequence: string | null = null;
  private stop: (() => void) | null = null;
  private refused = false;
  private pause = FIRST_PAUSE;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Called when the stream is back after a pause: what is shown may be old. */
  readonly resumed = new Observable(0);

  constructor(
    private readonly requests: Requests,
    private readonly socket: Socket,
  ) {
    socket.connectedChanged.connect((_, connected) => {
      this.live.set(connected && !this.refused);
      if (connected) {
        this.catchUp();
      }
    });
  }

  /** Begin to listen, to what happens from now on. */
  listen(): void {
    if (this.stop || this.timer !== undefined) {
      return;
    }
    this.stop = this.socket.read({
      path: () =>
        this.sequence === null
          ? '/api/v1/events?new=true'
          : `/api/v1/events?after=${this.sequence}`,
      onEvent: ({ id, data }) => {
        this.accepted();
        this.sequence = id;
        this.take(data as Event);
      },
      onBeat: () => {
        this.accepted();
      },
      onEnd: () => {
        this.lose();
      },
      onProblem: problem => {
        if (problem.status === 410 || problem.status === 422) {
          this.sequence = null; // what we have heard last is not known there any more
        }
        this.lose();
      },
    });
  }

  dispose(): void {
    this.stop?.();
    this.stop = null;
    clearTimeout(this.gathering);
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** The gateway ended or refused the stream: ask again, with growing pauses. */
  private lose(): void {
    this.stop = null;
    this.refused = true;
    this.live.set(false);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.listen();
    }, this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
  }

  /** The stream is open. */
  private accepted(): void {
    if (this.refused) {
      this.refused = false;
      this.pause = FIRST_PAUSE;
      this.live.set(this.socket.connected);
      this.catchUp();
    }
  }

  private catchUp(): void {
    this.refreshWatched();
    this.resumed.set(this.resumed.value + 1);
  }

  /** Hear of every event of the person's jobs. */
  onEvent(listener: EventListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What is known of a job; it is kept current between `watch` and the call of its answer. */
  of(id: string): Observable<Known> {
    let found = this.known.get(id);
    if (!found) {
      found = new Observable(NOTHING);
      this.known.set(id, found);
    }
    return found;
  }

  watch(id: string): () => void {
    this.watchers.set(id, (this.watchers.get(id) ?? 0) + 1);
    if (this.of(id).value.checkedAt === null) {
      void this.refresh(id);
    }
    return () => {
      const left = (this.watchers.get(id) ?? 1) - 1;
      if (left > 0) {
        this.watchers.set(id, left);
      } else {
        this.watchers.delete(id);
        this.known.delete(id);
      }
    };
  }

  /** Take in a job that some answer held. An older version than the known one changes nothing. */
  learn(job: Job): void {
    const place = this.of(job.id);
    const before = place.value.job;
    if (before && before.version > job.version) {
      return;
    }
    const full = before?.spec && !job.spec ? { ...job, spec: before.spec } : job;
    place.set({ job: full, checkedAt: Date.now(), error: null, gone: false });
  }

  async refresh(id: string): Promise<void> {
    const place = this.of(id);
    try {
      this.learn(await this.requests.get<Job>(address('jobs', id)));
    } catch (error) {
      const gone = error instanceof Problem && error.status === 404;
      place.set({
        ...place.value,
        error: error instanceof Error ? error : new Error(String(error)),
        gone,
      });
    }
  }

  private take(event: Event): void {
    for (const listener of [...this.listeners]) {
      listener(event);
    }
    if (event.job_id && this.watchers.has(event.job_id)) {
      this.dirty.add(event.job_id);
      this.gathering ??= setTimeout(() => {
        this.flush();
      }, GATHER);
    }
  }

  private flush(): void {
    this.gathering = undefined;
    const ids = [...this.dirty];
    this.dirty.clear();
    for (const id of ids) {
      void this.refresh(id);
    }
  }

  private refreshWatched(): void {
    for (const id of this.watchers.keys()) {
      void this.refresh(id);
    }
  }
}
