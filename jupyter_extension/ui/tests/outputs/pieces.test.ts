import { expect, test } from 'vitest';

import { kindOf } from '../../src/components/output_files';
import {
  EMPTY,
  linesOf,
  looksBinary,
  readBefore,
  readHead,
  readNext,
  readTail,
  textOfWindow,
  type ReadRange,
} from '../../src/outputs/byte_window';
import { fixedFolder, matcher } from '../../src/outputs/pattern';
import { changesOf } from '../../src/outputs/use_tree';

function reader(content: () => Uint8Array): ReadRange {
  return (first, last) => {
    const bytes = content();
    return Promise.resolve({ bytes: bytes.slice(first, last + 1), size: bytes.length });
  };
}

test('characters that a border cuts are left out on both sides', async () => {
  const bytes = new TextEncoder().encode('äöü€😀x');
  for (let start = 0; start < bytes.length; start++) {
    for (let end = start; end <= bytes.length; end++) {
      const text = textOfWindow({ start, bytes: bytes.slice(start, end), size: bytes.length });
      expect('äöü€😀x').toContain(text);
    }
  }
  const whole = await readHead(reader(() => bytes));
  expect(textOfWindow(whole)).toBe('äöü€😀x');
});

test('a window moves through a file without holding more than its most', async () => {
  const size = 5 * 1024 * 1024;
  const read = reader(() => new Uint8Array(size).fill(97));
  const most = 2 * 1024 * 1024;
  let window = await readHead(read);
  window = await readNext(read, window, most);
  window = await readNext(read, window, most);
  expect([window.start, window.bytes.length, window.size]).toEqual([1024 * 1024, most, size]);
  window = await readBefore(read, window, most);
  expect([window.start, window.bytes.length]).toEqual([0, most]);
  const tail = await readTail(read, size, 1000);
  expect([tail.start, tail.bytes.length]).toEqual([size - 1000, 1000]);
});

test('what was written since is added, and a file that became shorter is read anew', async () => {
  let content = new TextEncoder().encode('one\n');
  const read = reader(() => content);
  let window = await readNext(read, EMPTY);
  content = new TextEncoder().encode('one\ntwo\n');
  window = await readNext(read, window);
  expect(textOfWindow(window)).toBe('one\ntwo\n');
  content = new TextEncoder().encode('new');
  window = await readNext(read, window);
  expect(textOfWindow(window)).toBe('new');
});

test('lines end as any system ends them, and very long ones are broken', () => {
  expect(linesOf('a\nb\r\nc\rd\n')).toEqual(['a', 'b', 'c', 'd']);
  expect(linesOf('')).toEqual(['']);
  expect(linesOf('x'.repeat(9000)).map(line => line.length)).toEqual([4000, 4000, 1000]);
});

test('programs are told from text', () => {
  expect(looksBinary(new Uint8Array([127, 69, 76, 70, 0, 1]))).toBe(true);
  expect(looksBinary(new TextEncoder().encode('FoamFile\n{ }\n\u001b[31mred'))).toBe(false);
});

test.each([
  ['VTK/a.vtk', null, 'vtk'],
  ['a.CSV', null, 'table'],
  ['page.html', 'text/plain', 'page'],
  ['page', 'text/html; charset=utf-8', 'page'],
  ['plot.svg', 'image/svg+xml', 'image'],
  ['0.1/U', null, 'perhaps text'],
  ['log.cavity', null, 'perhaps text'],
  ['core.bin', 'application/octet-stream', 'other'],
  ['notes', 'text/markdown', 'text'],
])('%s (%s) is shown as %s', (path, type, kind) => {
  expect(kindOf(path, type)).toBe(kind);
});

test.each([
  ['*.vtk', 'VTK/deep/a.vtk', true],
  ['VTK/*', 'VTK/deep/a.vtk', false],
  ['VTK/**', 'VTK/deep/a.vtk', true],
  ['**/a.*', 'a.vtk', true],
  ['a_?.vtk', 'VTK/a_1.vtk', true],
  ['a_[0-3].vtk', 'a_5.vtk', false],
  ['a_[!0-3].vtk', 'a_5.vtk', true],
  ['[', 'a[b', true],
  ['[x', 'ab', false],
  ['[z-a]', 'b', false],
  ['Cav', 'VTK/cavity.vtk', true],
  ['a.b*', 'axb', false],
  ['(+)$*', '(+)$1', true],
])('%s on %s: %s', (pattern, path, expected) => {
  expect(matcher(pattern)(path)).toBe(expected);
});

test('only the folder that a pattern names is looked through', () => {
  expect(fixedFolder('VTK/walls/*.vtk')).toBe('VTK/walls/');
  expect(fixedFolder('*.vtk')).toBe('');
  expect(fixedFolder('plain')).toBe('');
});

test('events say which folders to ask for again', () => {
  expect(changesOf('outputs', { store: 's', count: 2, new: ['a', 'b/c'] }, 's')).toEqual([
    'a',
    'b/c',
  ]);
  expect(changesOf('outputs', { store: 's', count: 90, new: ['a'] }, 's')).toBe('all');
  expect(changesOf('outputs', { store: 't', count: 1, new: ['a'] }, 's')).toBeNull();
  expect(changesOf('outputs', { store: 's', state: 'complete', count: 4 }, 's')).toBe('all');
  expect(changesOf('state', { to: 'succeeded' }, 's')).toBe('all');
  expect(changesOf('state', { to: 'running' }, 's')).toBeNull();
});
