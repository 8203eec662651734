import { useCallback, useEffect, useRef, useState } from 'react';

/** The newest answer to a question that is asked again while something goes on. */
export interface Answer<T> {
  value: T | null;
  error: Error | null;
  settled: boolean;
  /** Take an answer that came another way. */
  learn: (value: T) => void;
}

/** Milliseconds between two questions: the first ones soon, later ones seldom. */
const SOON = 500;
const SELDOM = 5000;

/**
 * Ask, and ask again for as long as the answer says that something goes on.
 *
 * @param key What is asked about; another one is another question.
 */
export function useAnswer<T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T | null>,
  goesOn: (value: T) => boolean,
): Answer<T> {
  const [state, setState] = useState<{ key: string; value: T | null; error: Error | null }>();
  const [round, setRound] = useState(0);
  const pause = useRef(SOON);
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (): void => {
      pause.current = Math.min(pause.current * 1.3, SELDOM);
      timer = setTimeout(() => void look(), pause.current);
    };
    const look = async (): Promise<void> => {
      try {
        const value = await ask(ended.signal);
        if (!ended.signal.aborted) {
          setState({ key, value, error: null });
          if (value !== null && goesOn(value)) {
            again();
          }
        }
      } catch (error) {
        if (!ended.signal.aborted) {
          const shown = error instanceof Error ? error : new Error(String(error));
          setState(before => ({
            key,
            value: before?.key === key ? before.value : null,
            error: shown,
          }));
        }
      }
    };
    pause.current = SOON;
    void look();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
    // `ask` and `goesOn` are made anew at each drawing; `key` says what they are about.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key, round]);
  const learn = useCallback(
    (value: T): void => {
      setState({ key, value, error: null });
      setRound(before => before + 1);
    },
    [key],
  );
  const current = state?.key === key ? state : undefined;
  return {
    value: current?.value ?? null,
    error: current?.error ?? null,
    settled: current !== undefined,
    learn,
  };
}
