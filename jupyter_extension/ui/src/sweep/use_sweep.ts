import { useEffect, useState } from 'react';

import type { Sweep, SweepRow, SweepTable } from '../api/models';
import { address, type QueryValue } from '../api/requests';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';

/** Events that come together are answered with one reading of the table. */
const GATHER = 2000;
/** Jobs of one request. */
const PAGE = 5000;

export interface SweepKnown {
  sweep: Sweep | null;
  parameters: string[];
  rows: SweepRow[];
  error: Error | null;
  /** When the gateway last answered (milliseconds of this browser's clock). */
  checkedAt: number | null;
  reload: () => void;
}

const NOTHING = { sweep: null, parameters: [], rows: [], error: null, checkedAt: null };

/** A sweep and its table, read again when something happened to one of its jobs. */
export function useSweep(id: string): SweepKnown {
  const { requests, jobs } = usePanel();
  const resumed = useValue(jobs.resumed);
  const [known, setKnown] = useState<Omit<SweepKnown, 'reload'>>(NOTHING);
  const [wanted, setWanted] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      const sweep = await requests.get<Sweep>(address('sweeps', id), {}, abort.signal);
      const rows: SweepRow[] = [];
      let page: SweepTable | null = null;
      do {
        const query: Record<string, QueryValue> = { limit: PAGE, cursor: page?.next_cursor };
        page = await requests.get<SweepTable>(address('sweeps', id, 'table'), query, abort.signal);
        rows.push(...page.items);
      } while (page.next_cursor);
      const { parameters } = page;
      setKnown({ sweep, parameters, rows, error: null, checkedAt: Date.now() });
    };
    read().catch((error: unknown) => {
      if (!abort.signal.aborted) {
        setKnown(before => ({ ...before, error: error as Error }));
      }
    });
    return () => abort.abort();
  }, [requests, id, wanted, resumed]);
  useEffect(() => {
    const mine = new Set(known.rows.map(row => row.job_id));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = jobs.onEvent(event => {
      if (event.job_id && mine.has(event.job_id)) {
        timer ??= setTimeout(() => setWanted(count => count + 1), GATHER);
      }
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [jobs, known.rows]);
  return { ...known, reload: () => setWanted(count => count + 1) };
}
