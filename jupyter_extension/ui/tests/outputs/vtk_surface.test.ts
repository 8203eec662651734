import { expect, test } from 'vitest';

import { cutMesh } from '../../src/outputs/vtk/cut';
import { parseVtk } from '../../src/outputs/vtk/parser';
import { gridSlice, surfaceOf, type Surface } from '../../src/outputs/vtk/surface';
import type { DataSet, Grid, Mesh } from '../../src/outputs/vtk/types';
import { choicesOf, rangeOf, valuesOn } from '../../src/outputs/vtk/values';
import { stepsOf } from '../../src/outputs/vtk/steps';
import { outputFile } from './gateway';

function parse(body: string): DataSet {
  const text = `# vtk DataFile Version 3.0\nt\nASCII\n${body}`;
  return parseVtk(new TextEncoder().encode(text).slice().buffer);
}

function polygons(surface: Surface): number[][] {
  const found: number[][] = [];
  for (let place = 0; place < surface.polys.length; place += 1 + (surface.polys[place] ?? 0)) {
    found.push([...surface.polys.subarray(place + 1, place + 1 + (surface.polys[place] ?? 0))]);
  }
  return found;
}

/** Two cubes side by side along x, as hexahedra. */
const CUBES = `DATASET UNSTRUCTURED_GRID\nPOINTS 12 float
0 0 0 1 0 0 2 0 0 0 1 0 1 1 0 2 1 0 0 0 1 1 0 1 2 0 1 0 1 1 1 1 1 2 1 1
CELLS 2 18\n8 0 1 4 3 6 7 10 9\n8 1 2 5 4 7 8 11 10\nCELL_TYPES 2\n12 12
POINT_DATA 12\nSCALARS x float\nLOOKUP_TABLE default\n0 1 2 0 1 2 0 1 2 0 1 2
CELL_DATA 2\nSCALARS which float\nLOOKUP_TABLE default\n10 20\n`;

test('only the outside of cells is drawn, each face with the value of its cell', () => {
  const data = parse(CUBES);
  const surface = surfaceOf(data);
  expect(polygons(surface)).toHaveLength(10);
  const values = valuesOn(data, surface, { on: 'cells', name: 'which', component: 0 });
  expect([...(values ?? [])].sort((a, b) => a - b)).toEqual([
    10, 10, 10, 10, 10, 20, 20, 20, 20, 20,
  ]);
});

test('a plane through cells has the values between their points', () => {
  const data = parse(CUBES);
  const surface = cutMesh(data.geometry as Mesh, 0, 0.25);
  expect(polygons(surface).length).toBeGreaterThan(0);
  for (let i = 0; i < surface.points.length; i += 3) {
    expect(surface.points[i]).toBeCloseTo(0.25);
  }
  const values = valuesOn(data, surface, { on: 'points', name: 'x', component: 0 });
  expect(values?.every(value => Math.abs(value - 0.25) < 1e-6)).toBe(true);
  expect(new Set(surface.cellOf)).toEqual(new Set([0]));
});

test('the area of a cut is the area of the plane within the body', () => {
  const surface = cutMesh(parse(CUBES).geometry as Mesh, 2, 0.4);
  let area = 0;
  for (const polygon of polygons(surface)) {
    for (let i = 1; i + 1 < polygon.length; i++) {
      const [a, b, c] = [polygon[0], polygon[i], polygon[i + 1]].map(id => [
        surface.points[3 * (id ?? 0)] ?? 0,
        surface.points[3 * (id ?? 0) + 1] ?? 0,
      ]) as [number[], number[], number[]];
      const across = ((b[0] ?? 0) - (a[0] ?? 0)) * ((c[1] ?? 0) - (a[1] ?? 0));
      const down = ((c[0] ?? 0) - (a[0] ?? 0)) * ((b[1] ?? 0) - (a[1] ?? 0));
      area += Math.abs(across - down) / 2;
    }
  }
  expect(area).toBeCloseTo(2);
});

test('a slice of a grid shows the cells behind it, and its last plane those before it', () => {
  const cells = [...Array(12).keys()].join(' ');
  const data = parse(`DATASET STRUCTURED_POINTS\nDIMENSIONS 3 4 3\nORIGIN 0 0 0\nSPACING 1 1 1
CELL_DATA 12\nSCALARS n float\nLOOKUP_TABLE default\n${cells}\n`);
  const grid = data.geometry as Grid;
  expect([...gridSlice(grid, 2, 0).cellOf]).toEqual([0, 1, 2, 3, 4, 5]);
  expect([...gridSlice(grid, 2, 2).cellOf]).toEqual([6, 7, 8, 9, 10, 11]);
  expect([...gridSlice(grid, 0, 1).cellOf]).toEqual([1, 3, 5, 7, 9, 11]);
  expect(polygons(surfaceOf(data))).toHaveLength(2 * (2 * 3 + 2 * 2 + 3 * 2));
});

test('arrays are offered by component, with the range of finite values', () => {
  const data = parse(`DATASET STRUCTURED_POINTS\nDIMENSIONS 2 1 1\nORIGIN 0 0 0\nSPACING 1 1 1
POINT_DATA 2\nVECTORS U float\n3 4 0 nan 0 0\n`);
  expect(choicesOf(data).map(choice => choice.component)).toEqual([-1, 0, 1, 2]);
  expect(rangeOf(data, { on: 'points', name: 'U', component: -1 })).toEqual([5, 5]);
});

test('time steps are the files of one stem, by number', () => {
  const files = [
    'VTK/a_10.vtk',
    'VTK/a_9.vtk',
    'VTK/a_x.vtk',
    'VTK/ab_1.vtk',
    'VTK/a_1.csv',
    'a_2.vtk',
  ];
  const steps = stepsOf(
    'VTK/a_9.vtk',
    files.map(path => outputFile({ path })),
  );
  expect(steps.map(step => step.number)).toEqual([9, 10]);
  expect(stepsOf('VTK/last.vtk', [])).toEqual([]);
});
