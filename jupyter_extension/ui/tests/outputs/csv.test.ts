import { expect, test } from 'vitest';

import {
  columnNumbers,
  guessSeparator,
  numberOf,
  numericColumns,
  parseTable,
} from '../../src/outputs/csv';
import { Random } from '../random';

function quoted(field: string): string {
  return `"${field.replaceAll('"', '""')}"`;
}

test('fields come back as they were written, whatever stands in them', () => {
  const random = new Random(5);
  const pieces = ['a', '1', ' ', '"', ',', '\n', '\r\n', 'ü', '😀', ';', "'"];
  for (let round = 0; round < 300; round++) {
    const width = 2 + random.below(4);
    const rows = Array.from({ length: 1 + random.below(6) }, () =>
      Array.from({ length: width }, () =>
        Array.from({ length: random.below(5) }, () => random.pick(pieces)).join(''),
      ),
    );
    const header = Array.from({ length: width }, (_, i) => `column ${i}`);
    const end = random.pick(['\n', '\r\n', '\r']);
    const text = [header, ...rows].map(row => row.map(quoted).join(',')).join(end);
    const table = parseTable(text + (random.below(2) === 0 ? end : ''), ',');
    expect(table.header).toEqual(header);
    expect(table.rows).toEqual(rows);
    expect(table.ragged).toBe(0);
  }
});

test.each([
  ['a,b\n1,2\n3,4', ','],
  ['a;b\n1,5;2,5\n', ';'],
  ['a\tb\n1\t2\n', '\t'],
  ['a|b\n1|2\n', '|'],
  ['alone\n1\n', ','],
  ['', ','],
])('the separator of %j is found', (text, separator) => {
  expect(guessSeparator(text)).toBe(separator);
});

test('rows of another length are kept and counted', () => {
  const table = parseTable('a,b\n1\n1,2\n1,2,3\n');
  expect(table.rows).toEqual([['1'], ['1', '2'], ['1', '2', '3']]);
  expect(table.ragged).toBe(2);
});

test('a table of numbers only has its columns numbered', () => {
  expect(parseTable('1,2\n3,4\n').header).toEqual(['1', '2']);
  expect(parseTable('1,2\n3,4\n').rows).toHaveLength(2);
});

test('comments above are left out, but for one that is the header', () => {
  expect(parseTable('# made by a solver\n# time,p\n0,1\n').header).toEqual(['time', 'p']);
  expect(parseTable('# made by a solver\ntime,p\n0,1\n').header).toEqual(['time', 'p']);
});

test('names that stand twice are told apart, and missing ones made', () => {
  expect(parseTable('a,a,\n1,2,3\n').header).toEqual(['a', 'a (2)', '3']);
});

test('a quote that is never closed and a beginning that is no text break nothing', () => {
  expect(parseTable('\ufeffa,b\n"1,2\n3').rows).toEqual([['1,2\n3']]);
});

test.each([
  ['1', 1],
  [' -1.5e-3 ', -0.0015],
  ['1.0D+02', 100],
  ['.5', 0.5],
  ['-inf', -Infinity],
  ['', null],
  ['1,5', null],
  ['0x10', null],
  ['12 m', null],
])('%j is the number %j', (field, value) => {
  expect(numberOf(field)).toBe(value);
});

test('columns of numbers can be plotted, with gaps where there is none', () => {
  const table = parseTable('step,name,p\n1,a,0.5\n2,b,\n3,c,1.5\n');
  expect(numericColumns(table)).toEqual([0, 2]);
  expect(columnNumbers(table, 2)).toEqual([0.5, NaN, 1.5]);
});
