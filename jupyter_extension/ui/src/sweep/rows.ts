import type { State, SweepRow } from '../api/models';

/** What a column shows of each job of a sweep. `key` of a parameter is `value:` and its name. */
export interface Column {
  key: string;
  of: (row: SweepRow) => unknown;
}

export interface Order {
  key: string;
  down: boolean;
}

/** The columns of a sweep's table: values that were varied first, then what came of them. */
export function columnsOf(parameters: readonly string[]): Column[] {
  return [
    { key: 'index', of: row => row.index },
    ...parameters.map(name => ({ key: `value:${name}`, of: (row: SweepRow) => row.values[name] })),
    { key: 'state', of: row => row.state },
    { key: 'exit_code', of: row => row.exit_code },
    { key: 'progress', of: row => row.progress },
    { key: 'seconds', of: row => row.seconds },
  ];
}

/** A parameter's name without the mark of its place in the request (`/values/reynolds`). */
export function parameterLabel(name: string): string {
  return name.startsWith('/') ? (name.split('/').pop() ?? name) : name;
}

/** A value in one line. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) {
    return '–';
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The rows in an order; equal ones, and those without a value at the end, by their index. */
export function inOrder(rows: readonly SweepRow[], columns: Column[], order: Order): SweepRow[] {
  const column = columns.find(one => one.key === order.key) ?? columns[0];
  const sign = order.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [left, right] = [column?.of(a) ?? null, column?.of(b) ?? null];
    if (left === null || right === null) {
      return Number(left === null) - Number(right === null) || a.index - b.index;
    }
    return sign * compare(left, right) || a.index - b.index;
  });
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === 'number' && typeof right === 'number') {
    return left - right;
  }
  return valueText(left).localeCompare(valueText(right), undefined, { numeric: true });
}

/** How many jobs there are in each state. */
export function countStates(rows: readonly SweepRow[]): Map<State, number> {
  const found = new Map<State, number>();
  for (const row of rows) {
    const state = row.state as State;
    found.set(state, (found.get(state) ?? 0) + 1);
  }
  return found;
}
