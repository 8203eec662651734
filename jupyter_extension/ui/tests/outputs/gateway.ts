/** A gateway's listing of outputs, for the tests: the same pages in the same order. */
import type { OutputFile, OutputFolder, OutputPage } from '../../src/api/models';

export function outputFile(given: Partial<OutputFile> & { path: string }): OutputFile {
  return {
    name: `job/${given.path}`,
    job_id: 'job',
    store: 'results',
    attempt: 1,
    size: 10,
    modified_at: null,
    content_type: null,
    digest: null,
    state: 'partial',
    stored_at: null,
    tier: null,
    archived: false,
    restoring: false,
    url: '',
    ...given,
  };
}

const encoder = new TextEncoder();

/** The order of the gateway: byte by byte. */
export function byBytes(a: string, b: string): number {
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return left.length - right.length;
}

export class FakeListing {
  readonly files = new Map<string, OutputFile>();
  asked: string[] = [];

  put(...paths: string[]): void {
    for (const path of paths) {
      this.files.set(path, outputFile({ path }));
    }
  }

  names(prefix: string): string[] {
    const found = new Set<string>();
    for (const path of this.files.keys()) {
      if (path.startsWith(prefix)) {
        const slash = path.indexOf('/', prefix.length);
        found.add(slash < 0 ? path : path.slice(0, slash + 1));
      }
    }
    return [...found].sort(byBytes);
  }

  page(prefix: string, cursor: string | null, limit: number): OutputPage {
    this.asked.push(prefix);
    const all = this.names(prefix).filter(name => cursor === null || byBytes(name, cursor) > 0);
    const names = all.slice(0, limit);
    const folders: OutputFolder[] = [];
    const files: OutputFile[] = [];
    for (const name of names) {
      const file = this.files.get(name);
      if (file) {
        files.push(file);
      } else {
        const below = [...this.files.values()].filter(one => one.path.startsWith(name));
        folders.push({ prefix: name, count: below.length, bytes: below.length * 10 });
      }
    }
    return {
      prefix,
      folders,
      files,
      next_cursor: all.length > limit ? (names.at(-1) ?? null) : null,
    };
  }
}
