import { useEffect, useMemo, useRef, useState } from 'react';

import { usePanel } from '../panel';
import type { Known } from '../state/jobs';

/** What is known of several jobs, kept current. */
export function useJobs(ids: readonly string[]): Known[] {
  const { jobs } = usePanel();
  const key = ids.join(' ');
  const [round, setRound] = useState(0);
  const places = useMemo(
    () => (key === '' ? [] : key.split(' ')).map(id => jobs.of(id)),
    [jobs, key],
  );
  useEffect(() => {
    const leave = key === '' ? [] : key.split(' ').map(id => jobs.watch(id));
    const unsubscribe = places.map(place => place.subscribe(() => setRound(before => before + 1)));
    return () => {
      for (const one of [...leave, ...unsubscribe]) {
        one();
      }
    };
  }, [jobs, key, places]);
  const known = useRef<Known[]>([]);
  return useMemo(() => {
    const now = places.map(place => place.value);
    const same =
      now.length === known.current.length && now.every((one, i) => one === known.current[i]);
    known.current = same ? known.current : now;
    return known.current;
    // `round` counts the changes of the places.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [places, round]);
}
