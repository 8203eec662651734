/** Reading single files of a zip archive in the browser: what a stranger made, so that nothing in it is believed. */

/** Bytes from the end in which the directory's end is looked for: its comment has 65,535 at most. */
const TAIL = 65_535 + 22;
const MOST_DIRECTORY = 64 * 1024 * 1024;
const MOST_ENTRIES = 200_000;

interface Entry {
  name: string;
  offset: number;
  packed: number;
  size: number;
  method: number;
}

export class ZipFile {
  private constructor(
    private readonly file: Blob,
    private readonly entries: ReadonlyMap<string, Entry>,
  ) {}

  /** Read the directory of an archive; throws where it is none. */
  static async open(file: Blob): Promise<ZipFile> {
    const start = Math.max(0, file.size - TAIL);
    const tail = await view(file.slice(start));
    let at = tail.byteLength - 22;
    while (at >= 0 && tail.getUint32(at, true) !== 0x06054b50) {
      at -= 1;
    }
    if (at < 0) {
      throw new Error('this is no zip file, or it was cut off');
    }
    const place = await directoryPlace(file, tail, at, start + at);
    const { count, size, offset } = place;
    if (size > MOST_DIRECTORY || count > MOST_ENTRIES || offset + size > file.size) {
      throw new Error('the list of files in this zip file is not sound');
    }
    const entries = readDirectory(await view(file.slice(offset, offset + size)), count);
    return new ZipFile(file, new Map(entries.map(entry => [entry.name, entry])));
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** The folder, with its slash, in which a file stands: at the root, or in the one folder of an archive. */
  rootOf(name: string): string | null {
    if (this.entries.has(name)) {
      return '';
    }
    const found = [...this.entries.keys()].filter(
      path => path.endsWith(`/${name}`) && path.indexOf('/') === path.length - name.length - 1,
    );
    return found.length === 1 ? (found[0] ?? '').slice(0, -name.length) : null;
  }

  /** The bytes of a file, `most` at most whatever the archive says. */
  async read(name: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entries.get(name);
    if (!entry) {
      throw new Error(`${name} is not in the zip file`);
    }
    if (entry.size > most) {
      throw new Error(`${name} is larger than it may be`);
    }
    const head = await view(this.file.slice(entry.offset, entry.offset + 30));
    if (head.byteLength < 30 || head.getUint32(0, true) !== 0x04034b50) {
      throw new Error(`${name} is not where the zip file says`);
    }
    const from = entry.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    const packed = this.file.slice(from, from + entry.packed);
    if (entry.method !== 0 && entry.method !== 8) {
      throw new Error(`${name} is packed in a way that cannot be read`);
    }
    const stream =
      entry.method === 0
        ? packed.stream()
        : packed.stream().pipeThrough(new DecompressionStream('deflate-raw'));
    return collect(stream, name, most);
  }
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  name: string,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    size += value.byteLength;
    if (size > most) {
      await reader.cancel();
      throw new Error(`${name} unpacks to more than it may`);
    }
    parts.push(value);
  }
  const found = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.byteLength;
  }
  return found;
}

async function view(blob: Blob): Promise<DataView> {
  return new DataView(await blob.arrayBuffer());
}

interface DirectoryPlace {
  count: number;
  size: number;
  offset: number;
}

/** Where the directory stands; large archives say it in a record of their own. */
async function directoryPlace(
  file: Blob,
  tail: DataView,
  at: number,
  place: number,
): Promise<DirectoryPlace> {
  const found = {
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  const large = found.count === 0xffff || found.size === 0xffffffff || found.offset === 0xffffffff;
  if (!large || place < 20) {
    return found;
  }
  const locator = await view(file.slice(place - 20, place));
  if (locator.getUint32(0, true) !== 0x07064b50) {
    return found;
  }
  const where = Number(locator.getBigUint64(8, true));
  const record = await view(file.slice(where, where + 56));
  if (record.byteLength < 56 || record.getUint32(0, true) !== 0x06064b50) {
    throw new Error('the list of files in this zip file is not sound');
  }
  return {
    count: Number(record.getBigUint64(32, true)),
    size: Number(record.getBigUint64(40, true)),
    offset: Number(record.getBigUint64(48, true)),
  };
}

function readDirectory(bytes: DataView, count: number): Entry[] {
  const found: Entry[] = [];
  const text = new TextDecoder();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.byteLength || bytes.getUint32(at, true) !== 0x02014b50) {
      throw new Error('the list of files in this zip file is not sound');
    }
    const [name, extra, comment] = [28, 30, 32].map(place => bytes.getUint16(at + place, true));
    const end = at + 46 + (name ?? 0) + (extra ?? 0);
    if (end > bytes.byteLength) {
      throw new Error('the list of files in this zip file is not sound');
    }
    const entry: Entry = {
      name: text.decode(new Uint8Array(bytes.buffer, at + 46, name)),
      method: bytes.getUint16(at + 10, true),
      packed: bytes.getUint32(at + 20, true),
      size: bytes.getUint32(at + 24, true),
      offset: bytes.getUint32(at + 42, true),
    };
    readLargeNumbers(entry, bytes, at + 46 + (name ?? 0), end);
    found.push(entry);
    at = end + (comment ?? 0);
  }
  return found;
}

/** Numbers that do not fit in 32 bits stand in a field of their own, in this order. */
function readLargeNumbers(entry: Entry, bytes: DataView, start: number, end: number): void {
  let at = start;
  while (at + 4 <= end) {
    const kind = bytes.getUint16(at, true);
    const last = Math.min(at + 4 + bytes.getUint16(at + 2, true), end);
    at += 4;
    if (kind === 1) {
      for (const name of ['size', 'packed', 'offset'] as const) {
        if (entry[name] === 0xffffffff && at + 8 <= last) {
          entry[name] = Number(bytes.getBigUint64(at, true));
          at += 8;
        }
      }
    }
    at = last;
  }
}
