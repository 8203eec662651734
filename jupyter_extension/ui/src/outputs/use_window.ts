import { useCallback, useEffect, useRef, useState } from 'react';

import type { OutputFile } from '../api/models';
import { usePanel } from '../panel';
import { EMPTY, endOf, readHead, type ReadRange, type Window } from './byte_window';
import { rangesOf } from './ranges';

export interface HeldWindow {
  window: Window;
  /** Whether the first answer has come. */
  loaded: boolean;
  busy: boolean;
  error: Error | null;
  /** Replace what is held by what `step` makes of it; one step after the other. */
  change: (step: (read: ReadRange, window: Window) => Promise<Window>) => void;
}

/** A bounded part of a file, read anew when another file is shown. */
export function useWindow(
  file: OutputFile,
  first: (read: ReadRange) => Promise<Window> = readHead,
): HeldWindow {
  const { requests } = usePanel();
  const [state, setState] = useState({ window: EMPTY, loaded: false, error: null as Error | null });
  const [busy, setBusy] = useState(true);
  const held = useRef(EMPTY);
  const queue = useRef(Promise.resolve());
  const alive = useRef(new AbortController());
  const newest = useRef(file);
  newest.current = file;

  const change = useCallback(
    (step: (read: ReadRange, window: Window) => Promise<Window>) => {
      const { signal } = alive.current;
      const gone = (): boolean => signal.aborted;
      queue.current = queue.current.then(async () => {
        if (gone()) {
          return;
        }
        setBusy(true);
        try {
          const window = await step(rangesOf(requests, newest.current, signal), held.current);
          if (!gone()) {
            held.current = window;
            setState({ window, loaded: true, error: null });
          }
        } catch (error) {
          if (!gone()) {
            const seen = error instanceof Error ? error : new Error(String(error));
            setState({ window: held.current, loaded: true, error: seen });
          }
        }
        if (!gone()) {
          setBusy(false);
        }
      });
    },
    [requests],
  );

  const begin = useRef(first);
  useEffect(() => {
    const controller = new AbortController();
    alive.current = controller;
    held.current = EMPTY;
    setState({ window: EMPTY, loaded: false, error: null });
    change(read => begin.current(read));
    return () => controller.abort();
  }, [file.job_id, file.store, file.path, change]);

  return { ...state, busy, change };
}

/** Call `act` when the file on the server is another than it was: it grew, or was settled. */
export function useGrowth(file: OutputFile, act: () => void): void {
  const version = `${file.size} ${file.stored_at ?? ''} ${file.digest ?? ''}`;
  const seen = useRef(version);
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    if (seen.current !== version) {
      seen.current = version;
      latest.current();
    }
  }, [version]);
}

/** What is left of the file behind the window. */
export function behind(window: Window): number {
  return Math.max(0, window.size - endOf(window));
}
