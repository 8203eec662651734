import { expect, test } from 'vitest';

import type { SweepRow } from '../../src/api/models';
import { columnsOf, countStates, inOrder, parameterLabel, valueText } from '../../src/sweep/rows';

function row(index: number, given: Partial<SweepRow>): SweepRow {
  return { index, job_id: `job-${index}`, values: {}, state: 'succeeded', ...given } as SweepRow;
}

const ROWS = [
  row(0, { values: { re: 100 }, seconds: 9 }),
  row(1, { values: { re: 20 }, state: 'failed', exit_code: 3, seconds: null }),
  row(2, { values: { re: 1000 }, seconds: 5 }),
];
const COLUMNS = columnsOf(['re']);

function indices(key: string, down = false): number[] {
  return inOrder(ROWS, COLUMNS, { key, down }).map(found => found.index);
}

test('the varied values stand before the results', () => {
  expect(COLUMNS.map(column => column.key)).toEqual([
    'index',
    'value:re',
    'state',
    'exit_code',
    'progress',
    'seconds',
  ]);
});

test('numbers are sorted as numbers, either way', () => {
  expect(indices('value:re')).toEqual([1, 0, 2]);
  expect(indices('value:re', true)).toEqual([2, 0, 1]);
});

test('what has no value stands last in both directions', () => {
  expect(indices('seconds')).toEqual([2, 0, 1]);
  expect(indices('seconds', true)).toEqual([0, 2, 1]);
});

test('equal ones keep the order of the sweep', () => {
  expect(indices('state')).toEqual([1, 0, 2]);
});

test('places in a request are shown by their last name, values in one line', () => {
  expect(parameterLabel('/resources/cpus')).toBe('cpus');
  expect(parameterLabel('reynolds')).toBe('reynolds');
  expect([null, 'a', 1.5, [1, 2]].map(valueText)).toEqual(['–', 'a', '1.5', '[1,2]']);
});

test('states are counted', () => {
  expect([...countStates(ROWS)]).toEqual([
    ['succeeded', 2],
    ['failed', 1],
  ]);
});
