import type { Row } from './tree';

/** What is chosen in the tree, and where the keyboard is. */
export interface Selection {
  selected: ReadonlySet<string>;
  focused: string | null;
  /** Where a range begins that Shift extends. */
  anchor: string | null;
}

export type Way = 'only' | 'toggle' | 'range' | 'focus';

export function canSelect(row: Row): boolean {
  return row.kind === 'file' || row.kind === 'folder';
}

/** Choose a row as a click or a key does. */
export function choose(before: Selection, rows: readonly Row[], name: string, way: Way): Selection {
  if (way === 'focus') {
    return { ...before, focused: name };
  }
  if (way === 'range') {
    const from = rows.findIndex(row => row.name === (before.anchor ?? before.focused));
    const to = rows.findIndex(row => row.name === name);
    const start = from < 0 ? to : from;
    const range = rows.slice(Math.min(start, to), Math.max(start, to) + 1).filter(canSelect);
    return {
      selected: new Set(range.map(row => row.name)),
      focused: name,
      anchor: before.anchor ?? before.focused ?? name,
    };
  }
  if (way === 'toggle') {
    const selected = new Set(before.selected);
    if (!selected.delete(name)) {
      selected.add(name);
    }
    return { selected, focused: name, anchor: name };
  }
  return { selected: new Set([name]), focused: name, anchor: name };
}

/** The row to which an arrow, Home or End leads; null: nowhere. */
export function neighbour(
  rows: readonly Row[],
  focused: string | null,
  key: string,
  page: number,
): Row | null {
  const at = rows.findIndex(row => row.name === focused);
  const steps: Record<string, number | undefined> = {
    ArrowDown: at + 1,
    ArrowUp: at < 0 ? 0 : at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: rows.length - 1,
  };
  const to = steps[key];
  if (to === undefined || rows.length === 0) {
    return null;
  }
  return rows[Math.min(rows.length - 1, Math.max(0, to))] ?? null;
}

/** The folder that a row stands in; null at the top. */
export function parentRow(rows: readonly Row[], name: string): Row | null {
  const at = rows.findIndex(row => row.name === name);
  const depth = rows[at]?.depth ?? 0;
  for (let i = at - 1; i >= 0; i--) {
    const row = rows[i];
    if (row && row.depth < depth) {
      return row;
    }
  }
  return null;
}
