import { expect, test } from 'vitest';

import { parseVtk } from '../../src/outputs/vtk/parser';
import { VtkError, type DataArray } from '../../src/outputs/vtk/types';
import { Random } from '../random';
import { anyFile, cellCount, pointCount, writeVtk } from './vtk_files';

function bufferOf(text: string): ArrayBuffer {
  return new TextEncoder().encode(text).slice().buffer;
}

function plain(arrays: DataArray[]): unknown[] {
  return arrays.map(({ name, components, values }) => ({ name, components, values: [...values] }));
}

test('what was written is read, in both encodings and all kinds', () => {
  const random = new Random(1);
  for (let round = 0; round < 300; round++) {
    const given = anyFile(random);
    const data = parseVtk(writeVtk(given));
    expect(data.kind).toBe(given.kind);
    expect([data.pointCount, data.cellCount]).toEqual([pointCount(given), cellCount(given)]);
    const wanted = (arrays: typeof given.pointArrays): unknown[] =>
      arrays.map(({ name, components, values }) => ({ name, components, values }));
    expect(plain(data.pointData)).toEqual(wanted(given.pointArrays));
    expect(plain(data.cellData)).toEqual(wanted(given.cellArrays));
    const { geometry } = data;
    if (geometry.shape === 'mesh' || geometry.shape === 'pieces') {
      const cells = geometry.shape === 'mesh' ? geometry.cells : geometry.polys;
      const read = given.cells.map((_, i) => [
        ...cells.connectivity.subarray(cells.offsets[i], cells.offsets[i + 1]),
      ]);
      expect(read).toEqual(given.cells);
      expect([...geometry.points]).toEqual(given.points);
    } else if (given.kind === 'RECTILINEAR_GRID') {
      expect(geometry.axes?.map(axis => [...axis])).toEqual(given.axes);
    }
  }
});

test('a file that is cut anywhere is read as far as whole sections go, or refused with a reason', () => {
  const random = new Random(2);
  for (let round = 0; round < 60; round++) {
    const given = anyFile(random);
    const whole = writeVtk(given);
    for (let cut = 0; cut < 12; cut++) {
      const part = whole.slice(0, random.below(whole.byteLength));
      try {
        const data = parseVtk(part);
        for (const array of [...data.pointData, ...data.cellData]) {
          const count = data.pointData.includes(array) ? data.pointCount : data.cellCount;
          expect(array.values.length).toBe(array.components * count);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(VtkError);
        expect((error as Error).message).not.toBe('');
      }
    }
  }
});

test('bytes that were changed anywhere never break the parser otherwise than with a reason', () => {
  const random = new Random(3);
  for (let round = 0; round < 400; round++) {
    const bytes = new Uint8Array(writeVtk(anyFile(random)));
    for (let change = 0; change < 1 + random.below(4); change++) {
      bytes[random.below(bytes.length)] = random.pick([0, 10, 32, 45, 48, 57, 65, 255]);
    }
    try {
      parseVtk(bytes.slice().buffer);
    } catch (error) {
      expect(error).toBeInstanceOf(VtkError);
    }
  }
});

const HEAD = '# vtk DataFile Version 3.0\nt\nASCII\n';

test.each([
  ['another file', 'PK\u0003\u0004', 'not a legacy VTK file'],
  ['no dataset', HEAD, 'no DATASET'],
  [
    'more values than bytes',
    `${HEAD}DATASET POLYDATA\nPOINTS 999999999999 float\n1 2 3\n`,
    'ends before',
  ],
  [
    'a lattice beyond memory',
    `${HEAD}DATASET STRUCTURED_POINTS\nDIMENSIONS 60000 60000 60000\n`,
    'cannot be shown',
  ],
  [
    'an axis beyond memory',
    `${HEAD}DATASET STRUCTURED_POINTS\nDIMENSIONS 999999999 1 1\n`,
    'cannot be shown',
  ],
  ['no lattice', `${HEAD}DATASET STRUCTURED_POINTS\nDIMENSIONS 0 1 1\n`, 'cannot be shown'],
  [
    'a cell that names a point that is not there',
    `${HEAD}DATASET POLYDATA\nPOINTS 1 float\n0 0 0\nPOLYGONS 1 4\n3 0 0 7\n`,
    'names point 7',
  ],
  [
    'a cell longer than its list',
    `${HEAD}DATASET POLYDATA\nPOINTS 1 float\n0 0 0\nPOLYGONS 1 4\n900 0 0 0\n`,
    'longer than the list',
  ],
  [
    'data for another number of points',
    `${HEAD}DATASET POLYDATA\nPOINTS 1 float\n0 0 0\nPOINT_DATA 2\nSCALARS a float\n1 2\n`,
    'POINT_DATA says 2',
  ],
  ['words for numbers', `${HEAD}DATASET POLYDATA\nPOINTS 1 float\n0 <b> 0\n`, 'not a number'],
  ['an unknown kind', `${HEAD}DATASET TABLE\n`, 'cannot be shown'],
])('%s is refused with the reason', (_, text, reason) => {
  expect(() => parseVtk(bufferOf(text))).toThrow(VtkError);
  expect(() => parseVtk(bufferOf(text))).toThrow(reason);
});

test('fields of the data set, metadata, tables of colours and encoded names are read past', () => {
  const text = `${HEAD}FIELD FieldData 1\nTIME 1 1 double\n0.5\nDATASET STRUCTURED_POINTS
DIMENSIONS 2 1 1\nORIGIN 0 0 0\nSPACING 1 1 1\nMETADATA\nINFORMATION 0\n\nPOINT_DATA 2
SCALARS a%20b int\nLOOKUP_TABLE mine\n1 2\nLOOKUP_TABLE mine 1\n1 0 0 1
METADATA\nCOMPONENT_NAMES\nx\n\nFIELD more 2\nnames 1 2 string\none\ntwo\nc 2 2 float\n1 nan -inf 4\n`;
  const data = parseVtk(bufferOf(text));
  expect(plain(data.pointData)).toEqual([
    { name: 'a b', components: 1, values: [1, 2] },
    { name: 'c', components: 2, values: [1, NaN, -Infinity, 4] },
  ]);
});
