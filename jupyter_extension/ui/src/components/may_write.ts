import { usePanel } from '../panel';
import { useValue } from '../state/observable';

/** Whether the person may change anything: viewers may not. */
export function useMayWrite(): boolean {
  return useValue(usePanel().status)?.role !== 'viewer';
}
