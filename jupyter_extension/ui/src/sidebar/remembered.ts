import type { IStateDB } from '@jupyterlab/statedb';

import { isNarrowed, readFilter } from '../state/filter';
import type { JobList } from '../state/job_list';

/** More than these are not opened again. */
const MOST_OPEN = 20;

/** Take up the filter and the open sweeps of the last time, and keep them from now on. */
export async function remember(memory: IStateDB, key: string, list: JobList): Promise<void> {
  try {
    const stored = (await memory.fetch(key)) as { filter?: unknown; open?: unknown } | undefined;
    const filter = readFilter(stored?.filter);
    const open = Array.isArray(stored?.open) ? stored.open : [];
    for (const id of open.slice(-MOST_OPEN)) {
      list.setOpen(String(id), true);
    }
    // Whoever was faster than the memory knows better.
    if (isNarrowed(filter) && !isNarrowed(list.filter.value)) {
      list.setFilter(filter);
    }
  } catch (error) {
    console.warn(error);
  }
  const save = (): void => {
    const content = { filter: { ...list.filter.value }, open: [...list.open.value] };
    memory.save(key, content).catch((error: unknown) => console.warn(error));
  };
  list.filter.subscribe(save);
  list.open.subscribe(save);
}
