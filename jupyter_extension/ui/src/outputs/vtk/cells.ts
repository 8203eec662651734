import { countOf, type Reader } from './reader';
import { VtkError, type Cells } from './types';

/** Cells of this type hold a list of faces instead of points; who draws them checks the indices. */
export const POLYHEDRON = 42;

export function noCells(): Cells {
  return { offsets: new Int32Array(1), connectivity: new Int32Array() };
}

/** `NAME cells size` and lists that begin with their length; from version 5 on, offsets and connectivity. */
export function readCells(reader: Reader, words: string[]): Cells {
  const what = words[0] ?? '';
  const first = countOf(words[1], what);
  const second = countOf(words[2], what);
  if (reader.peek().toUpperCase() === 'OFFSETS') {
    const offsets = reader.numbers(reader.words()?.[1] ?? '', first, `${what} OFFSETS`);
    const heading = reader.words();
    if (heading?.[0]?.toUpperCase() !== 'CONNECTIVITY') {
      throw new VtkError(`${what} has no CONNECTIVITY`);
    }
    const connectivity = reader.numbers(heading[1] ?? '', second, `${what} CONNECTIVITY`);
    return checkedOffsets(
      Int32Array.from(first === 0 ? [0] : offsets),
      Int32Array.from(connectivity),
      what,
    );
  }
  const list = reader.numbers('int', second, what);
  if (first > second) {
    throw new VtkError(`${what}: ${second} numbers cannot be ${first} cells`);
  }
  const offsets = new Int32Array(first + 1);
  const connectivity = new Int32Array(second - first);
  let place = 0;
  for (let cell = 0; cell < first; cell++) {
    const length = list[place] ?? -1;
    if (length < 0 || place + 1 + length > second) {
      throw new VtkError(`${what}: cell ${cell} is longer than the list`);
    }
    const start = offsets[cell] ?? 0;
    for (let i = 0; i < length; i++) {
      connectivity[start + i] = list[place + 1 + i] ?? -1;
    }
    offsets[cell + 1] = start + length;
    place += 1 + length;
  }
  return { offsets, connectivity };
}

function checkedOffsets(offsets: Int32Array, connectivity: Int32Array, what: string): Cells {
  for (const [i, offset] of offsets.entries()) {
    if (offset < (i === 0 ? 0 : (offsets[i - 1] ?? 0)) || offset > connectivity.length) {
      throw new VtkError(`${what}: the offsets are not in order`);
    }
  }
  return { offsets, connectivity };
}

/** Refuse a cell that names a point that is not there. */
export function checkIndices(cells: Cells, cell: number, points: number): void {
  const end = cells.offsets[cell + 1] ?? 0;
  for (let i = cells.offsets[cell] ?? 0; i < end; i++) {
    const index = cells.connectivity[i] ?? -1;
    if (index < 0 || index >= points) {
      throw new VtkError(`cell ${cell} names point ${index}, but there are ${points}`);
    }
  }
}
