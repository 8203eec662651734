import {
  compare,
  emptyList,
  grownOld,
  needsAnswer,
  takePage,
  type Key,
  type KeysetList,
  type Listed,
  type Page,
  type Part,
} from './keyset';

const FIRST_PAUSE = 2000;
const LONGEST_PAUSE = 10_000;

/** What somebody looks at; `tail`: the place where the known part of the list ends. */
export interface View {
  from: Key | null;
  to: Key | null;
  tail: boolean;
}

/** One list of the server's: asks for the pages that somebody looks at, one at a time. */
export class Source<T extends Listed> {
  list: KeysetList<T>;
  error: Error | null = null;
  private asking: AbortController | null = null;
  private pause = FIRST_PAUSE;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private view: View = { from: null, to: null, tail: true };

  /**
   * @param ask Asks for the page that begins at a cursor.
   * @param tick Numbers what happens.
   * @param changed Called after every answer and every failure.
   */
  constructor(
    private readonly ask: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>,
    keyOf: (item: T) => Key,
    private readonly tick: () => number,
    private readonly changed: () => void,
  ) {
    this.list = emptyList(keyOf);
  }

  get loading(): boolean {
    return this.asking !== null;
  }

  /** Everything may be different now; what is looked at is asked for again. */
  growOld(): void {
    this.list = grownOld(this.list, this.tick());
    this.pause = FIRST_PAUSE;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.error = null;
    this.pump();
  }

  look(view: View): void {
    this.view = view;
    this.pump();
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = null;
  }

  private pump(): void {
    if (this.asking || this.timer !== undefined) {
      return;
    }
    const part = wanted(this.list.parts, this.view);
    if (part) {
      void this.fetch(part);
    }
  }

  private async fetch(part: Part): Promise<void> {
    const asked = this.tick();
    const asking = new AbortController();
    this.asking = asking;
    try {
      const page = await this.ask(part.cursor, asking.signal);
      if (asking.signal.aborted) {
        return;
      }
      this.list = takePage(this.list, { cursor: part.cursor, asked }, page);
      this.error = null;
      this.pause = FIRST_PAUSE;
    } catch (error) {
      if (asking.signal.aborted) {
        return;
      }
      this.error = error instanceof Error ? error : new Error(String(error));
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.pump();
      }, this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    }
    this.asking = null;
    this.changed();
    this.pump();
  }
}

/** The part to ask for next: the newest, then what is looked at. */
function wanted(parts: readonly Part[], view: View): Part | null {
  const top = parts[0];
  if (top && needsAnswer(top)) {
    return top;
  }
  for (const [index, part] of parts.entries()) {
    if (!needsAnswer(part)) {
      continue;
    }
    if (part.answered === 0) {
      return view.tail ? part : null;
    }
    const next = parts[index + 1]?.after ?? null;
    const begins = part.after === null || view.to === null || compare(part.after, view.to) <= 0;
    const ends = next === null || view.from === null || compare(view.from, next) <= 0;
    if (begins && ends && view.to !== null) {
      return part;
    }
  }
  return null;
}
