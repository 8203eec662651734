import { VtkError, type Numbers } from './types';

interface Kind {
  bytes: number;
  /** What a text of so many values is kept in. */
  make: (count: number) => Numbers;
  read?: (view: DataView, at: number) => number;
}

const BIT: Kind = { bytes: 0, make: count => new Uint8Array(count) };
const LONG = (signed: boolean): Kind => ({
  bytes: 8,
  make: count => new Float64Array(count),
  read: (view, at) => Number(signed ? view.getBigInt64(at) : view.getBigUint64(at)),
});

const KINDS: Record<string, Kind | undefined> = {
  bit: BIT,
  unsigned_char: { bytes: 1, make: n => new Uint8Array(n), read: (v, at) => v.getUint8(at) },
  char: { bytes: 1, make: n => new Int8Array(n), read: (v, at) => v.getInt8(at) },
  signed_char: { bytes: 1, make: n => new Int8Array(n), read: (v, at) => v.getInt8(at) },
  unsigned_short: { bytes: 2, make: n => new Uint16Array(n), read: (v, at) => v.getUint16(at) },
  short: { bytes: 2, make: n => new Int16Array(n), read: (v, at) => v.getInt16(at) },
  unsigned_int: { bytes: 4, make: n => new Uint32Array(n), read: (v, at) => v.getUint32(at) },
  int: { bytes: 4, make: n => new Int32Array(n), read: (v, at) => v.getInt32(at) },
  vtkidtype: { bytes: 4, make: n => new Int32Array(n), read: (v, at) => v.getInt32(at) },
  float: { bytes: 4, make: n => new Float32Array(n), read: (v, at) => v.getFloat32(at) },
  double: { bytes: 8, make: n => new Float64Array(n), read: (v, at) => v.getFloat64(at) },
  long: LONG(true),
  unsigned_long: LONG(false),
  vtktypeint64: LONG(true),
  vtktypeuint64: LONG(false),
};

/** Space, tab, newline and their like. */
function isSpace(byte: number | undefined): boolean {
  return byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13);
}

/** Reads words, lines and numbers of a legacy VTK file. Never makes room for more than the file can hold. */
export class Reader {
  place = 0;
  binary = false;
  private readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get ended(): boolean {
    return this.place >= this.bytes.length;
  }

  /** The rest of this line, without its end; too long a line is an error. */
  line(longest = 4096): string {
    const newline = this.bytes.indexOf(10, this.place);
    const end = newline < 0 ? this.bytes.length : newline;
    if (end - this.place > longest) {
      throw new VtkError('a line is too long for a legacy VTK file');
    }
    const text = this.text(this.place, end);
    this.place = Math.min(this.bytes.length, end + 1);
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  }

  /** The next line with words on it, divided at spaces; null at the end. */
  words(): string[] | null {
    this.skipSpace();
    return this.ended ? null : this.line().trim().split(/\s+/);
  }

  /** The next word, without what follows it. */
  word(): string {
    this.skipSpace();
    const start = this.place;
    while (!this.ended && !isSpace(this.bytes[this.place]) && this.place - start <= 256) {
      this.place += 1;
    }
    return this.text(start, this.place);
  }

  /** Look at the next word without going on. */
  peek(): string {
    const before = this.place;
    const word = this.word();
    this.place = before;
    return word;
  }

  /** So many values of a type; `what` names them in errors. */
  numbers(typeName: string, count: number, what: string): Numbers {
    const kind = KINDS[typeName.toLowerCase()];
    if (!kind) {
      throw new VtkError(`${what}: values of type ${typeName.slice(0, 40)} cannot be shown`);
    }
    const left = this.bytes.length - this.place;
    const needed = this.binary
      ? kind === BIT
        ? Math.ceil(count / 8)
        : count * kind.bytes
      : 2 * count - 1;
    if (!Number.isSafeInteger(count) || count < 0 || needed > left) {
      throw new VtkError(`${what}: the file ends before its ${count} values`);
    }
    return this.binary ? this.binaryNumbers(kind, count) : this.asciiNumbers(kind, count, what);
  }

  /** Bytes that mean nothing to us. */
  skip(count: number, what: string): void {
    if (count > this.bytes.length - this.place) {
      throw new VtkError(`${what}: the file ends too early`);
    }
    this.place += count;
  }

  skipSpace(): void {
    while (!this.ended && isSpace(this.bytes[this.place])) {
      this.place += 1;
    }
  }

  private binaryNumbers(kind: Kind, count: number): Numbers {
    const values = kind.make(count);
    const { read } = kind;
    if (!read) {
      for (let i = 0; i < count; i++) {
        values[i] = ((this.bytes[this.place + (i >> 3)] ?? 0) >> (7 - (i & 7))) & 1;
      }
      this.place += Math.ceil(count / 8);
      return values;
    }
    for (let i = 0; i < count; i++) {
      values[i] = read(this.view, this.place + i * kind.bytes);
    }
    this.place += count * kind.bytes;
    return values;
  }

  private asciiNumbers(kind: Kind, count: number, what: string): Numbers {
    const values = kind.make(count);
    for (let i = 0; i < count; i++) {
      const word = this.word();
      const value = Number(word);
      if (word === '' || (Number.isNaN(value) && !/^[+-]?nan/i.test(word))) {
        if (/^[+-]?inf/i.test(word)) {
          values[i] = word.startsWith('-') ? -Infinity : Infinity;
          continue;
        }
        throw new VtkError(
          word === ''
            ? `${what}: the file ends after ${i} of ${count} values`
            : `${what}: “${word.slice(0, 40)}” is not a number`,
        );
      }
      values[i] = value;
    }
    return values;
  }

  private text(start: number, end: number): string {
    let found = '';
    for (let i = start; i < end; i++) {
      found += String.fromCharCode(this.bytes[i] ?? 0);
    }
    return found;
  }
}

/** A count out of a header line. */
export function countOf(word: string | undefined, what: string): number {
  const count = word !== undefined && /^\d{1,15}$/.test(word) ? Number(word) : NaN;
  if (Number.isNaN(count)) {
    throw new VtkError(`${what}: “${(word ?? '').slice(0, 40)}” is not a count`);
  }
  return count;
}

/** A name in a file is percent-encoded. */
export function nameOf(word: string | undefined): string {
  const given = word ?? '';
  try {
    return decodeURIComponent(given);
  } catch {
    return given;
  }
}
