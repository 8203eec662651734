import { readAttributes, readField, skipMetadata } from './attributes';
import { checkIndices, noCells, POLYHEDRON, readCells } from './cells';
import { countOf, Reader } from './reader';
import {
  VtkError,
  type Cells,
  type DataArray,
  type DataSet,
  type Grid,
  type Mesh,
  type Numbers,
  type Pieces,
} from './types';

/** Points of one direction of a lattice; a lattice needs no bytes for its points, so this bounds it. */
const LONGEST_AXIS = 65_536;
const MOST_POINTS = 2 ** 31 - 1;

/** Read a legacy VTK file. */
export function parseVtk(buffer: ArrayBuffer): DataSet {
  const reader = new Reader(new Uint8Array(buffer));
  if (!/^# vtk DataFile Version \d/i.test(reader.line())) {
    throw new VtkError('this is not a legacy VTK file: its first line is another');
  }
  const title = reader.line();
  const encoding = reader.word().toUpperCase();
  if (encoding !== 'ASCII' && encoding !== 'BINARY') {
    throw new VtkError('the third line must be ASCII or BINARY');
  }
  reader.binary = encoding === 'BINARY';
  const words = passFields(reader, reader.words());
  if (words?.[0]?.toUpperCase() !== 'DATASET') {
    throw new VtkError('the file has no DATASET');
  }
  const kind = words[1]?.toUpperCase() ?? '';
  const { geometry, next } = readGeometry(reader, kind);
  const pointCount = countPoints(geometry);
  const cellCount = countCells(geometry);
  const pointData: DataArray[] = [];
  const cellData: DataArray[] = [];
  let section = next;
  while (section) {
    const about = section[0]?.toUpperCase();
    if (about !== 'POINT_DATA' && about !== 'CELL_DATA') {
      throw new VtkError(`“${(section[0] ?? '').slice(0, 40)}” is not known here`);
    }
    const count = countOf(section[1], about);
    const expected = about === 'POINT_DATA' ? pointCount : cellCount;
    if (count !== expected) {
      throw new VtkError(`${about} says ${count}, but the data set has ${expected}`);
    }
    section = readAttributes(reader, count, about === 'POINT_DATA' ? pointData : cellData);
  }
  return { title, kind, geometry, pointCount, cellCount, pointData, cellData };
}

function passFields(reader: Reader, words: string[] | null): string[] | null {
  let line = words;
  while (line && ['FIELD', 'METADATA'].includes(line[0]?.toUpperCase() ?? '')) {
    if (line[0]?.toUpperCase() === 'FIELD') {
      readField(reader, countOf(line[2], 'FIELD'), null, []);
    } else {
      skipMetadata(reader);
    }
    line = reader.words();
  }
  return line;
}

interface Read<G> {
  geometry: G;
  next: string[] | null;
}

function readGeometry(reader: Reader, kind: string): Read<Grid | Mesh | Pieces> {
  switch (kind) {
    case 'STRUCTURED_POINTS':
    case 'RECTILINEAR_GRID':
    case 'STRUCTURED_GRID':
      return readGrid(reader, kind);
    case 'UNSTRUCTURED_GRID':
      return readMesh(reader);
    case 'POLYDATA':
      return readPieces(reader);
    default:
      throw new VtkError(`data sets of kind “${kind.slice(0, 40)}” cannot be shown`);
  }
}

/** Hand each header line of a geometry to `take` until it knows no more of them. */
function eachSection(
  reader: Reader,
  take: (keyword: string, words: string[]) => boolean,
): string[] | null {
  for (;;) {
    const words = passFields(reader, reader.words());
    if (!words || !take(words[0]?.toUpperCase() ?? '', words)) {
      return words;
    }
  }
}

function readGrid(reader: Reader, kind: string): Read<Grid> {
  const found: { dimensions?: Grid['dimensions']; points?: Numbers } = {};
  let origin = [0, 0, 0];
  let spacing = [1, 1, 1];
  const axes: (Numbers | undefined)[] = [];
  const next = eachSection(reader, (keyword, words) => {
    if (keyword === 'DIMENSIONS') {
      found.dimensions = [1, 2, 3].map(i => countOf(words[i], keyword)) as Grid['dimensions'];
    } else if (keyword === 'ORIGIN') {
      origin = threeNumbers(words, keyword);
    } else if (keyword === 'SPACING' || keyword === 'ASPECT_RATIO') {
      spacing = threeNumbers(words, keyword);
    } else if (keyword === 'POINTS') {
      found.points = reader.numbers(words[2] ?? '', 3 * countOf(words[1], keyword), keyword);
    } else if (/^[XYZ]_COORDINATES$/.test(keyword)) {
      axes['XYZ'.indexOf(keyword.charAt(0))] = reader.numbers(
        words[2] ?? '',
        countOf(words[1], keyword),
        keyword,
      );
    } else {
      return false;
    }
    return true;
  });
  const sizes = checkedDimensions(found.dimensions);
  if (kind === 'STRUCTURED_GRID') {
    const { points } = found;
    if (points?.length !== 3 * product(sizes)) {
      throw new VtkError('DIMENSIONS and POINTS do not agree');
    }
    return { geometry: { shape: 'grid', dimensions: sizes, points, axes: null }, next };
  }
  const along = sizes.map((size, i) => {
    const axis =
      kind === 'RECTILINEAR_GRID'
        ? axes[i]
        : Float64Array.from({ length: size }, (_, k) => (origin[i] ?? 0) + k * (spacing[i] ?? 1));
    if (axis?.length !== size) {
      throw new VtkError('DIMENSIONS and coordinates do not agree');
    }
    return axis;
  }) as [Numbers, Numbers, Numbers];
  return { geometry: { shape: 'grid', dimensions: sizes, points: null, axes: along }, next };
}

function checkedDimensions(dimensions: Grid['dimensions'] | undefined): Grid['dimensions'] {
  if (!dimensions) {
    throw new VtkError('the grid has no DIMENSIONS');
  }
  if (
    dimensions.some(size => size < 1 || size > LONGEST_AXIS) ||
    product(dimensions) > MOST_POINTS
  ) {
    throw new VtkError(`a grid of ${dimensions.join(' × ')} points cannot be shown`);
  }
  return dimensions;
}

function threeNumbers(words: string[], what: string): number[] {
  const found = [1, 2, 3].map(i => Number(words[i] ?? NaN));
  if (found.some(value => !Number.isFinite(value))) {
    throw new VtkError(`${what} needs three numbers`);
  }
  return found;
}

function readMesh(reader: Reader): Read<Mesh> {
  const found: { points?: Numbers; cells?: Cells; types?: Numbers } = {};
  const next = eachSection(reader, (keyword, words) => {
    if (keyword === 'POINTS') {
      found.points = reader.numbers(words[2] ?? '', 3 * countOf(words[1], keyword), keyword);
    } else if (keyword === 'CELLS') {
      found.cells = readCells(reader, words);
    } else if (keyword === 'CELL_TYPES') {
      found.types = reader.numbers('int', countOf(words[1], keyword), keyword);
    } else {
      return false;
    }
    return true;
  });
  const points = needPoints(found.points);
  const cells = found.cells ?? noCells();
  const types = Uint8Array.from(found.types ?? []);
  if (types.length !== cells.offsets.length - 1) {
    throw new VtkError('CELLS and CELL_TYPES do not agree');
  }
  for (const [number, kind] of types.entries()) {
    if (kind !== POLYHEDRON) {
      checkIndices(cells, number, points.length / 3);
    }
  }
  return { geometry: { shape: 'mesh', points, cells, types }, next };
}

function readPieces(reader: Reader): Read<Pieces> {
  const given: { points?: Numbers } = {};
  const found: Record<string, Cells | undefined> = {};
  const next = eachSection(reader, (keyword, words) => {
    if (keyword === 'POINTS') {
      given.points = reader.numbers(words[2] ?? '', 3 * countOf(words[1], keyword), keyword);
    } else if (['VERTICES', 'LINES', 'POLYGONS', 'TRIANGLE_STRIPS'].includes(keyword)) {
      found[keyword] = readCells(reader, words);
    } else {
      return false;
    }
    return true;
  });
  const points = needPoints(given.points);
  const [verts, lines, polys, strips] = ['VERTICES', 'LINES', 'POLYGONS', 'TRIANGLE_STRIPS'].map(
    name => found[name] ?? noCells(),
  ) as [Cells, Cells, Cells, Cells];
  for (const cells of [verts, lines, polys, strips]) {
    for (let i = 0; i + 1 < cells.offsets.length; i++) {
      checkIndices(cells, i, points.length / 3);
    }
  }
  return { geometry: { shape: 'pieces', points, verts, lines, polys, strips }, next };
}

function needPoints(points: Numbers | undefined): Numbers {
  if (!points) {
    throw new VtkError('the data set has no POINTS');
  }
  return points;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}

function countPoints(geometry: DataSet['geometry']): number {
  return geometry.shape === 'grid' ? product(geometry.dimensions) : geometry.points.length / 3;
}

function countCells(geometry: DataSet['geometry']): number {
  if (geometry.shape === 'grid') {
    return product(geometry.dimensions.map(size => Math.max(1, size - 1)));
  }
  if (geometry.shape === 'mesh') {
    return geometry.types.length;
  }
  const { verts, lines, polys, strips } = geometry;
  return [verts, lines, polys, strips].reduce((all, cells) => all + cells.offsets.length - 1, 0);
}
