import { useState } from 'react';

import { bytesText } from '../../components/bytes';
import { usePanel } from '../../panel';
import { useValue } from '../../state/observable';
import type { LogReader } from './reader';

/** What of the log stands before the text that is shown, and a way to it. */
export function Above({ reader }: { reader: LogReader }): React.JSX.Element | null {
  const { trans } = usePanel();
  const [busy, setBusy] = useState(false);
  useValue(reader.version);
  const { buffer } = reader;
  if (buffer.start === 0) {
    return null;
  }
  const load = async (): Promise<void> => {
    setBusy(true);
    await reader.loadOlder();
    setBusy(false);
  };
  return (
    <div className="sg-log-above">
      {trans.__('The first %1 are not shown.', bytesText(buffer.start))}{' '}
      {buffer.roomForOlder ? (
        <button type="button" className="sg-job-link" disabled={busy} onClick={() => void load()}>
          {trans.__('Load older text')}
        </button>
      ) : (
        trans.__('Download the log to read them.')
      )}
    </div>
  );
}
