import type { TranslationBundle } from '@jupyterlab/translation';

import type { StoreOutputs } from '../api/models';
import { usePanel } from '../panel';
import { bytesText } from './bytes';
import { localTime, shortDuration, useAge } from './times';

/** What a store lacks of what a job wrote: what is not copied yet, or why it could not be, and when it is tried again. */
export function Backlog({ store }: { store: StoreOutputs }): React.JSX.Element | null {
  const { trans } = usePanel();
  const waited = useAge(store.oldest ?? null);
  const missing = missingText(store, trans);
  const known = store.backlog !== null || store.lag !== null;
  if (known && (missing !== '' || waited !== null)) {
    const what = missing === '' ? trans.__('Something is not copied yet') : missing;
    const since =
      waited === null
        ? what
        : trans.__('%1, the oldest for %2', what, shortDuration(waited, trans));
    return (
      <span
        className={`sg-backlog${store.behind ? ' sg-mod-behind' : ''}`}
        role={store.behind ? 'status' : undefined}
      >
        {store.behind ? trans.__('Behind: %1', since) : since}
      </span>
    );
  }
  return <Waiting store={store} />;
}

/** Why an ended job's outputs are not all there, and when the gateway tries again. */
function Waiting({ store }: { store: StoreOutputs }): React.JSX.Element | null {
  const { trans } = usePanel();
  if (!store.problem) {
    return null;
  }
  return (
    <span className="sg-backlog sg-mod-behind">
      {store.rescue_at
        ? trans.__('%1. Tried again at %2', sentence(store.problem), localTime(store.rescue_at))
        : store.problem}
    </span>
  );
}

function sentence(text: string): string {
  return text.replace(/\.+$/, '');
}

/** `12.0 MB in 3 files not copied yet`; empty where there is nothing. */
function missingText(store: StoreOutputs, trans: TranslationBundle): string {
  const files = store.backlog_files ?? 0;
  const bytes = store.backlog ?? 0;
  if (files === 0) {
    return bytes === 0 ? '' : trans.__('%1 not copied yet', bytesText(bytes));
  }
  const size = bytesText(bytes);
  return trans._n('%2 in %1 file not copied yet', '%2 in %1 files not copied yet', files, size);
}
