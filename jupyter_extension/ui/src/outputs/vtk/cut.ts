/** Planes through unstructured grids: each solid cell is divided into tetrahedra, and those are cut. */
import { SOLIDS } from './faces';
import { tooBig, type Surface } from './surface';
import type { Mesh } from './types';

const HEXA = [[0, 1, 3, 4], [1, 2, 3, 6], [1, 6, 3, 4], [1, 5, 6, 4], [3, 6, 7, 4]]; // prettier-ignore
const VOXEL = [[0, 1, 2, 4], [1, 3, 2, 7], [1, 7, 2, 4], [1, 5, 7, 4], [2, 7, 6, 4]]; // prettier-ignore
const WEDGE = [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]; // prettier-ignore
const PYRAMID = [[0, 1, 2, 4], [0, 2, 3, 4]]; // prettier-ignore
const TETRA = [[0, 1, 2, 3]];
const PARTS: Record<number, number[][] | undefined> = {
  10: TETRA,
  11: VOXEL,
  12: HEXA,
  13: WEDGE,
  14: PYRAMID,
  24: TETRA,
  25: HEXA,
  26: WEDGE,
  27: PYRAMID,
  29: HEXA,
};
const MOST_POINTS = 3_000_000;

/** Whether a mesh has anything that a plane can cut. */
export function hasSolids(mesh: Mesh): boolean {
  return mesh.types.some(type => SOLIDS[type] !== undefined);
}

/** What a plane across an axis at `position` cuts out of a mesh. */
export function cutMesh(mesh: Mesh, axis: number, position: number): Surface {
  const cut = new Cut(mesh, axis, position);
  for (let cell = 0; cell < mesh.types.length; cell++) {
    const start = mesh.cells.offsets[cell] ?? 0;
    for (const part of PARTS[mesh.types[cell] ?? 0] ?? []) {
      cut.tetrahedron(
        part.map(corner => mesh.cells.connectivity[start + corner] ?? 0),
        cell,
      );
    }
  }
  return cut.build();
}

class Cut {
  private readonly coordinates: number[] = [];
  private readonly from: number[] = [];
  private readonly to: number[] = [];
  private readonly weight: number[] = [];
  private readonly polys: number[] = [];
  private readonly owners: number[] = [];

  constructor(
    private readonly mesh: Mesh,
    private readonly axis: number,
    private readonly position: number,
  ) {}

  tetrahedron(ids: number[], cell: number): void {
    const above = ids.filter(id => this.height(id) >= 0);
    const below = ids.filter(id => this.height(id) < 0);
    if (above.length === 0 || below.length === 0) {
      return;
    }
    const corners: number[] = [];
    for (const [number, a] of above.entries()) {
      // Every other row backwards, so that four corners follow each other around the square.
      for (const b of number % 2 === 0 ? below : [...below].reverse()) {
        corners.push(this.between(a, b));
      }
    }
    this.polys.push(corners.length, ...corners);
    this.owners.push(cell);
  }

  build(): Surface {
    return {
      points: Float32Array.from(this.coordinates),
      verts: new Uint32Array(),
      lines: new Uint32Array(),
      polys: Uint32Array.from(this.polys),
      pointOf: Int32Array.from(this.from),
      other: Int32Array.from(this.to),
      weight: Float32Array.from(this.weight),
      cellOf: Int32Array.from(this.owners),
    };
  }

  private height(id: number): number {
    return (this.mesh.points[3 * id + this.axis] ?? 0) - this.position;
  }

  private between(a: number, b: number): number {
    const index = this.from.length;
    if (index > MOST_POINTS) {
      throw tooBig();
    }
    const share = this.height(a) / (this.height(a) - this.height(b));
    for (let i = 0; i < 3; i++) {
      const start = this.mesh.points[3 * a + i] ?? 0;
      this.coordinates.push(start + share * ((this.mesh.points[3 * b + i] ?? 0) - start));
    }
    this.from.push(a);
    this.to.push(b);
    this.weight.push(share);
    return index;
  }
}
