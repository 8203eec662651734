import { expect, test } from 'vitest';

import { choose, move, NOTHING_CHOSEN, PLAIN, prune } from '../src/state/selection';

const KEYS = ['a', 'b', 'c', 'd', 'e'];
const EXTEND = { extend: true, toggle: false };
const TOGGLE = { extend: false, toggle: true };

function chosen(selection: { chosen: ReadonlySet<string> }): string {
  return [...selection.chosen].join('');
}

test('a range goes from the anchor to where Shift was held, both ways', () => {
  const one = choose(NOTHING_CHOSEN, KEYS, 'c', PLAIN);
  expect(chosen(choose(one, KEYS, 'e', EXTEND))).toBe('cde');
  expect(chosen(choose(one, KEYS, 'a', EXTEND))).toBe('abc');
  expect(chosen(choose(choose(one, KEYS, 'e', EXTEND), KEYS, 'b', EXTEND))).toBe('bc');
});

test('single rows are added and taken away', () => {
  const two = choose(choose(NOTHING_CHOSEN, KEYS, 'a', TOGGLE), KEYS, 'd', TOGGLE);
  expect(chosen(two)).toBe('ad');
  expect(chosen(choose(two, KEYS, 'a', TOGGLE))).toBe('d');
});

test('arrows move without choosing, with Shift they choose, and they stop at the ends', () => {
  const first = move(NOTHING_CHOSEN, KEYS, 0, false);
  expect(first).toMatchObject({ active: 'a' });
  expect(chosen(first)).toBe('');
  const third = move(move(first, KEYS, 1, true), KEYS, 2, true);
  expect(chosen(third)).toBe('abc');
  expect(move(third, KEYS, 99, false).active).toBe('e');
  expect(move(third, KEYS, -1, false).active).toBe('a');
  expect(move(third, [], 0, false)).toEqual(NOTHING_CHOSEN);
});

test('what has gone is not chosen any more', () => {
  const all = choose(choose(NOTHING_CHOSEN, KEYS, 'a', PLAIN), KEYS, 'c', EXTEND);
  const left = prune(all, new Set(['a', 'b']));
  expect(chosen(left)).toBe('ab');
  expect(left.active).toBeNull();
  expect(prune(left, new Set(['a', 'b', 'x']))).toBe(left);
});
