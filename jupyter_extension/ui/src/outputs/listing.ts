import type { OutputFile, OutputFolder, OutputPage } from '../api/models';

export type Entry =
  | { kind: 'folder'; name: string; folder: OutputFolder }
  | { kind: 'file'; name: string; file: OutputFile };

/** The order of names byte by byte in UTF-8, which is the gateway's; JavaScript's own differs beyond U+FFFF. */
export function compareNames(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) {
      return inOrder(left) - inOrder(right);
    }
  }
  return a.length - b.length;
}

/** Halves of pairs stand for what comes after everything else. */
function inOrder(code: number): number {
  if (code < 0xd800) {
    return code;
  }
  return code >= 0xe000 ? code - 0x800 : code + 0x2000;
}

function entriesOf(page: OutputPage): Entry[] {
  const found: Entry[] = [
    ...page.folders.map((folder): Entry => ({ kind: 'folder', name: folder.prefix, folder })),
    ...page.files.map((file): Entry => ({ kind: 'file', name: file.path, file })),
  ];
  return found.sort((a, b) => compareNames(a.name, b.name));
}

/** Folders that are known whole and are no larger are shown as people sort: folders first, numbers as numbers. */
const SORTED = 1000;
const natural = new Intl.Collator('en', { numeric: true, sensitivity: 'variant' });

function asPeopleSort(a: Entry, b: Entry): number {
  if (a.kind !== b.kind) {
    return a.kind === 'folder' ? -1 : 1;
  }
  return natural.compare(trimmed(a.name), trimmed(b.name)) || compareNames(a.name, b.name);
}

function trimmed(name: string): string {
  return name.endsWith('/') ? name.slice(0, -1) : name;
}

/**
 * What is known of one folder's content: a gapless beginning of it, in order. A page says everything about the names
 * between the one before it and its last one, so pages can come again, and in any order of asking.
 */
export class Listing {
  entries: Entry[] = [];
  /** Where the next page begins; null: at the first name, or there is none (see `complete`). */
  cursor: string | null = null;
  complete = false;
  /** Whether any answer has come. */
  loaded = false;

  /** The entries in the order in which they are shown; that of large folders is the gateway's. */
  get inOrder(): readonly Entry[] {
    if (this.sorted?.of !== this.entries) {
      const few = this.complete && this.entries.length <= SORTED;
      this.sorted = {
        of: this.entries,
        entries: few ? [...this.entries].sort(asPeopleSort) : this.entries,
      };
    }
    return this.sorted.entries;
  }
  private sorted: { of: Entry[]; entries: readonly Entry[] } | null = null;

  /** The last name that is covered; null: none. */
  get covered(): string | null {
    return this.frontier;
  }
  private frontier: string | null = null;

  /** Take in a page that was asked for after the name `after` (null: from the beginning). */
  take(after: string | null, page: OutputPage): void {
    const found = entriesOf(page);
    const last = found.at(-1)?.name ?? after;
    const ends = page.next_cursor === null;
    const from = after === null ? 0 : this.placeAfter(after);
    const to = ends ? this.entries.length : last === null ? from : this.placeAfter(last);
    this.entries = [...this.entries.slice(0, from), ...found, ...this.entries.slice(to)];
    this.loaded = true;
    if (ends) {
      this.complete = true;
      this.frontier = last;
      this.cursor = null;
    } else if (
      !this.complete &&
      (last === null || !this.frontier || compareNames(last, this.frontier) >= 0)
    ) {
      this.frontier = last;
      this.cursor = page.next_cursor;
    }
  }

  /** Whether a page that ends with this name has come as far as what was known before. */
  reaches(last: string): boolean {
    return !this.complete && this.frontier !== null && compareNames(last, this.frontier) >= 0;
  }

  private placeAfter(name: string): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareNames(this.entries[middle]?.name ?? '', name) <= 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
