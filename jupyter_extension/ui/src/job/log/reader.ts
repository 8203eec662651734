import { address } from '../../api/requests';
import type { Panel } from '../../panel';
import { Observable } from '../../state/observable';
import { bytesOf, LogBuffer } from './buffer';

export type LogStream = 'stdout' | 'stderr' | 'pull' | 'sync';

/** Bytes that are read at first, and with each step towards older text. */
const PIECE = 1024 * 1024;
/** Text that comes at short intervals is shown together, in milliseconds. */
const GATHER = 100;
/** What the gateway could not give now is asked for again after this. */
const AGAIN = 5000;
/** What the gateway says where a log became shorter: it is told from its start again. */
const BEGINS_AGAIN = '\n--- the log was cut and begins again ---\n';

/** Reads one log of one attempt: its end first, then what is written; older text when asked. */
export class LogReader {
  readonly buffer = new LogBuffer();
  /** Grows with every change of the buffer. */
  readonly version = new Observable(0);
  readonly error = new Observable<Error | null>(null);
  readonly loaded = new Observable(false);
  /** Told of rows that came (positive) or went at the top, so that the view can stay where it is. */
  onShift: ((rows: number) => void) | null = null;
  private readonly path: string;
  private stop: (() => void) | null = null;
  private running = false;
  private finished = false;
  private loading = false;
  private base = 0;
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly panel: Panel,
    job: string,
    stream: LogStream,
  ) {
    this.path = address('jobs', job, 'logs', stream);
  }

  /** Read, and follow unless the job `ended`. */
  start(ended: boolean): void {
    this.running = true;
    if (this.loaded.value) {
      this.follow();
    } else if (!this.loading) {
      void this.load(ended);
    }
  }

  pause(): void {
    this.running = false;
    clearTimeout(this.waiting);
    this.stop?.();
    this.stop = null;
  }

  /** Put the megabyte before what is held on top of it. */
  async loadOlder(): Promise<void> {
    if (this.loading || !this.buffer.roomForOlder) {
      return;
    }
    this.loading = true;
    try {
      const end = this.buffer.start;
      const from = Math.max(0, end - PIECE);
      const piece = await this.get(from, end - from);
      if (this.buffer.start === end) {
        const come = this.buffer.prepend(piece.text, piece.start);
        this.onShift?.(come);
        this.changed();
      }
      this.error.set(null);
    } catch (error) {
      this.fail(error);
    } finally {
      this.loading = false;
    }
  }

  private async load(ended: boolean): Promise<void> {
    this.loading = true;
    try {
      const piece = await this.get(-PIECE, PIECE);
      this.buffer.reset(piece.start);
      this.buffer.append(piece.text, piece.end);
      this.finished = ended;
      this.error.set(null);
      this.loaded.set(true);
      this.changed();
      this.follow();
    } catch (error) {
      this.fail(error);
      this.later(() => void this.load(ended));
    } finally {
      this.loading = false;
    }
  }

  /** Read a part; a character that it cuts at its begin is left out. */
  private async get(
    offset: number,
    limit: number,
  ): Promise<{ text: string; start: number; end: number }> {
    const response = await this.panel.requests.send('GET', this.path, { query: { offset, limit } });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const told = response.headers.get('X-Log-Offset');
    const end = told === null ? Math.max(0, offset) + bytes.length : Number(told);
    let skip = 0;
    if (end > bytes.length) {
      while (skip < Math.min(3, bytes.length) && ((bytes[skip] ?? 0) & 0xc0) === 0x80) {
        skip += 1;
      }
    }
    const text = new TextDecoder().decode(bytes.subarray(skip));
    return { text, start: end - bytes.length + skip, end };
  }

  private follow(): void {
    if (this.stop || this.finished || !this.running) {
      return;
    }
    this.stop = this.panel.socket.read({
      path: () => {
        this.base = 0;
        return `${this.path}?follow=true&offset=${this.buffer.end}`;
      },
      onText: (text, offset) => {
        this.take(text, offset);
      },
      onEnd: () => {
        this.stop = null;
        this.finished = true;
        this.changed();
      },
      onProblem: problem => {
        this.stop = null;
        this.error.set(problem);
        if (problem.status >= 500 || problem.status === 429) {
          this.later(() => this.follow());
        }
      },
    });
  }

  private take(text: string, offset: number): void {
    const place = text.lastIndexOf(BEGINS_AGAIN);
    if (place >= 0) {
      // Offsets of this connection count the words too; the log's own count from here.
      this.base = offset - bytesOf(text.slice(place + BEGINS_AGAIN.length));
    }
    const dropped = this.buffer.append(text, offset - this.base);
    if (dropped > 0) {
      this.onShift?.(-dropped);
    }
    this.error.set(null);
    this.changed();
  }

  private later(then: () => void): void {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      if (this.running) {
        then();
      }
    }, AGAIN);
  }

  private fail(error: unknown): void {
    this.error.set(error instanceof Error ? error : new Error(String(error)));
  }

  private changed(): void {
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      this.version.set(this.version.value + 1);
    }, GATHER);
  }
}
