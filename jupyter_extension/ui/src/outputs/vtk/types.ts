/** A data set of a legacy VTK file. */

export type Numbers =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

export interface DataArray {
  name: string;
  components: number;
  values: Numbers;
}

/** Cells as they stand in a file: the points of cell `i` are `connectivity[offsets[i]…offsets[i + 1]]`. */
export interface Cells {
  offsets: Int32Array;
  connectivity: Int32Array;
}

/** Points on a lattice of `dimensions`, x fastest: explicit, or by one axis for each direction. */
export interface Grid {
  shape: 'grid';
  dimensions: [number, number, number];
  points: Numbers | null;
  axes: [Numbers, Numbers, Numbers] | null;
}

export interface Mesh {
  shape: 'mesh';
  points: Numbers;
  cells: Cells;
  types: Uint8Array;
}

export interface Pieces {
  shape: 'pieces';
  points: Numbers;
  verts: Cells;
  lines: Cells;
  polys: Cells;
  strips: Cells;
}

export interface DataSet {
  title: string;
  kind: string;
  geometry: Grid | Mesh | Pieces;
  pointCount: number;
  cellCount: number;
  pointData: DataArray[];
  cellData: DataArray[];
}

/** The file is not what it says, or more than can be held; the message is for people. */
export class VtkError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'VtkError';
  }
}
