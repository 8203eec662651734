import { Button, HTMLSelect } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { JobRetention } from '../api/models';
import { usePanel } from '../panel';

interface Rule {
  after_days: number;
  action: 'delete' | 'archive';
  keep: string[];
}

interface Props {
  own: JobRetention['own'];
  busy: boolean;
  onSet: (rule: Rule) => void;
  onRemove: () => void;
}

/** The owner's own rule for a job, where the administrator lets owners have one. */
export function OwnRule({ own, busy, onSet, onRemove }: Props): React.JSX.Element {
  const { trans } = usePanel();
  const [days, setDays] = useState(String(own?.after_days ?? 30));
  const [action, setAction] = useState(own?.action ?? 'delete');
  const [keep, setKeep] = useState((own?.keep ?? []).join(', '));
  const number = Number(days);
  const wrong = days.trim() === '' || !Number.isFinite(number) || number < 0;
  const patterns = keep
    .split(',')
    .map(one => one.trim())
    .filter(one => one !== '');
  return (
    <form
      className="sg-care-tools"
      aria-label={trans.__('Your own rule')}
      onSubmit={event => {
        event.preventDefault();
        onSet({ after_days: number, action, keep: patterns });
      }}
    >
      <label>
        {trans.__('Your own rule: after')}
        <input
          className="jp-mod-styled sg-care-days"
          inputMode="decimal"
          value={days}
          aria-invalid={wrong}
          onChange={event => setDays(event.target.value)}
        />
        {trans.__('days')}
      </label>
      <HTMLSelect
        aria-label={trans.__('What is done then')}
        value={action}
        options={[
          { value: 'delete', label: trans.__('remove') },
          { value: 'archive', label: trans.__('archive') },
        ]}
        onChange={event => setAction(event.target.value === 'archive' ? 'archive' : 'delete')}
      />
      <label>
        {trans.__('all but')}
        <input
          className="jp-mod-styled"
          value={keep}
          placeholder="VTK/**, *.csv"
          onChange={event => setKeep(event.target.value)}
        />
      </label>
      <button type="submit" className="jp-mod-styled" disabled={busy || wrong}>
        {trans.__('Set')}
      </button>
      {own && (
        <Button small minimal disabled={busy} onClick={onRemove}>
          {trans.__('Take it away')}
        </Button>
      )}
    </form>
  );
}
