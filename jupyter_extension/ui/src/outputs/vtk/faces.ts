/** Faces of the cells of an unstructured grid: those that only one cell has are its outside. */
import { POLYHEDRON } from './cells';
import { VtkError, type Mesh } from './types';

type Take = (
  kind: 'verts' | 'lines' | 'polys',
  ids: Iterable<number> & { length: number },
  cell: number,
) => void;

const TETRA = [[0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 2, 1]]; // prettier-ignore
const HEXA = [[0, 4, 7, 3], [1, 2, 6, 5], [0, 1, 5, 4], [3, 7, 6, 2], [0, 3, 2, 1], [4, 5, 6, 7]]; // prettier-ignore
const VOXEL = [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]]; // prettier-ignore
const WEDGE = [[0, 1, 2], [3, 5, 4], [0, 3, 4, 1], [1, 4, 5, 2], [2, 5, 3, 0]]; // prettier-ignore
const PYRAMID = [[0, 3, 2, 1], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]; // prettier-ignore

/** Faces of solid cells by type; those with curved edges are drawn by their corners. */
export const SOLIDS: Record<number, { points: number; faces: number[][] } | undefined> = {
  10: { points: 4, faces: TETRA },
  11: { points: 8, faces: VOXEL },
  12: { points: 8, faces: HEXA },
  13: { points: 6, faces: WEDGE },
  14: { points: 5, faces: PYRAMID },
  24: { points: 4, faces: TETRA },
  25: { points: 8, faces: HEXA },
  26: { points: 6, faces: WEDGE },
  27: { points: 5, faces: PYRAMID },
  29: { points: 8, faces: HEXA },
};

/** Corners of flat cells with curved edges. */
const FLAT_CORNERS: Record<number, number | undefined> = { 5: 3, 9: 4, 22: 3, 23: 4, 28: 4 };

/** Hand out everything that can be seen from outside. */
export function faceCells(mesh: Mesh, take: Take): void {
  const { cells, types } = mesh;
  const outside = new OutsideFaces(mesh.points.length / 3);
  for (let cell = 0; cell < types.length; cell++) {
    const ids = cells.connectivity.subarray(cells.offsets[cell], cells.offsets[cell + 1]);
    const type = types[cell] ?? 0;
    const solid = SOLIDS[type];
    if (solid) {
      need(ids, solid.points, cell);
      for (const face of solid.faces) {
        outside.add(
          face.map(corner => ids[corner] ?? 0),
          cell,
        );
      }
    } else if (type === POLYHEDRON) {
      for (const face of polyhedronFaces(ids, mesh.points.length / 3, cell)) {
        outside.add(face, cell);
      }
    } else {
      flatCell(type, ids, cell, take);
    }
  }
  outside.each((ids, cell) => take('polys', ids, cell));
}

function need(ids: Int32Array, points: number, cell: number): void {
  if (ids.length < points) {
    throw new VtkError(`cell ${cell} has ${ids.length} points, but needs ${points}`);
  }
}

function flatCell(type: number, ids: Int32Array, cell: number, take: Take): void {
  if (type === 1 || type === 2) {
    take('verts', ids, cell);
  } else if (type === 3 || type === 4) {
    need(ids, 2, cell);
    take('lines', ids, cell);
  } else if (type === 21) {
    need(ids, 2, cell);
    take('lines', ids.subarray(0, 2), cell);
  } else if (type === 8) {
    need(ids, 4, cell);
    take('polys', [ids[0] ?? 0, ids[1] ?? 0, ids[3] ?? 0, ids[2] ?? 0], cell);
  } else if (type === 7) {
    need(ids, 3, cell);
    take('polys', ids, cell);
  } else if (type === 6) {
    for (let i = 0; i + 2 < ids.length; i++) {
      take('polys', ids.subarray(i, i + 3), cell);
    }
  } else {
    const corners = FLAT_CORNERS[type];
    if (corners) {
      need(ids, corners, cell);
      take('polys', ids.subarray(0, corners), cell);
    } // What has no shape here (empty cells, higher orders) is left out.
  }
}

/** `[faces, n, ids…, n, ids…]`. */
function polyhedronFaces(list: Int32Array, points: number, cell: number): number[][] {
  const found: number[][] = [];
  const count = list[0] ?? 0;
  let place = 1;
  for (let face = 0; face < count; face++) {
    const length = list[place] ?? -1;
    const ids = [...list.subarray(place + 1, place + 1 + Math.max(0, length))];
    if (length < 3 || ids.length !== length || ids.some(id => id < 0 || id >= points)) {
      throw new VtkError(`cell ${cell} has a face that is none`);
    }
    found.push(ids);
    place += 1 + length;
  }
  return found;
}

/** Faces that were given once; a second time takes them away. Kept by their smallest point. */
class OutsideFaces {
  private readonly head: Int32Array;
  private readonly next: number[] = [];
  private readonly faces: (readonly number[] | null)[] = [];
  private readonly owners: number[] = [];

  constructor(points: number) {
    this.head = new Int32Array(points).fill(-1);
  }

  add(ids: readonly number[], cell: number): void {
    const smallest = Math.min(...ids);
    for (let i = this.head[smallest] ?? -1; i >= 0; i = this.next[i] ?? -1) {
      const other = this.faces[i];
      if (other && sameFace(other, ids)) {
        this.faces[i] = null;
        return;
      }
    }
    this.next.push(this.head[smallest] ?? -1);
    this.head[smallest] = this.faces.length;
    this.faces.push(ids);
    this.owners.push(cell);
  }

  each(take: (ids: readonly number[], cell: number) => void): void {
    for (const [i, face] of this.faces.entries()) {
      if (face) {
        take(face, this.owners[i] ?? 0);
      }
    }
  }
}

function sameFace(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every(id => b.includes(id));
}
