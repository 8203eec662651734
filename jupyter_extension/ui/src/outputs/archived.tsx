import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { JobRetention, OutputFile } from '../api/models';
import { address } from '../api/requests';
import { useMayWrite } from '../components/may_write';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';
import { patternOf } from './pattern';

interface Props {
  shown: JobRetention;
  mayWrite: boolean;
  busy: boolean;
  onRestore: (urgent: boolean) => void;
}

/** How many outputs of a job are archived, and bringing them back. */
export function ArchivedOutputs(props: Props): React.JSX.Element | null {
  const { shown, mayWrite, busy, onRestore } = props;
  const { trans } = usePanel();
  const [urgent, setUrgent] = useState(false);
  if (shown.archived === 0) {
    return null;
  }
  return (
    <div className="sg-care-tools">
      <span>
        {trans._n('%1 output is archived.', '%1 outputs are archived.', shown.archived)}{' '}
        {shown.restoring > 0 &&
          trans._n(
            '%1 is on its way back, which takes hours.',
            '%1 are on their way back, which takes hours.',
            shown.restoring,
          )}
      </span>
      {mayWrite && shown.restoring < shown.archived && (
        <>
          <Button small disabled={busy} onClick={() => onRestore(urgent)}>
            {trans.__('Bring all back')}
          </Button>
          <Urgent urgent={urgent} onChange={setUrgent} />
        </>
      )}
    </div>
  );
}

/** Instead of the preview of a file that cannot be read now: why, and bringing it back. */
export function ArchivedFile({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const mayWrite = useMayWrite();
  const [urgent, setUrgent] = useState(false);
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const restore = async (): Promise<void> => {
    setError(null);
    setAsked(true);
    try {
      const body = { store: file.store, patterns: [patternOf(file.path)], urgent };
      await requests.post(address('jobs', file.job_id, 'retention', 'restore'), body);
    } catch (problem) {
      setError(problem as Error);
      setAsked(false);
    }
  };
  const coming = file.restoring || asked;
  return (
    <div className="sg-look-none">
      <p role="status">
        {coming
          ? trans.__('The store is bringing this file back, which takes hours.')
          : trans.__(
              'This file is archived (%1): it cannot be read before the store has brought it back, which takes hours.',
              file.tier ?? '',
            )}
      </p>
      {mayWrite && !coming && (
        <p className="sg-look-ways">
          <Button small onClick={() => void restore()}>
            {trans.__('Bring it back')}
          </Button>
          <Urgent urgent={urgent} onChange={setUrgent} />
        </p>
      )}
      {error && <ErrorNotice error={error} />}
    </div>
  );
}

interface UrgentProps {
  urgent: boolean;
  onChange: (urgent: boolean) => void;
}

function Urgent({ urgent, onChange }: UrgentProps): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <label>
      <input type="checkbox" checked={urgent} onChange={event => onChange(event.target.checked)} />
      {trans.__('sooner, where the store can; it costs more')}
    </label>
  );
}
