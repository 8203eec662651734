import { useEffect, useState } from 'react';

import { ENDED, type OutputPage, type State } from '../api/models';
import { address } from '../api/requests';
import { usePanel } from '../panel';
import { OutputsTree } from './tree';

/** The tree of a job's outputs in a store, kept current by events. */
export function useOutputsTree(
  job: string,
  store: string,
  opened: Set<string>,
): OutputsTree | null {
  const { requests, jobs } = usePanel();
  const [tree, setTree] = useState<OutputsTree | null>(null);
  useEffect(() => {
    const path = address('jobs', job, 'outputs');
    const made = new OutputsTree(
      (prefix, cursor, limit, signal) =>
        requests.get<OutputPage>(path, { prefix, delimiter: '/', store, limit, cursor }, signal),
      opened,
    );
    setTree(made);
    made.start();
    const leaveEvents = jobs.onEvent(event => {
      if (event.job_id === job) {
        const changed = changesOf(event.kind, event.data, store);
        if (changed !== null) {
          made.reload(changed === 'all' ? undefined : changed);
        }
      }
    });
    const leaveResumed = jobs.resumed.subscribe(() => made.reload());
    return () => {
      leaveEvents();
      leaveResumed();
      made.dispose();
    };
  }, [requests, jobs, job, store, opened]);
  return tree;
}

/** Which names an event says have changed; null: none of this store's. */
export function changesOf(
  kind: string,
  data: Record<string, unknown>,
  store: string,
): string[] | 'all' | null {
  if (kind === 'state') {
    return ENDED.has(data.to as State) ? 'all' : null;
  }
  if (kind !== 'outputs' || (typeof data.store === 'string' && data.store !== store)) {
    return null;
  }
  const names = data.new;
  const listed = Array.isArray(names) ? names.filter(name => typeof name === 'string') : [];
  // A long list is cut, and then it says little.
  return listed.length > 0 && listed.length === data.count ? listed : 'all';
}
