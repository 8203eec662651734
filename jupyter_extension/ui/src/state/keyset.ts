/**
 * A long list on the server of which some pages are known here. Pure: every change gives a new list.
 *
 * Answers may come late, twice and in any order, and single items are learned in between. Each question is numbered
 * when it is asked (`asked`, from one counter that also numbers what happens here), so that an old answer changes
 * nothing that is known better.
 */

/** Where an item stands: by `rank`, then `minor`, then downwards by id. */
export interface Key {
  rank: number;
  minor: number;
  id: string;
  /** Items of one group with the same rank stand by `minor` on the server too; others, who knows. */
  group: string;
}

export interface Listed {
  id: string;
  version: number;
}

export interface Entry<T> {
  item: T;
  key: Key;
  asked: number;
}

/** A part of the list, from where the one before ends to where the next one begins. */
export interface Part {
  cursor: string | null;
  /** The last item before it. */
  after: Key | null;
  /** The question whose answer is shown; 0: never answered. */
  answered: number;
  /** When it became old. */
  old: number;
}

export interface KeysetList<T extends Listed> {
  keyOf: (item: T) => Key;
  entries: ReadonlyMap<string, Entry<T>>;
  /** All entries in their order. */
  order: readonly Entry<T>[];
  parts: readonly Part[];
  /** What is known not to belong to the list, and since when. */
  gone: ReadonlyMap<string, number>;
}

export interface Page<T> {
  items: readonly T[];
  next_cursor: string | null;
}

export function emptyList<T extends Listed>(keyOf: (item: T) => Key): KeysetList<T> {
  const first: Part = { cursor: null, after: null, answered: 0, old: 1 };
  return { keyOf, entries: new Map(), order: [], parts: [first], gone: new Map() };
}

export function compare(a: Key, b: Key): number {
  return a.rank - b.rank || a.minor - b.minor || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

/** Whether `a` stands before `b` on the server without doubt: its clock is finer than the one we see. */
function surelyBefore(a: Key, b: Key): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.group === b.group && a.minor < b.minor);
}

export function needsAnswer(part: Part): boolean {
  return part.answered < part.old;
}

/** Where the known part of the list ends: the last item before what was never asked for; null: it is known to its end. */
export function frontier<T extends Listed>(list: KeysetList<T>): Part | null {
  const last = list.parts.at(-1);
  return last?.answered === 0 ? last : null;
}

/** Whether more may follow of which nothing is known yet. */
export function mayGoOn<T extends Listed>(list: KeysetList<T>): boolean {
  const last = list.parts.at(-1);
  if (!last || !needsAnswer(last)) {
    return false;
  }
  const end = list.order.at(-1);
  return last.answered === 0 || !end || (last.after !== null && compare(end.key, last.after) <= 0);
}

/** Everything may be different now. */
export function grownOld<T extends Listed>(list: KeysetList<T>, now: number): KeysetList<T> {
  return { ...list, parts: list.parts.map(part => ({ ...part, old: now })) };
}

/** Take in the answer to a question about the part that begins at `cursor`. */
export function takePage<T extends Listed>(
  list: KeysetList<T>,
  question: { cursor: string | null; asked: number },
  page: Page<T>,
): KeysetList<T> {
  const index = list.parts.findIndex(part => part.cursor === question.cursor);
  const part = list.parts[index];
  if (!part || part.answered > question.asked) {
    return list;
  }
  const lastItem = page.items.at(-1);
  const end = page.next_cursor !== null && lastItem ? list.keyOf(lastItem) : null;
  const entries = new Map(list.entries);
  const gone = new Map(list.gone);
  for (const item of page.items) {
    put(entries, gone, list.keyOf, item, question.asked);
  }
  const parts = joined(list.parts, index, question.asked, end, page.next_cursor);
  for (const [id, entry] of list.entries) {
    if (mayHold(part.after, end, entry.key) && isMissed(parts, entries.get(id) ?? entry)) {
      entries.delete(id);
    }
  }
  return { ...list, entries, gone, parts, order: sorted(entries) };
}

/** Whether an item may stand after one place and up to another. */
function mayHold(after: Key | null, end: Key | null, key: Key): boolean {
  const begun = after === null || (compare(after, key) !== 0 && !surelyBefore(key, after));
  return begun && (end === null || compare(key, end) === 0 || !surelyBefore(end, key));
}

/** Whether every part in which an item could stand was answered without it since it was heard of. */
function isMissed<T>(parts: readonly Part[], entry: Entry<T>): boolean {
  return parts.every(
    (part, index) =>
      part.answered > entry.asked ||
      !mayHold(part.after, parts[index + 1]?.after ?? null, entry.key),
  );
}

/** The parts after an answer: those that begin inside of it are covered, and what is left of the last of them stays. */
function joined(
  parts: readonly Part[],
  index: number,
  asked: number,
  end: Key | null,
  cursor: string | null,
): Part[] {
  const before = parts.slice(0, index);
  const current = parts[index];
  if (!current) {
    return [...parts];
  }
  const answered: Part = { ...current, answered: asked };
  if (end === null) {
    return [...before, answered];
  }
  const following = parts.slice(index + 1);
  const open = following.findIndex(part => part.after && compare(part.after, end) >= 0);
  const covered = open === -1 ? following : following.slice(0, open);
  const kept = open === -1 ? [] : following.slice(open);
  const next = kept[0];
  if (next?.after && compare(next.after, end) === 0) {
    return [...before, answered, ...kept];
  }
  // What is left was known as well as the part it belonged to; where nothing follows, nobody has asked yet.
  const owner = covered.at(-1) ?? current;
  const left: Part = { ...owner, cursor, after: end };
  if (owner === current && following.length === 0 && current.answered === 0) {
    left.answered = 0;
  }
  return [...before, answered, left, ...kept];
}

/** Take in one item that was asked for by itself; it is shown where the list is known up to it. */
export function takeItem<T extends Listed>(
  list: KeysetList<T>,
  item: T,
  asked: number,
): KeysetList<T> {
  const edge = frontier(list);
  const beyond = edge && (edge.after === null || compare(list.keyOf(item), edge.after) > 0);
  if (beyond && !list.entries.has(item.id)) {
    return list;
  }
  const entries = new Map(list.entries);
  const gone = new Map(list.gone);
  put(entries, gone, list.keyOf, item, asked);
  const entry = entries.get(item.id);
  if (entry && isMissed(list.parts, entry)) {
    // It comes late: pages that were asked for since do not have it.
    entries.delete(item.id);
  }
  return { ...list, entries, gone, order: sorted(entries) };
}

/** Change something of a known item that has no version of its own, such as its progress. */
export function amend<T extends Listed>(
  list: KeysetList<T>,
  id: string,
  change: (item: T) => T,
): KeysetList<T> {
  const entry = list.entries.get(id);
  if (!entry) {
    return list;
  }
  const changed = { ...entry, item: change(entry.item) };
  const entries = new Map(list.entries).set(id, changed);
  return { ...list, entries, order: list.order.map(one => (one === entry ? changed : one)) };
}

/** It does not belong to the list (any more). */
export function without<T extends Listed>(
  list: KeysetList<T>,
  id: string,
  asked: number,
): KeysetList<T> {
  const known = list.entries.get(id);
  if (known && known.asked > asked) {
    return list;
  }
  const gone = new Map(list.gone).set(id, Math.max(asked, list.gone.get(id) ?? 0));
  if (!known) {
    return { ...list, gone };
  }
  const entries = new Map(list.entries);
  entries.delete(id);
  return { ...list, entries, gone, order: list.order.filter(entry => entry.item.id !== id) };
}

function put<T extends Listed>(
  entries: Map<string, Entry<T>>,
  gone: Map<string, number>,
  keyOf: (item: T) => Key,
  item: T,
  asked: number,
): void {
  const left = gone.get(item.id);
  if (left !== undefined && left >= asked) {
    return;
  }
  const known = entries.get(item.id);
  const older =
    known &&
    (known.item.version > item.version ||
      (known.item.version === item.version && known.asked > asked));
  if (!older) {
    gone.delete(item.id);
    entries.set(item.id, { item, key: keyOf(item), asked });
  } else if (known.asked < asked) {
    entries.set(item.id, { ...known, asked });
  }
}

function sorted<T>(entries: ReadonlyMap<string, Entry<T>>): Entry<T>[] {
  return [...entries.values()].sort((a, b) => compare(a.key, b.key));
}
