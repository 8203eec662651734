/** Whether two jobs left the same outputs, by size and digest. Pure. */
import type { OutputFile } from '../api/models';

export type Alike = 'same' | 'different' | 'unknown' | 'only_first' | 'only_second';

export interface FilePair {
  path: string;
  alike: Alike;
  first: OutputFile | null;
  second: OutputFile | null;
}

/**
 * Compare file by file; what differs comes first.
 *
 * @param cut Not all files are known: then one that is missing in a list may be there all the same, and is left out.
 */
export function compareFiles(
  first: readonly OutputFile[],
  second: readonly OutputFile[],
  cut: boolean,
): FilePair[] {
  const others = new Map(second.map(file => [file.path, file]));
  const pairs: FilePair[] = [];
  for (const file of first) {
    const other = others.get(file.path) ?? null;
    others.delete(file.path);
    const alike = other ? alikeness(file, other) : 'only_first';
    pairs.push({ path: file.path, alike, first: file, second: other });
  }
  for (const [path, file] of others) {
    pairs.push({ path, alike: 'only_second', first: null, second: file });
  }
  return pairs
    .filter(pair => !cut || (pair.first && pair.second))
    .sort((a, b) => Number(a.alike === 'same') - Number(b.alike === 'same'));
}

function alikeness(first: OutputFile, second: OutputFile): Alike {
  if (first.size !== second.size) {
    return 'different';
  }
  if (first.digest === null || second.digest === null) {
    return 'unknown';
  }
  return first.digest === second.digest ? 'same' : 'different';
}
