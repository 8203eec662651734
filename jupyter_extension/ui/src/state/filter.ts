import type { Job, State, Sweep } from '../api/models';
import type { QueryValue } from '../api/requests';

export type StateGroup = 'all' | 'active' | 'ended' | 'failed';

/** What the list is narrowed to. Empty text: not at all. */
export interface Filter {
  group: StateGroup;
  target: string;
  text: string;
  /** `name` or `name:value`. */
  tag: string;
}

export const NO_FILTER: Filter = { group: 'all', target: '', text: '', tag: '' };

export const GROUPS: Record<StateGroup, readonly State[]> = {
  all: [],
  active: ['accepted', 'staging', 'queued', 'held', 'running', 'finalizing', 'unknown'],
  ended: ['succeeded', 'failed', 'cancelled', 'lost'],
  failed: ['failed', 'lost'],
};

/** Whether jobs can be shown as sweeps: the server looks for text and tags in jobs only. */
export function canGroup(filter: Filter): boolean {
  return filter.text === '' && filter.tag === '';
}

export function isNarrowed(filter: Filter): boolean {
  return filter.group !== 'all' || filter.target !== '' || !canGroup(filter);
}

export function queryOf(filter: Filter): Record<string, QueryValue> {
  return {
    state: GROUPS[filter.group],
    target: filter.target,
    q: filter.text,
    tag: filter.tag,
  };
}

/** Whether a job belongs to the list, as far as that can be said here; null: the server has to be asked. */
export function matches(filter: Filter, job: Job): boolean | null {
  const states = GROUPS[filter.group];
  if (states.length > 0 && !states.includes(job.state)) {
    return false;
  }
  if (filter.target !== '' && filter.target !== job.target) {
    return false;
  }
  return canGroup(filter) ? true : null;
}

/** Whether a sweep has jobs that belong to the list. */
export function hasMatches(filter: Filter, sweep: Sweep): boolean {
  const states = GROUPS[filter.group];
  const some = states.length === 0 || states.some(state => (sweep.counts[state] ?? 0) > 0);
  return some && (filter.target === '' || filter.target === sweep.target);
}

/** What was stored of a filter, made whole. */
export function readFilter(stored: unknown): Filter {
  const given = (typeof stored === 'object' && stored !== null ? stored : {}) as Partial<
    Record<keyof Filter, unknown>
  >;
  const word = (value: unknown): string => (typeof value === 'string' ? value : '');
  const group = word(given.group);
  return {
    group: group in GROUPS ? (group as StateGroup) : 'all',
    target: word(given.target),
    text: word(given.text),
    tag: word(given.tag),
  };
}
