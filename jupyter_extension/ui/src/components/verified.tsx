import type { StoreOutputs } from '../api/models';
import { usePanel } from '../panel';
import { ageText, localTime, useAge } from './times';

/** When what stands in a store was verified last, and what that came to; nothing where it never was. */
export function Verified({ store }: { store: StoreOutputs }): React.JSX.Element | null {
  const { trans } = usePanel();
  const age = useAge(store.verified_at);
  if (store.verified_at === null || store.verdict === null || age === null) {
    return null;
  }
  const words: Record<string, string> = {
    verified: trans.__('verified'),
    sampled: trans.__('verified by a sample'),
    incomplete: trans.__('could not be verified whole'),
    failed: trans.__('not what was signed'),
  };
  const word = words[store.verdict] ?? store.verdict;
  const bad = store.verdict === 'failed';
  return (
    <span className={bad ? 'sg-verified-failed' : undefined} title={localTime(store.verified_at)}>
      {bad && <span aria-hidden="true">⚠ </span>}
      {trans.__('%1 %2', word, ageText(age, trans))}
    </span>
  );
}
