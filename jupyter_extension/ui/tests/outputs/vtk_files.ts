/** Writes legacy VTK files, for the tests of the parser. */
import type { Random } from '../random';

export interface GivenArray {
  name: string;
  kind: 'SCALARS' | 'VECTORS' | 'FIELD';
  components: number;
  values: number[];
}

export interface Given {
  kind: string;
  binary: boolean;
  points: number[];
  dimensions: number[];
  axes: number[][];
  cells: number[][];
  types: number[];
  pointArrays: GivenArray[];
  cellArrays: GivenArray[];
  newStyle: boolean;
}

class Writer {
  private readonly parts: Uint8Array[] = [];

  constructor(private readonly binary: boolean) {}

  text(text: string): this {
    this.parts.push(new TextEncoder().encode(text));
    return this;
  }

  numbers(values: readonly number[], type: 'float' | 'int' | 'vtktypeint64' = 'float'): this {
    if (!this.binary) {
      return this.text(values.join(' ') + '\n');
    }
    const size = type === 'vtktypeint64' ? 8 : 4;
    const view = new DataView(new ArrayBuffer(size * values.length));
    values.forEach((value, i) => {
      if (type === 'float') {
        view.setFloat32(4 * i, value);
      } else if (type === 'int') {
        view.setInt32(4 * i, value);
      } else {
        view.setBigInt64(8 * i, BigInt(value));
      }
    });
    this.parts.push(new Uint8Array(view.buffer));
    return this.text('\n');
  }

  done(): ArrayBuffer {
    const length = this.parts.reduce((all, part) => all + part.length, 0);
    const bytes = new Uint8Array(length);
    let place = 0;
    for (const part of this.parts) {
      bytes.set(part, place);
      place += part.length;
    }
    return bytes.buffer;
  }
}

function writeCells(writer: Writer, name: string, given: Given): void {
  const flat = given.cells.flat();
  if (given.newStyle) {
    const offsets = given.cells.reduce(
      (all, cell) => [...all, (all.at(-1) ?? 0) + cell.length],
      [0],
    );
    writer.text(`${name} ${offsets.length} ${flat.length}\nOFFSETS vtktypeint64\n`);
    writer
      .numbers(offsets, 'vtktypeint64')
      .text('CONNECTIVITY vtktypeint64\n')
      .numbers(flat, 'vtktypeint64');
  } else {
    const list = given.cells.flatMap(cell => [cell.length, ...cell]);
    writer.text(`${name} ${given.cells.length} ${list.length}\n`).numbers(list, 'int');
  }
}

function writeArrays(writer: Writer, section: string, count: number, arrays: GivenArray[]): void {
  if (arrays.length === 0) {
    return;
  }
  writer.text(`${section} ${count}\n`);
  for (const { name, kind, components, values } of arrays) {
    if (kind === 'SCALARS') {
      writer.text(`SCALARS ${name} float ${components}\nLOOKUP_TABLE default\n`);
    } else if (kind === 'VECTORS') {
      writer.text(`VECTORS ${name} float\n`);
    } else {
      writer.text(`FIELD FieldData 1\n${name} ${components} ${count} float\n`);
    }
    writer.numbers(values);
  }
}

export function writeVtk(given: Given): ArrayBuffer {
  const writer = new Writer(given.binary);
  writer.text(`# vtk DataFile Version ${given.newStyle ? '5.1' : '3.0'}\na title\n`);
  writer.text(`${given.binary ? 'BINARY' : 'ASCII'}\nDATASET ${given.kind}\n`);
  if (given.dimensions.length > 0) {
    writer.text(`DIMENSIONS ${given.dimensions.join(' ')}\n`);
  }
  if (given.kind === 'STRUCTURED_POINTS') {
    writer.text('ORIGIN 1 2 3\nSPACING 0.5 0.25 2\n');
  } else if (given.kind === 'RECTILINEAR_GRID') {
    given.axes.forEach((axis, i) =>
      writer.text(`${'XYZ'.charAt(i)}_COORDINATES ${axis.length} float\n`).numbers(axis),
    );
  } else {
    writer.text(`POINTS ${given.points.length / 3} float\n`).numbers(given.points);
  }
  if (given.kind === 'UNSTRUCTURED_GRID') {
    writeCells(writer, 'CELLS', given);
    writer.text(`CELL_TYPES ${given.types.length}\n`).numbers(given.types, 'int');
  } else if (given.kind === 'POLYDATA') {
    writeCells(writer, 'POLYGONS', given);
  }
  writeArrays(writer, 'POINT_DATA', pointCount(given), given.pointArrays);
  writeArrays(writer, 'CELL_DATA', cellCount(given), given.cellArrays);
  return writer.done();
}

export function pointCount(given: Given): number {
  return given.dimensions.length > 0
    ? given.dimensions.reduce((all, size) => all * size, 1)
    : given.points.length / 3;
}

export function cellCount(given: Given): number {
  return given.dimensions.length > 0
    ? given.dimensions.reduce((all, size) => all * Math.max(1, size - 1), 1)
    : given.cells.length;
}

const KINDS = [
  'STRUCTURED_POINTS',
  'RECTILINEAR_GRID',
  'STRUCTURED_GRID',
  'UNSTRUCTURED_GRID',
  'POLYDATA',
];
/** Values that a float of four bytes holds exactly. */
const numbers = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => (random.below(2001) - 1000) / 8);

/** Some data set, small. */
export function anyFile(random: Random): Given {
  const kind = random.pick(KINDS);
  const lattice = !['UNSTRUCTURED_GRID', 'POLYDATA'].includes(kind);
  const dimensions = lattice ? [1 + random.below(4), 1 + random.below(4), 1 + random.below(3)] : [];
  const given: Given = {
    kind,
    binary: random.below(2) === 0,
    points: [],
    dimensions,
    axes: dimensions.map(size => numbers(random, size)),
    cells: [],
    types: [],
    pointArrays: [],
    cellArrays: [],
    newStyle: random.below(2) === 0,
  };
  const points = lattice ? pointCount(given) : 4 + random.below(8);
  given.points = numbers(random, 3 * points);
  if (!lattice) {
    given.cells = Array.from({ length: 1 + random.below(5) }, () =>
      Array.from({ length: kind === 'POLYDATA' ? 3 + random.below(3) : 4 }, () =>
        random.below(points),
      ),
    );
    given.types = given.cells.map(() => random.pick([9, 10]));
  }
  given.pointArrays = someArrays(random, 'p', pointCount(given));
  given.cellArrays = someArrays(random, 'c', cellCount(given));
  return given;
}

function someArrays(random: Random, prefix: string, count: number): GivenArray[] {
  return Array.from({ length: random.below(4) }, (_, i) => {
    const kind = random.pick(['SCALARS', 'VECTORS', 'FIELD'] as const);
    const components = kind === 'VECTORS' ? 3 : 1 + random.below(kind === 'SCALARS' ? 4 : 7);
    return { name: `${prefix}${i}`, kind, components, values: numbers(random, components * count) };
  });
}
