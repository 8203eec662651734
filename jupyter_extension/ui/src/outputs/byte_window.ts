/** A bounded part of a file that may be far larger, and may still grow. */
export interface Window {
  /** First byte of the file that is held. */
  start: number;
  bytes: Uint8Array;
  /** Size of the file, as far as is known. */
  size: number;
}

export type ReadRange = (
  first: number,
  last: number,
) => Promise<{ bytes: Uint8Array; size: number }>;

export const PIECE = 1024 * 1024;
export const TAIL = 256 * 1024;
/** What is held at most; beyond it the other end is let go. */
export const MOST = 8 * 1024 * 1024;

export const EMPTY: Window = { start: 0, bytes: new Uint8Array(), size: 0 };

export function endOf(window: Window): number {
  return window.start + window.bytes.length;
}

/** The first piece. */
export async function readHead(read: ReadRange, length = PIECE): Promise<Window> {
  const { bytes, size } = await read(0, length - 1);
  return { start: 0, bytes, size };
}

/** The last piece; `size` is what is believed to be the file's. */
export async function readTail(read: ReadRange, size: number, length = TAIL): Promise<Window> {
  const start = Math.max(0, size - length);
  const found = await read(start, start + 2 * length - 1);
  return { start, bytes: found.bytes, size: found.size };
}

/** The window with the next piece behind it. A file that became shorter was written anew: begin at its head. */
export async function readNext(read: ReadRange, window: Window, most = MOST): Promise<Window> {
  const end = endOf(window);
  const { bytes, size } = await read(end, end + PIECE - 1);
  if (size < end) {
    return readHead(read);
  }
  const joined = joinBytes(window.bytes, bytes);
  const dropped = Math.max(0, joined.length - most);
  return { start: window.start + dropped, bytes: joined.subarray(dropped), size };
}

/** The window with the piece before it. */
export async function readBefore(read: ReadRange, window: Window, most = MOST): Promise<Window> {
  const first = Math.max(0, window.start - PIECE);
  if (first === window.start) {
    return window;
  }
  const { bytes, size } = await read(first, window.start - 1);
  const joined = joinBytes(bytes, window.bytes);
  return { start: first, bytes: joined.subarray(0, most), size };
}

function joinBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** The text of a window; characters that are cut by its borders are left out, wrong ones are shown as �. */
export function textOfWindow(window: Window): string {
  const { bytes } = window;
  let from = 0;
  if (window.start > 0) {
    while (from < Math.min(3, bytes.length) && ((bytes[from] ?? 0) & 0xc0) === 0x80) {
      from += 1;
    }
  }
  // With `stream` the decoder keeps the beginning of a cut character for later, and we leave it there.
  const cut = endOf(window) < window.size;
  return new TextDecoder('utf-8').decode(bytes.subarray(from), { stream: cut });
}

/** Whether bytes are those of a program or of numbers rather than text. */
export function looksBinary(bytes: Uint8Array): boolean {
  const sample = bytes.subarray(0, 8192);
  let odd = 0;
  for (const byte of sample) {
    if (byte === 0) {
      return true;
    }
    if (byte < 9 || (byte > 13 && byte < 27) || (byte > 27 && byte < 32)) {
      odd += 1;
    }
  }
  return odd > sample.length / 50;
}

const LONGEST_LINE = 4000;

/** Lines as they are shown: very long ones are broken, so that none is too long to draw. */
export function linesOf(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line.length <= LONGEST_LINE) {
      found.push(line);
    } else {
      for (let i = 0; i < line.length; i += LONGEST_LINE) {
        found.push(line.slice(i, i + LONGEST_LINE));
      }
    }
  }
  if (found.length > 1 && found.at(-1) === '') {
    found.pop();
  }
  return found;
}
