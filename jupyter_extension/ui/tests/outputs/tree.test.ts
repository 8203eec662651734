import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { compareNames, Listing } from '../../src/outputs/listing';
import { OutputsTree, type Row } from '../../src/outputs/tree';
import { byBytes, FakeListing } from './gateway';
import { Random } from '../random';

const NAMES = ['a', 'a/', 'b.txt', 'ä', '\uffff', '😀', '\ue000', 'z/é', 'A', '~'];

test('names have the order of their bytes', () => {
  const random = new Random(7);
  for (let round = 0; round < 500; round++) {
    const name = (): string =>
      Array.from({ length: random.below(4) }, () => random.pick(NAMES)).join('');
    const [a, b] = [name(), name()];
    expect(Math.sign(compareNames(a, b))).toBe(Math.sign(byBytes(a, b)));
  }
});

test('pages and reloads in any order leave what the gateway has, without repeat', () => {
  const random = new Random(11);
  for (let round = 0; round < 150; round++) {
    const gateway = new FakeListing();
    const name = (): string =>
      `${random.pick(NAMES)}${random.below(30)}${random.pick(['', '/x', '.vtk'])}`;
    gateway.put(...Array.from({ length: random.below(40) }, name));
    const listing = new Listing();
    for (let step = 0; step < 12; step++) {
      if (random.below(10) < 4) {
        gateway.put(name());
      }
      if (random.below(5) === 0) {
        gateway.files.delete(random.pick([...gateway.files.keys(), 'none']));
      }
      const again = listing.loaded && random.below(2) === 0;
      const after = again
        ? random.pick([null, ...listing.entries.map(entry => entry.name)])
        : listing.covered;
      listing.take(after, gateway.page('', after, 1 + random.below(8)));
      const names = listing.entries.map(entry => entry.name);
      expect(names).toEqual([...new Set(names)].sort(byBytes));
    }
    while (!listing.complete) {
      listing.take(listing.covered, gateway.page('', listing.cursor, 5));
    }
    let after: string | null = null;
    for (;;) {
      const page = gateway.page('', after, 7);
      listing.take(after, page);
      if (page.next_cursor === null) {
        break;
      }
      after = page.next_cursor;
    }
    expect(listing.entries.map(entry => entry.name)).toEqual(gateway.names(''));
  }
});

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function makeTree(gateway: FakeListing, opened = new Set<string>()): OutputsTree {
  const tree = new OutputsTree(
    (prefix, cursor, limit) => Promise.resolve(gateway.page(prefix, cursor, limit)),
    opened,
  );
  tree.start();
  return tree;
}

function shown(tree: OutputsTree): string[] {
  return tree.rows.value.map((row: Row) => `${' '.repeat(row.depth)}${row.name}`);
}

/** Let everything that is planned happen. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(10_000);
}

test('only what is open is asked for, and it stays open while files come', async () => {
  const gateway = new FakeListing();
  gateway.put('VTK/a_0.vtk', 'log', 'other/deep/x');
  const tree = makeTree(gateway);
  await settle();
  expect(shown(tree)).toEqual(['other/', 'VTK/', 'log']);
  tree.open('VTK/');
  await settle();
  expect(shown(tree)).toEqual(['other/', 'VTK/', ' VTK/a_0.vtk', 'log']);
  gateway.asked = [];
  gateway.put('VTK/a_1.vtk', 'other/deep/y');
  tree.reload(['VTK/a_1.vtk', 'other/deep/y']);
  await settle();
  expect(gateway.asked).toEqual(['', 'VTK/']);
  expect(shown(tree)).toEqual(['other/', 'VTK/', ' VTK/a_0.vtk', ' VTK/a_1.vtk', 'log']);
  expect(tree.rows.value.find(row => row.name === 'other/')).toMatchObject({
    folder: { count: 2 },
  });
});

test('a folder that is known whole is sorted as people sort, folders first', async () => {
  const gateway = new FakeListing();
  gateway.put('a_100', 'a_9', '0/U', '0.1/U', '10/U', '2/U', 'B', 'b');
  const tree = makeTree(gateway);
  await settle();
  expect(shown(tree)).toEqual(['0/', '0.1/', '2/', '10/', 'a_9', 'a_100', 'b', 'B']);
});

test('a burst of news is one round of questions', async () => {
  const gateway = new FakeListing();
  gateway.put('a');
  const tree = makeTree(gateway);
  await settle();
  gateway.asked = [];
  for (let i = 0; i < 100; i++) {
    tree.reload([`f${i}`]);
  }
  await settle();
  expect(gateway.asked).toEqual(['']);
});

test('a folder of many files is loaded page by page, and reloaded as far as it is known', async () => {
  const gateway = new FakeListing();
  gateway.put(...Array.from({ length: 2500 }, (_, i) => `f${String(i).padStart(5, '0')}`));
  const tree = makeTree(gateway);
  await settle();
  expect(tree.rows.value.filter(row => row.kind === 'file')).toHaveLength(1000);
  expect(tree.rows.value.at(-1)?.kind).toBe('more');
  await tree.more('');
  gateway.put('f00000-new');
  tree.reload();
  await settle();
  const files = tree.rows.value.filter(row => row.kind === 'file');
  expect(files.length).toBeGreaterThanOrEqual(2000);
  expect(files.length).toBeLessThan(2501);
  expect(files[1]?.name).toBe('f00000-new');
  await tree.more('');
  expect(tree.rows.value).toHaveLength(2501);
});

test('a failure is a line of its own, and trying again goes on', async () => {
  const gateway = new FakeListing();
  gateway.put('a');
  let broken = true;
  const tree = new OutputsTree((prefix, cursor, limit) =>
    broken
      ? Promise.reject(new Error('away'))
      : Promise.resolve(gateway.page(prefix, cursor, limit)),
  );
  tree.start();
  await settle();
  expect(tree.rows.value).toMatchObject([{ kind: 'error', error: { message: 'away' } }]);
  broken = false;
  await tree.more('');
  expect(shown(tree)).toEqual(['a']);
});

test('after it is disposed of nothing is asked any more', async () => {
  const gateway = new FakeListing();
  const tree = makeTree(gateway);
  await settle();
  gateway.asked = [];
  tree.reload();
  tree.dispose();
  tree.reload();
  await settle();
  expect(gateway.asked).toEqual([]);
});
