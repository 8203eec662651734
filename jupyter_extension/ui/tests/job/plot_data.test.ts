import { expect, test } from 'vitest';

import { alignSeries, hasPositive, positiveOnly } from '../../src/components/plot_data';
import { SeriesTable } from '../../src/plots/rows';
import { forSeeds } from '../random';

const INFO = { name: 'residuals', label: null, file: 'r.csv', x: 'step', columns: [], rows: null };
const COLUMNS = [
  { name: 'step', label: null, unit: null },
  { name: 'p', label: 'Pressure', unit: 'Pa' },
];

test('series over one axis are drawn as they are', () => {
  const x = [1, 2, 3];
  const table = alignSeries([
    { label: 'a', x, y: [1, null, 3] },
    { label: 'b', x, y: [4, 5] },
  ]);
  expect(table).toEqual({
    x,
    columns: [
      [1, null, 3],
      [4, 5, null],
    ],
  });
});

test('series over different axes keep every point, in order', () => {
  forSeeds(200, random => {
    const make = () => {
      const x = Array.from({ length: random.below(12) }, () => random.below(30));
      return { label: 's', x: [...new Set(x)], y: [...new Set(x)].map(place => place * 2) };
    };
    const series = [make(), make(), make()];
    const table = alignSeries(series);
    expect(table.x).toEqual([...table.x].sort((a, b) => a - b));
    expect(new Set(table.x).size).toBe(table.x.length);
    series.forEach((one, index) => {
      one.x.forEach(place => {
        expect(table.columns[index]?.[table.x.indexOf(place)]).toBe(place * 2);
      });
      const points = table.columns[index]?.filter(value => value !== undefined);
      expect(points).toHaveLength(one.x.length);
    });
  });
});

test('a logarithmic axis leaves out what is not above zero', () => {
  const table = { x: [1, 2, 3], columns: [[-1, 0, 5]] };
  expect(positiveOnly(table).columns).toEqual([[null, null, 5]]);
  expect(hasPositive(table)).toBe(true);
  expect(hasPositive({ x: [1], columns: [[0]] })).toBe(false);
});

test('rows add up, and a file that is written anew begins again', () => {
  const table = new SeriesTable();
  const piece = { name: 'residuals', columns: COLUMNS, ended: false };
  table.take({ ...piece, rows: [[1, 5]], next: 1, reset: false });
  table.take({ ...piece, rows: [[2, 6]], next: 2, reset: false });
  expect(table.drawn(INFO).series[0]).toMatchObject({ x: [1, 2], y: [5, 6], unit: 'Pa' });
  table.take({ ...piece, rows: [[1, 9]], next: 1_000_000_001, reset: true });
  expect(table.drawn(INFO).series[0]).toMatchObject({ x: [1], y: [9] });
});

test('text in a column is no point, and without an axis the rows are counted', () => {
  const table = new SeriesTable();
  table.take({
    name: 'residuals',
    columns: [
      { name: 'p', label: null, unit: null },
      { name: 'word', label: null, unit: null },
    ],
    rows: [
      [1, 'a'],
      ['nan', 'b'],
      [3, null],
    ],
    next: 3,
    reset: false,
    ended: true,
  });
  const drawn = table.drawn(INFO);
  expect(drawn.xLabel).toBeNull();
  expect(drawn.series).toEqual([{ label: 'p', unit: null, x: [1, 2, 3], y: [1, null, 3] }]);
});
