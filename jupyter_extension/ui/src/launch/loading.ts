import { useEffect, useState } from 'react';

import type { StoreInfo, TargetInfo } from '../api/models';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';

/** What is asked for, once it is there; asked again when `key` changes and when the gateway is back. */
export interface Loaded<T> {
  value: T | null;
  error: Error | null;
  /** Whether an answer has come, be it `null`. */
  settled: boolean;
  reload: () => void;
}

interface State<T> {
  key: string;
  value: T | null;
  error: Error | null;
}

export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const panel = usePanel();
  const status = useValue(panel.status);
  const [count, setCount] = useState(0);
  const [state, setState] = useState<State<T>>({ key: '', value: null, error: null });
  const ready = status?.state === 'ready';
  useEffect(() => {
    if (!ready) {
      return;
    }
    const ended = new AbortController();
    load(ended.signal).then(
      value => {
        if (!ended.signal.aborted) {
          setState({ key, value, error: null });
        }
      },
      (error: unknown) => {
        if (!ended.signal.aborted) {
          const shown = error instanceof Error ? error : new Error(String(error));
          setState(before => ({
            key,
            value: before.key === key ? before.value : null,
            error: shown,
          }));
        }
      },
    );
    return () => ended.abort();
    // `load` is made anew at each drawing; `key` says what it asks for.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key, ready, count]);
  const current = state.key === key;
  return {
    value: current ? state.value : null,
    error: current ? state.error : null,
    settled: current,
    reload: () => setCount(before => before + 1),
  };
}

/** Where jobs can run and where outputs can go; empty until they are known. */
export function usePlaces(): { targets: TargetInfo[]; stores: StoreInfo[] } {
  const { requests } = usePanel();
  const targets = useLoaded('targets', signal =>
    requests.get<{ items: TargetInfo[] }>('/api/v1/targets', {}, signal),
  );
  const stores = useLoaded('stores', signal =>
    requests.get<{ items: StoreInfo[] }>('/api/v1/stores', {}, signal),
  );
  return { targets: targets.value?.items ?? [], stores: stores.value?.items ?? [] };
}
