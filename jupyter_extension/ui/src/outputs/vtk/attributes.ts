import { countOf, nameOf, type Reader } from './reader';
import { VtkError, type DataArray } from './types';

/** Arrays of one data set; more is not a simulation's. */
const MOST_ARRAYS = 10_000;

const TUPLES: Record<string, number | undefined> = {
  VECTORS: 3,
  NORMALS: 3,
  TENSORS: 9,
  TENSORS6: 6,
  GLOBAL_IDS: 1,
  PEDIGREE_IDS: 1,
  EDGE_FLAGS: 1,
};

/**
 * Read attributes of `count` points or cells into `found`, up to the next section. Answers the words of the line that
 * begins it, null at the end of the file.
 */
export function readAttributes(reader: Reader, count: number, found: DataArray[]): string[] | null {
  for (;;) {
    const words = reader.words();
    const keyword = words?.[0]?.toUpperCase();
    if (!words || !keyword || keyword === 'POINT_DATA' || keyword === 'CELL_DATA') {
      return words;
    }
    if (found.length > MOST_ARRAYS) {
      throw new VtkError('the file has too many arrays');
    }
    readOne(reader, keyword, words, count, found);
  }
}

function readOne(
  reader: Reader,
  keyword: string,
  words: string[],
  count: number,
  found: DataArray[],
): void {
  const name = nameOf(words[1]);
  const components = TUPLES[keyword];
  if (components !== undefined) {
    found.push(readArray(reader, name, components, words[2] ?? '', count));
  } else if (keyword === 'SCALARS') {
    const width = words[3] === undefined ? 1 : countOf(words[3], `SCALARS ${name}`);
    skipTableName(reader);
    found.push(readArray(reader, name, width, words[2] ?? '', count));
  } else if (keyword === 'COLOR_SCALARS') {
    const width = countOf(words[2], `COLOR_SCALARS ${name}`);
    found.push(readArray(reader, name, width, reader.binary ? 'unsigned_char' : 'float', count));
  } else if (keyword === 'TEXTURE_COORDINATES') {
    const width = countOf(words[2], `TEXTURE_COORDINATES ${name}`);
    found.push(readArray(reader, name, width, words[3] ?? '', count));
  } else if (keyword === 'LOOKUP_TABLE') {
    const size = countOf(words[2], `LOOKUP_TABLE ${name}`);
    reader.numbers(reader.binary ? 'unsigned_char' : 'float', 4 * size, `LOOKUP_TABLE ${name}`);
  } else if (keyword === 'FIELD') {
    readField(reader, countOf(words[2], `FIELD ${name}`), count, found);
  } else if (keyword === 'METADATA') {
    skipMetadata(reader);
  } else {
    throw new VtkError(`“${keyword.slice(0, 40)}” is not known here`);
  }
}

/** After SCALARS stands `LOOKUP_TABLE name`, which some programs leave out. */
function skipTableName(reader: Reader): void {
  const before = reader.place;
  // A binary array may begin with any byte, so spaces are skipped only when a table's name follows.
  if (reader.peek().toUpperCase() === 'LOOKUP_TABLE') {
    reader.words();
  } else {
    reader.place = before;
  }
}

function readArray(
  reader: Reader,
  name: string,
  components: number,
  type: string,
  count: number,
): DataArray {
  if (components < 1 || components > 1000) {
    throw new VtkError(`${name.slice(0, 40)}: ${components} components`);
  }
  const what = name === '' ? 'an array' : name.slice(0, 80);
  return { name, components, values: reader.numbers(type, components * count, what) };
}

/** Arrays of a FIELD. With `count` null it belongs to the whole data set, and its arrays are only passed over. */
export function readField(
  reader: Reader,
  arrays: number,
  count: number | null,
  found: DataArray[],
): void {
  if (arrays > MOST_ARRAYS) {
    throw new VtkError('the file has too many arrays');
  }
  for (let i = 0; i < arrays; i++) {
    let words = reader.words();
    while (words?.[0]?.toUpperCase() === 'METADATA') {
      skipMetadata(reader);
      words = reader.words();
    }
    if (!words) {
      throw new VtkError('the file ends within a FIELD');
    }
    const name = nameOf(words[0]);
    const tuples = countOf(words[2], `FIELD array ${name}`);
    if (words[3]?.toLowerCase() === 'string') {
      skipStrings(reader, tuples * countOf(words[1], name), name);
      continue;
    }
    if (count !== null && tuples !== count) {
      throw new VtkError(
        `FIELD array ${name.slice(0, 80)} has ${tuples} tuples, but there are ${count} elements`,
      );
    }
    const array = readArray(reader, name, countOf(words[1], name), words[3] ?? '', tuples);
    if (count !== null) {
      found.push(array);
    }
  }
}

function skipStrings(reader: Reader, count: number, name: string): void {
  for (let i = 0; i < count; i++) {
    if (reader.ended) {
      throw new VtkError(`${name.slice(0, 80)}: the file ends after ${i} of ${count} texts`);
    }
    if (reader.binary) {
      skipBinaryString(reader, name);
    } else {
      reader.line(1024 * 1024);
    }
  }
}

/** The first byte's upper two bits say in how many bytes the length stands. */
function skipBinaryString(reader: Reader, name: string): void {
  const first = reader.bytes[reader.place] ?? 0;
  const width = [8, 4, 2, 1][first >> 6] ?? 1;
  let length = first & 0x3f;
  for (let i = 1; i < width; i++) {
    length = length * 256 + (reader.bytes[reader.place + i] ?? 0);
  }
  reader.skip(width + length, name);
}

/** METADATA ends at an empty line. */
export function skipMetadata(reader: Reader): void {
  while (!reader.ended && reader.line(1024 * 1024).trim() !== '') {
    // Passed over.
  }
}
