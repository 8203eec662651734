/** The part of a log that the page holds: lines, and where in the log they begin and end. */
import { overwritten, parseLine, PLAIN, plainText, type Piece, type Style } from './ansi';

/** Characters that are held at first; what is older is dropped, and can be loaded again. */
export const LIMIT = 5_000_000;
/** Characters that are held at most, after older text was loaded. */
export const LIMIT_WITH_OLDER = 25_000_000;
/** Rows that are held at most: a page can be only so high. */
const MOST_ROWS = 500_000;
/** A longer line goes on in the next row. */
const LONGEST = 4000;

interface Row {
  raw: string;
  /** The style at its begin. */
  style: Style;
  /** Whether a newline followed (else it goes on in the next row, or is still being written). */
  whole: boolean;
}

export class LogBuffer {
  /** Offset in bytes of the first character that is held. */
  start = 0;
  /** Offset in bytes behind the last one. */
  end = 0;
  /** Characters of the longest row so far. */
  widest = 0;
  private rows: Row[] = [];
  private held = 0;
  private limit = LIMIT;
  private style: Style = PLAIN;

  /** Number of rows to show. */
  get length(): number {
    return this.rows.length;
  }

  /** Whether more can be held when older text is loaded. */
  get roomForOlder(): boolean {
    return this.start > 0 && this.held < LIMIT_WITH_OLDER && this.length < MOST_ROWS;
  }

  pieces(index: number): Piece[] {
    const row = this.rows[index];
    return row ? parseLine(overwritten(row.raw), row.style).pieces : [];
  }

  text(index: number): string {
    const row = this.rows[index];
    return row ? plainText(overwritten(row.raw)) : '';
  }

  /** Begin again, at an offset. */
  reset(offset = 0): void {
    this.start = this.end = offset;
    this.rows = [];
    this.held = 0;
    this.widest = 0;
    this.limit = LIMIT;
    this.style = PLAIN;
  }

  /** Add what was written; `end` is the offset behind it. Answers how many rows were dropped at the top. */
  append(text: string, end: number): number {
    const last = this.rows.at(-1);
    let rest = text;
    if (last && !last.whole) {
      this.rows.pop();
      this.held -= last.raw.length + 1;
      this.style = last.style;
      rest = last.raw + text;
    }
    for (const row of this.cut(rest)) {
      this.rows.push(row);
    }
    this.end = end;
    return this.trim();
  }

  /** Put older text on top, which begins at `start` and ends where this one began. Answers how many rows came. */
  prepend(text: string, start: number): number {
    const before = this.rows.length;
    const first = this.rows.shift();
    if (first) {
      this.held -= first.raw.length + 1;
    }
    const kept = this.style;
    const last = this.rows.length === 0;
    this.style = PLAIN;
    const joined = text + (first ? first.raw + (first.whole ? '\n' : '') : '');
    const older = this.cut(joined);
    if (!last) {
      this.style = kept;
    }
    this.rows = [...older, ...this.rows];
    this.start = start;
    this.limit = Math.min(LIMIT_WITH_OLDER, Math.max(this.limit, this.held + LIMIT / 5));
    return this.rows.length - before;
  }

  private cut(text: string): Row[] {
    const lines = text.split('\n');
    const rows: Row[] = [];
    lines.forEach((line, number) => {
      const whole = number < lines.length - 1;
      for (let place = 0; place < line.length || (place === 0 && whole); place += LONGEST) {
        const raw = line.slice(place, place + LONGEST);
        const ended = whole && place + LONGEST >= line.length;
        rows.push({ raw, style: this.style, whole: ended });
        this.style = parseLine(raw, this.style).after;
        this.held += raw.length + 1;
        this.widest = Math.max(this.widest, raw.length);
      }
    });
    return rows;
  }

  private trim(): number {
    if (this.held <= this.limit && this.rows.length <= MOST_ROWS) {
      return 0;
    }
    let dropped = 0;
    // A tenth more, so that the next line does not drop again.
    const tooMuch = (): boolean =>
      this.held > 0.9 * this.limit || this.rows.length - dropped > 0.9 * MOST_ROWS;
    while (tooMuch() && dropped < this.rows.length - 1) {
      const row = this.rows[dropped];
      if (!row) {
        break;
      }
      this.held -= row.raw.length + 1;
      this.start += bytesOf(row.raw) + (row.whole ? 1 : 0);
      dropped += 1;
    }
    this.rows.splice(0, dropped);
    return dropped;
  }
}

/** Bytes of text in UTF-8; what stands for a byte that was none counts as one. */
export function bytesOf(text: string): number {
  let bytes = 0;
  for (let place = 0; place < text.length; place += 1) {
    const code = text.charCodeAt(place);
    if (code < 0x80 || code === 0xfffd) {
      bytes += 1;
    } else if (code < 0x800) {
      bytes += 2;
    } else if (code >= 0xd800 && code < 0xdc00 && place + 1 < text.length) {
      bytes += 4;
      place += 1;
    } else {
      bytes += 3;
    }
  }
  return bytes;
}
