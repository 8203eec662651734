import { useEffect, useState } from 'react';

import type { CheckedValues, FieldProblem } from '../api/models';
import { Problem } from '../api/problems';
import { address } from '../api/requests';
import { usePanel } from '../panel';
import type { Values } from './request';

const PAUSE = 350;

/** What the gateway says of values, a moment after the person stopped changing them; nothing while they are good. */
export function useCheckedValues(name: string, values: Values): FieldProblem[] {
  const { requests } = usePanel();
  const [problems, setProblems] = useState<FieldProblem[]>([]);
  const text = JSON.stringify(values);
  useEffect(() => {
    const ended = new AbortController();
    const check = async (): Promise<void> => {
      try {
        const body = { values: JSON.parse(text) as Values };
        const signal = ended.signal;
        await requests.post<CheckedValues>(address('cases', name, 'check'), body, { signal });
        setProblems([]);
      } catch (error) {
        // Whether the gateway can be reached is said elsewhere; the launch checks the values once more.
        if (!ended.signal.aborted && error instanceof Problem && error.word === 'validation') {
          setProblems(error.errors);
        }
      }
    };
    const timer = setTimeout(() => void check(), PAUSE);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [requests, name, text]);
  return problems;
}
