import { run } from '../commands';
import { move, choose } from '../state/selection';
import type { Row } from '../state/job_rows';
import type { SidebarModel } from './model';

const PAGE = 10;

/** Open what a row stands for: a job's view, or a sweep's jobs. */
export function openRow(model: SidebarModel, row: Row): void {
  if (row.kind === 'job') {
    run(model.panel.commands, 'openJob', { id: row.job.id });
  } else if (row.kind === 'sweep') {
    model.list.setOpen(row.sweep.id, !row.open);
  }
}

/** What a key does in the list; the answer is whether it did something. */
export function pressKey(model: SidebarModel, event: React.KeyboardEvent): boolean {
  const rows = model.list.rows.value.filter(row => row.kind !== 'more');
  const keys = rows.map(row => row.key);
  const selection = model.selection.value;
  const at = selection.active === null ? -1 : keys.indexOf(selection.active);
  const row = rows[at];
  const go = (to: number): true => {
    model.selection.set(move(selection, keys, to, event.shiftKey));
    return true;
  };
  switch (event.key) {
    case 'ArrowDown':
      return go(at + 1);
    case 'ArrowUp':
      return go(at - 1);
    case 'Home':
      return go(0);
    case 'End':
      return go(keys.length - 1);
    case 'PageDown':
      return go(at + PAGE);
    case 'PageUp':
      return go(at - PAGE);
    case 'ArrowRight':
    case 'ArrowLeft':
      return turn(model, rows, row, event.key === 'ArrowRight', go);
    case 'a':
      if (event.ctrlKey || event.metaKey) {
        model.selection.set({ ...selection, chosen: new Set(keys) });
        return true;
      }
      return false;
    case 'Escape':
      model.selection.set({ ...selection, chosen: new Set() });
      return selection.chosen.size > 0;
    case ' ':
      if (row) {
        const how = { extend: event.shiftKey, toggle: !event.shiftKey };
        model.selection.set(choose(selection, keys, row.key, how));
      }
      return true;
    case 'Enter':
      if (row?.kind === 'sweep') {
        run(model.panel.commands, 'openSweep', { id: row.sweep.id });
      } else if (row) {
        openRow(model, row);
      }
      return true;
    default:
      return false;
  }
}

/** Right opens a sweep or goes into it, left closes it or goes out of it. */
function turn(
  model: SidebarModel,
  rows: readonly Row[],
  row: Row | undefined,
  right: boolean,
  go: (to: number) => true,
): true {
  if (row?.kind === 'sweep') {
    if (row.open !== right) {
      model.list.setOpen(row.sweep.id, right);
    } else if (right) {
      go(rows.indexOf(row) + 1);
    }
  } else if (row?.kind === 'job' && row.below !== null && !right) {
    go(rows.findIndex(other => other.key === row.below));
  }
  return true;
}
