import type { OutputFile, OutputFolder, OutputPage } from '../api/models';
import { Observable } from '../state/observable';
import { Listing } from './listing';

/** One line of the tree as it is shown. */
export type Row =
  | { kind: 'folder'; name: string; depth: number; folder: OutputFolder; open: boolean; at: Place }
  | { kind: 'file'; name: string; depth: number; file: OutputFile; at: Place }
  | { kind: 'more'; name: string; depth: number; prefix: string }
  | { kind: 'error'; name: string; depth: number; prefix: string; error: Error };

/** Where among its siblings a line stands, for screen readers; `of` is -1 while not all of them are known. */
export interface Place {
  index: number;
  of: number;
}

export type FetchPage = (
  prefix: string,
  cursor: string | null,
  limit: number,
  signal: AbortSignal,
) => Promise<OutputPage>;

interface Branch {
  listing: Listing;
  error: Error | null;
  /** One request at a time for a folder: answers cannot overtake each other. */
  last: Promise<void>;
  loading: boolean;
}

export const PAGE = 1000;
const LARGEST_PAGE = 5000;
/** Room for what came since. */
const SOME = 100;
/** News that come together are answered with one round of questions; rounds keep a distance. */
const GATHER = 300;
const DISTANCE = 2000;

/** The outputs of a job in one store, as far as somebody has opened them. */
export class OutputsTree {
  readonly rows = new Observable<readonly Row[]>([]);
  /** Whether the first answer is still on its way. */
  readonly waiting = new Observable(true);
  private readonly branches = new Map<string, Branch>();
  private readonly abort = new AbortController();
  private stale: Set<string> | 'all' | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private reloading = false;
  private lastRound = 0;

  constructor(
    private readonly fetchPage: FetchPage,
    private readonly opened = new Set<string>(),
    private readonly now: () => number = Date.now,
  ) {}

  /** Ask for the top, and for the folders that were open before. */
  start(): void {
    void this.more('');
    for (const prefix of this.opened) {
      void this.more(prefix);
    }
  }

  dispose(): void {
    this.abort.abort();
    clearTimeout(this.timer);
  }

  isOpen(prefix: string): boolean {
    return this.opened.has(prefix);
  }

  open(prefix: string): void {
    if (!this.opened.has(prefix)) {
      this.opened.add(prefix);
      if (this.branches.get(prefix)?.listing.loaded) {
        this.reload([prefix]);
      } else {
        void this.more(prefix);
      }
      this.show();
    }
  }

  close(prefix: string): void {
    if (this.opened.delete(prefix)) {
      this.show();
    }
  }

  /** Ask for the next page of a folder; after a failure, once more for the same. */
  more(prefix: string): Promise<void> {
    const branch = this.branch(prefix);
    if (branch.listing.complete || branch.loading) {
      return branch.last;
    }
    branch.loading = true;
    branch.last = branch.last.then(() => this.page(prefix, branch));
    return branch.last;
  }

  /** Something changed; `paths` are the names that did, nothing means: perhaps everything. */
  reload(paths?: readonly string[]): void {
    if (!paths || this.stale === 'all') {
      this.stale = 'all';
    } else {
      this.stale = new Set([...(this.stale ?? []), ...paths.flatMap(above)]);
    }
    this.plan();
  }

  private plan(): void {
    if (this.timer === undefined && !this.reloading && !this.abort.signal.aborted) {
      const pause = Math.max(GATHER, this.lastRound + DISTANCE - this.now());
      this.timer = setTimeout(() => {
        this.timer = undefined;
        void this.round();
      }, pause);
    }
  }

  /** Ask again for what is open and may have changed. */
  private async round(): Promise<void> {
    const stale = this.stale;
    this.stale = null;
    this.reloading = true;
    for (const [prefix, branch] of [...this.branches]) {
      const visible = prefix === '' || this.opened.has(prefix);
      if (visible && stale !== null && (stale === 'all' || stale.has(prefix))) {
        branch.last = branch.last.then(() => this.again(prefix, branch));
        await branch.last;
      }
    }
    this.reloading = false;
    this.lastRound = this.now();
    if (this.hasNews()) {
      this.plan();
    }
  }

  private hasNews(): boolean {
    return this.stale !== null;
  }

  private async page(prefix: string, branch: Branch): Promise<void> {
    const { listing } = branch;
    try {
      const page = await this.fetchPage(prefix, listing.cursor, PAGE, this.abort.signal);
      listing.take(listing.covered, page);
      branch.error = null;
    } catch (error) {
      branch.error = asError(error);
    }
    branch.loading = false;
    this.show();
  }

  /** Ask again for as much as is known; what was beyond stays for `more`. */
  private async again(prefix: string, branch: Branch): Promise<void> {
    const { listing } = branch;
    const target = listing.covered;
    const whole = listing.complete;
    const limit = Math.min(LARGEST_PAGE, Math.max(PAGE, listing.entries.length + SOME));
    let cursor: string | null = null;
    let after: string | null = null;
    try {
      for (;;) {
        const page = await this.fetchPage(prefix, cursor, limit, this.abort.signal);
        const last: string | null = lastName(page) ?? after;
        const done: boolean =
          page.next_cursor === null ||
          (!whole && (target === null || (last !== null && listing.reaches(last))));
        listing.take(after, page);
        branch.error = null;
        if (done) {
          break;
        }
        cursor = page.next_cursor;
        after = last;
      }
    } catch (error) {
      branch.error = asError(error);
    }
    this.show();
  }

  private branch(prefix: string): Branch {
    let found = this.branches.get(prefix);
    if (!found) {
      found = { listing: new Listing(), error: null, last: Promise.resolve(), loading: false };
      this.branches.set(prefix, found);
    }
    return found;
  }

  private show(): void {
    if (this.abort.signal.aborted) {
      return;
    }
    const rows: Row[] = [];
    this.collect('', 0, rows);
    this.rows.set(rows);
    const top = this.branches.get('');
    this.waiting.set(!top?.listing.loaded && !top?.error);
  }

  private collect(prefix: string, depth: number, rows: Row[]): void {
    const branch = this.branches.get(prefix);
    if (!branch) {
      return;
    }
    const { complete, loaded } = branch.listing;
    const entries = branch.listing.inOrder;
    const of = complete ? entries.length : -1;
    for (const [number, entry] of entries.entries()) {
      const at = { index: number + 1, of };
      if (entry.kind === 'file') {
        rows.push({ kind: 'file', name: entry.name, depth, file: entry.file, at });
      } else {
        const open = this.opened.has(entry.name);
        rows.push({ kind: 'folder', name: entry.name, depth, folder: entry.folder, open, at });
        if (open) {
          this.collect(entry.name, depth + 1, rows);
        }
      }
    }
    if (branch.error) {
      rows.push({
        kind: 'error',
        name: `${prefix}\u0000error`,
        depth,
        prefix,
        error: branch.error,
      });
    } else if (!complete && (loaded || depth > 0)) {
      rows.push({ kind: 'more', name: `${prefix}\u0000more`, depth, prefix });
    }
  }
}

/** The folders that a path stands in, from the top. */
function above(path: string): string[] {
  const found = [''];
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    found.push(path.slice(0, slash + 1));
  }
  return found;
}

/** The last name of a page, in the gateway's order. */
function lastName(page: OutputPage): string | null {
  const listing = new Listing();
  listing.take(null, page);
  return listing.entries.at(-1)?.name ?? null;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
