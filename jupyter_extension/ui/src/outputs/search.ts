import type { OutputFile, OutputPage } from '../api/models';
import { Observable } from '../state/observable';
import { fixedFolder, matcher } from './pattern';

export interface Found {
  files: OutputFile[];
  /** How many files were looked at. */
  seen: number;
  busy: boolean;
  /** Whether there are more files to look at. */
  more: boolean;
  error: Error | null;
}

export type FetchFlat = (
  prefix: string,
  cursor: string | null,
  signal: AbortSignal,
) => Promise<OutputPage>;

const NOTHING: Found = { files: [], seen: 0, busy: true, more: false, error: null };
/** Files that are looked at before a person is asked whether to go on. */
export const AT_ONCE = 20_000;

/** Files whose paths match a pattern, looked for page by page. */
export class Search {
  readonly found = new Observable<Found>(NOTHING);
  private readonly abort = new AbortController();
  private cursor: string | null = null;
  private started = false;
  private readonly matches: (path: string) => boolean;

  constructor(
    private readonly fetchFlat: FetchFlat,
    private readonly pattern: string,
  ) {
    this.matches = matcher(pattern);
  }

  dispose(): void {
    this.abort.abort();
  }

  /** Look at the next files. */
  async run(): Promise<void> {
    const until = this.found.value.seen + AT_ONCE;
    this.found.set({ ...this.found.value, busy: true, error: null });
    try {
      while (!this.started || (this.cursor !== null && this.found.value.seen < until)) {
        const page = await this.fetchFlat(
          fixedFolder(this.pattern),
          this.cursor,
          this.abort.signal,
        );
        this.started = true;
        this.cursor = page.next_cursor;
        const files = page.files.filter(file => this.matches(file.path));
        const { found } = this;
        found.set({
          ...found.value,
          files: [...found.value.files, ...files],
          seen: found.value.seen + page.files.length,
        });
      }
      this.found.set({ ...this.found.value, busy: false, more: this.cursor !== null });
    } catch (error) {
      if (!this.abort.signal.aborted) {
        const seen = error instanceof Error ? error : new Error(String(error));
        this.found.set({ ...this.found.value, busy: false, more: true, error: seen });
      }
    }
  }
}
