import { faceCells } from './faces';
import { VtkError, type Cells, type DataSet, type Grid, type Numbers, type Pieces } from './types';

/** What is drawn: vertices, lines and polygons (`[n, ids…]` lists), and where their values come from. */
export interface Surface {
  points: Float32Array;
  verts: Uint32Array;
  lines: Uint32Array;
  polys: Uint32Array;
  /** Point of the data set that each drawn point is, or lies behind `other` at `weight` of the way. */
  pointOf: Int32Array;
  other: Int32Array | null;
  weight: Float32Array | null;
  /** Cell of the data set that each drawn cell belongs to: vertices first, then lines, then polygons. */
  cellOf: Int32Array;
}

/** Numbers in lists and points that are drawn at most. */
const MOST = 30_000_000;

export function tooBig(): VtkError {
  return new VtkError('the data set is too large to be drawn in a browser');
}

/** Collects what is drawn; the same point of the data set is drawn once. */
export class SurfaceBuilder {
  private readonly coordinates: number[] = [];
  private readonly pointOf: number[] = [];
  private readonly drawn = new Map<number, number>();
  private readonly lists = { verts: [] as number[], lines: [] as number[], polys: [] as number[] };
  private readonly owners = { verts: [] as number[], lines: [] as number[], polys: [] as number[] };

  constructor(private readonly place: (point: number) => readonly [number, number, number]) {}

  point(id: number): number {
    let index = this.drawn.get(id);
    if (index === undefined) {
      index = this.pointOf.length;
      this.drawn.set(id, index);
      this.pointOf.push(id);
      this.coordinates.push(...this.place(id));
    }
    return index;
  }

  add(
    kind: 'verts' | 'lines' | 'polys',
    ids: Iterable<number> & { length: number },
    cell: number,
  ): void {
    const list = this.lists[kind];
    if (list.length > MOST) {
      throw tooBig();
    }
    list.push(ids.length);
    for (const id of ids) {
      list.push(this.point(id));
    }
    this.owners[kind].push(cell);
  }

  build(): Surface {
    const { verts, lines, polys } = this.owners;
    return {
      points: Float32Array.from(this.coordinates),
      verts: Uint32Array.from(this.lists.verts),
      lines: Uint32Array.from(this.lists.lines),
      polys: Uint32Array.from(this.lists.polys),
      pointOf: Int32Array.from(this.pointOf),
      other: null,
      weight: null,
      cellOf: Int32Array.from([...verts, ...lines, ...polys]),
    };
  }
}

/** The outside of a data set. */
export function surfaceOf(data: DataSet): Surface {
  const { geometry } = data;
  switch (geometry.shape) {
    case 'grid':
      return gridSurface(geometry);
    case 'mesh': {
      const builder = new SurfaceBuilder(explicit(geometry.points));
      faceCells(geometry, (kind, ids, cell) => builder.add(kind, ids, cell));
      return builder.build();
    }
    case 'pieces':
      return piecesSurface(geometry);
  }
}

export function explicit(points: Numbers): (id: number) => readonly [number, number, number] {
  return id => [points[3 * id] ?? 0, points[3 * id + 1] ?? 0, points[3 * id + 2] ?? 0];
}

function gridPlace(grid: Grid): (id: number) => readonly [number, number, number] {
  if (grid.points) {
    return explicit(grid.points);
  }
  const [nx, ny] = grid.dimensions;
  const axes = grid.axes;
  return id => [
    axes?.[0][id % nx] ?? 0,
    axes?.[1][Math.floor(id / nx) % ny] ?? 0,
    axes?.[2][Math.floor(id / (nx * ny))] ?? 0,
  ];
}

/** Directions in which a grid has more than one point. */
export function extended(grid: Grid): number[] {
  return [0, 1, 2].filter(axis => (grid.dimensions[axis] ?? 1) > 1);
}

function gridSurface(grid: Grid): Surface {
  const builder = new SurfaceBuilder(gridPlace(grid));
  const directions = extended(grid);
  if (directions.length === 3) {
    for (const axis of directions) {
      addPlane(builder, grid, axis, 0);
      addPlane(builder, grid, axis, (grid.dimensions[axis] ?? 1) - 1);
    }
  } else if (directions.length === 2) {
    addPlane(builder, grid, [0, 1, 2].find(axis => !directions.includes(axis)) ?? 2, 0);
  } else if (directions.length === 1) {
    const size = grid.dimensions[directions[0] ?? 0] ?? 1;
    for (let i = 0; i + 1 < size; i++) {
      builder.add('lines', [i, i + 1], i);
    }
  } else {
    builder.add('verts', [0], 0);
  }
  return builder.build();
}

/** The plane of a grid's points with this index along an axis; its cells are those behind it, or before the last one. */
export function gridSlice(grid: Grid, axis: number, index: number): Surface {
  const builder = new SurfaceBuilder(gridPlace(grid));
  addPlane(builder, grid, axis, index);
  return builder.build();
}

function addPlane(builder: SurfaceBuilder, grid: Grid, axis: number, index: number): void {
  const size = grid.dimensions;
  const cells = size.map(n => Math.max(1, n - 1));
  const steps = [1, size[0], size[0] * size[1]];
  const cellSteps = [1, cells[0] ?? 1, (cells[0] ?? 1) * (cells[1] ?? 1)];
  const [u, v] = [0, 1, 2].filter(other => other !== axis) as [number, number];
  const [nu, nv] = [cells[u] ?? 1, cells[v] ?? 1];
  if (nu * nv > MOST / 5) {
    throw tooBig();
  }
  const [du, dv] = [steps[u] ?? 1, steps[v] ?? 1];
  const layer = Math.min(index, (cells[axis] ?? 1) - 1) * (cellSteps[axis] ?? 1);
  for (let j = 0; j < nv; j++) {
    for (let i = 0; i < nu; i++) {
      const corner = index * (steps[axis] ?? 1) + i * du + j * dv;
      const cell = layer + i * (cellSteps[u] ?? 1) + j * (cellSteps[v] ?? 1);
      builder.add('polys', [corner, corner + du, corner + du + dv, corner + dv], cell);
    }
  }
}

function piecesSurface(pieces: Pieces): Surface {
  const builder = new SurfaceBuilder(explicit(pieces.points));
  let cell = 0;
  const all = (cells: Cells, take: (ids: Int32Array, cell: number) => void): void => {
    for (let i = 0; i + 1 < cells.offsets.length; i++) {
      take(cells.connectivity.subarray(cells.offsets[i], cells.offsets[i + 1]), cell);
      cell += 1;
    }
  };
  all(pieces.verts, (ids, at) => ids.length > 0 && builder.add('verts', ids, at));
  all(pieces.lines, (ids, at) => ids.length > 1 && builder.add('lines', ids, at));
  all(pieces.polys, (ids, at) => ids.length > 2 && builder.add('polys', ids, at));
  all(pieces.strips, (ids, at) => {
    for (let i = 0; i + 2 < ids.length; i++) {
      const triangle = [ids[i] ?? 0, ids[i + 1] ?? 0, ids[i + 2] ?? 0];
      builder.add(
        'polys',
        i % 2 === 0 ? triangle : [triangle[1] ?? 0, triangle[0] ?? 0, triangle[2] ?? 0],
        at,
      );
    }
  });
  return builder.build();
}
