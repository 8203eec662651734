import { useState } from 'react';

import type { Job } from '../api/models';
import { ErrorNotice, Notice } from '../components/notice';
import { localTime } from '../components/times';
import { usePanel } from '../panel';

/** Ask the gateway what would happen, and show it: the script, and what may go wrong. Nothing is stored. */
export function PreviewButton({
  body,
}: {
  body: () => Record<string, unknown>;
}): React.JSX.Element {
  const { requests, trans } = usePanel();
  const [found, setFound] = useState<Job | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const ask = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      setFound(await requests.post<Job>('/api/v1/jobs', body(), { query: { dry_run: 1 } }));
    } catch (caught) {
      setFound(null);
      setError(caught instanceof Error ? caught : new Error(String(caught)));
    }
    setBusy(false);
  };
  const preview = found?.preview;
  return (
    <div className="sg-preview">
      <button
        type="button"
        className="jp-mod-styled"
        disabled={busy}
        aria-busy={busy}
        onClick={() => void ask()}
      >
        {trans.__('Preview the script')}
      </button>
      {error && <ErrorNotice error={error} />}
      {preview && (
        <section aria-label={trans.__('Preview')}>
          {preview.problems.map((item, index) => (
            <Notice key={index} kind="warning">
              <code>{item.pointer}</code> {item.detail}
            </Notice>
          ))}
          {preview.estimated_start && (
            <p>
              {trans.__('The scheduler believes: start at %1', localTime(preview.estimated_start))}
            </p>
          )}
          <pre className="sg-script" tabIndex={0}>
            {preview.script}
          </pre>
        </section>
      )}
    </div>
  );
}
