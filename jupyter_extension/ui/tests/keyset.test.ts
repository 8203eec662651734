import { expect, test } from 'vitest';

import {
  compare,
  emptyList,
  frontier,
  grownOld,
  needsAnswer,
  takeItem,
  takePage,
  without,
  type Key,
  type KeysetList,
  type Page,
} from '../src/state/keyset';
import { forSeeds, type Random } from './random';

interface Thing {
  id: string;
  version: number;
  /** Its moment as the server knows it, finer than the one on the wire. */
  exact: number;
  shown: boolean;
}

const PAGE = 5;

function keyOf(thing: Thing): Key {
  return { rank: -Math.floor(thing.exact / 10), minor: 0, id: thing.id, group: thing.id };
}

class Server {
  things = new Map<string, Thing>();
  private clock = 1000;
  private made = 0;

  make(step: number): string {
    this.clock += step;
    this.made += 1;
    const id = `${String((this.made * 7919) % 1000).padStart(3, '0')}-${this.made}`;
    this.things.set(id, { id, version: 1, exact: this.clock, shown: true });
    return id;
  }

  change(id: string, shown: boolean): void {
    const thing = this.things.get(id);
    if (thing) {
      this.things.set(id, { ...thing, version: thing.version + 1, shown });
    }
  }

  all(): Thing[] {
    return [...this.things.values()]
      .filter(thing => thing.shown)
      .sort((a, b) => b.exact - a.exact || (a.id < b.id ? 1 : -1));
  }

  page(cursor: string | null): Page<Thing> {
    const [moment, id] =
      cursor === null ? [Infinity, '~'] : (JSON.parse(cursor) as [number, string]);
    const rest = this.all().filter(
      thing => thing.exact < moment || (thing.exact === moment && thing.id < id),
    );
    const items = rest.slice(0, PAGE);
    const last = items.at(-1);
    const more = rest.length > PAGE && last;
    return { items, next_cursor: more ? JSON.stringify([last.exact, last.id]) : null };
  }
}

/** What always holds. Written without `expect`, which is slow for something done so often. */
function check(list: KeysetList<Thing>): void {
  const ids = new Set(list.order.map(entry => entry.item.id));
  const isOnce = ids.size === list.order.length && ids.size === list.entries.size;
  const isSorted = list.order.every((entry, index) => {
    const next = list.order[index + 1];
    return next === undefined || compare(entry.key, next.key) < 0;
  });
  const isJoined = list.parts.slice(0, -1).every(part => part.answered > 0);
  if (!isOnce || !isSorted || !isJoined) {
    throw new Error(`once: ${isOnce}, sorted: ${isSorted}, joined: ${isJoined}`);
  }
}

/** Ask for all that is not known or old, until nothing is. */
function drain(list: KeysetList<Thing>, server: Server, tick: () => number): KeysetList<Thing> {
  let current = list;
  for (let asked = 0; asked < 200; asked += 1) {
    const part = current.parts.find(needsAnswer);
    if (!part) {
      return current;
    }
    const question = { cursor: part.cursor, asked: tick() };
    current = takePage(current, question, server.page(part.cursor));
    check(current);
  }
  throw new Error('it never comes to its end');
}

/** @param ties Whether several things may be made at moments that look the same here. */
function live(random: Random, ties: boolean): void {
  const below = (limit: number): number => random.below(limit);
  const server = new Server();
  let ticks = 1;
  const tick = (): number => ++ticks;
  let list = emptyList<Thing>(keyOf);
  const late: ((list: KeysetList<Thing>) => KeysetList<Thing>)[] = [];
  const someId = (): string => [...server.things.keys()][below(server.things.size)] ?? '';
  for (let step = 0; step < 12; step += 1) {
    server.make(below(3) * 10 + 10);
  }
  for (let step = 0; step < 120; step += 1) {
    switch (below(8)) {
      case 0:
        server.make(ties ? 3 : below(2) * 15 + 10);
        break;
      case 1: {
        const id = someId();
        server.things.delete(id);
        list = without(list, id, tick());
        break;
      }
      case 2:
        server.change(someId(), below(2) === 0);
        break;
      case 3:
        list = grownOld(list, tick());
        break;
      case 4: {
        // One by itself, its answer late.
        const id = someId();
        const asked = tick();
        const thing = server.things.get(id);
        late.push(current => {
          if (!thing) {
            return current;
          }
          return thing.shown ? takeItem(current, thing, asked) : without(current, id, asked);
        });
        break;
      }
      case 5:
      case 6: {
        const part = list.parts[below(list.parts.length)];
        if (part) {
          const question = { cursor: part.cursor, asked: tick() };
          const page = server.page(part.cursor);
          late.push(current => takePage(current, question, page));
        }
        break;
      }
      default: {
        const [answer] = late.splice(below(late.length), 1);
        list = answer ? answer(list) : list;
      }
    }
    check(list);
  }
  for (const answer of late) {
    list = answer(list);
    check(list);
  }
  list = drain(grownOld(list, tick()), server, tick);
  const ids = list.order.map(entry => entry.item.id);
  const all = server.all().map(thing => thing.id);
  // Of what was made at one moment it cannot be said here what came first.
  expect(ties ? ids.sort() : ids).toEqual(ties ? all.sort() : all);
  expect(frontier(list)).toBeNull();
}

test('whatever comes in whatever order, it is in order, once, and in the end all and nothing else', () => {
  forSeeds(100, random => live(random, false));
});

test('things of one moment are neither lost nor shown twice', () => {
  forSeeds(100, random => live(random, true));
});

function filled(count: number): { server: Server; list: KeysetList<Thing>; tick: () => number } {
  const server = new Server();
  for (let index = 0; index < count; index += 1) {
    server.make(10);
  }
  let ticks = 1;
  const tick = (): number => ++ticks;
  return { server, tick, list: drain(emptyList<Thing>(keyOf), server, tick) };
}

test('each page is asked for once', () => {
  const { server, list, tick } = filled(23);
  expect(list.order).toHaveLength(23);
  expect(tick()).toBe(2 + Math.ceil(23 / PAGE));
  expect(list.parts.some(needsAnswer)).toBe(false);
  expect(server.all()).toHaveLength(23);
});

test('an old answer neither brings back what was deleted nor hides what came later', () => {
  const { server, list, tick } = filled(4);
  const asked = tick();
  const page = server.page(null);
  const gone = server.all()[1]?.id ?? '';
  server.things.delete(gone);
  const newest = server.make(10);
  const made = server.things.get(newest);
  let later = without(list, gone, tick());
  later = made ? takeItem(later, made, tick()) : later;
  later = takePage(later, { cursor: null, asked }, page);
  expect(later.order.map(entry => entry.item.id)).toEqual(server.all().map(thing => thing.id));
});

test('an older version of an item changes nothing', () => {
  const { server, list, tick } = filled(2);
  const first = server.all()[0];
  if (!first) {
    throw new Error('it has one');
  }
  const newer = takeItem(list, { ...first, version: 3 }, tick());
  const older = takeItem(newer, { ...first, version: 2 }, tick());
  expect(older.entries.get(first.id)?.item.version).toBe(3);
});

test('many new ones on top leave a part to be asked for, and no gap once it was', () => {
  const { server, list, tick } = filled(12);
  for (let index = 0; index < 17; index += 1) {
    server.make(10);
  }
  let current = grownOld(list, tick());
  current = takePage(current, { cursor: null, asked: tick() }, server.page(null));
  expect(current.parts.some(needsAnswer)).toBe(true);
  current = drain(current, server, tick);
  expect(current.order).toHaveLength(29);
});

test('one beyond what is known waits for its page', () => {
  const server = new Server();
  for (let index = 0; index < 12; index += 1) {
    server.make(10);
  }
  let list = emptyList<Thing>(keyOf);
  const last = server.all().at(-1);
  if (!last) {
    throw new Error('it has one');
  }
  list = takeItem(list, last, 2);
  expect(list.order).toHaveLength(0);
  list = takePage(list, { cursor: null, asked: 3 }, server.page(null));
  list = takeItem(list, last, 4);
  expect(list.order).toHaveLength(PAGE);
});
