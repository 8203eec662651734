import { Dialog, showDialog } from '@jupyterlab/apputils';
import { useState } from 'react';

import { ENDED, type State, type Sweep } from '../api/models';
import { postOnce } from '../api/once';
import { address } from '../api/requests';
import { run } from '../commands';
import { STATE_ICONS } from '../components/icons';
import { ErrorNotice, Notice } from '../components/notice';
import { stateWord } from '../components/state';
import { ageText, useAge } from '../components/times';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { countStates } from './rows';
import { SweepTableView } from './table';
import { useSweep } from './use_sweep';

const ORDER = Object.keys(STATE_ICONS) as State[];

/** A sweep: how its jobs are doing, as a table of values and results. */
export function SweepView({ id }: { id: string }): React.JSX.Element {
  const { trans, commands } = usePanel();
  const { sweep, parameters, rows, error, checkedAt, reload } = useSweep(id);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [failure, setFailure] = useState<Error | null>(null);
  const counts = countStates(rows);
  if (!sweep) {
    return error ? <ErrorNotice error={error} /> : <p>{trans.__('Reading…')}</p>;
  }
  const ended = rows.filter(row => ENDED.has(row.state as State)).length;
  return (
    <div className="sg-compare">
      <header className="sg-compare-head">
        <h2>{sweep.name}</h2>
        <span>{[sweep.case, sweep.target].filter(Boolean).join(' · ')}</span>
        <span role="status">
          {trans.__('%1 of %2 jobs have ended', ended, rows.length)}
          {': '}
          {ORDER.filter(state => counts.has(state))
            .map(state => `${counts.get(state) ?? 0} ${stateWord(state, trans)}`)
            .join(', ')}
        </span>
      </header>
      <div className="sg-compare-head">
        <Buttons sweep={sweep} open={ended < rows.length} onFailure={setFailure} onDone={reload} />
        <button
          type="button"
          className="jp-mod-styled"
          disabled={chosen.size < 2}
          onClick={() => run(commands, 'compare', { ids: [...chosen] })}
        >
          {trans.__('Compare %1 chosen jobs', chosen.size)}
        </button>
      </div>
      {failure && <ErrorNotice error={failure} />}
      {error && <Stale error={error} checkedAt={checkedAt} />}
      <SweepTableView parameters={parameters} rows={rows} chosen={chosen} onChoose={setChosen} />
    </div>
  );
}

function Stale(props: { error: Error; checkedAt: number | null }): React.JSX.Element {
  const { trans } = usePanel();
  const time = props.checkedAt === null ? null : new Date(props.checkedAt).toISOString();
  const age = useAge(time);
  return (
    <Notice kind="warning">
      {age === null
        ? props.error.message
        : trans.__('As it was %1: %2', ageText(age, trans), props.error.message)}
    </Notice>
  );
}

interface ButtonsProps {
  sweep: Sweep;
  open: boolean;
  onFailure: (error: Error | null) => void;
  onDone: () => void;
}

function Buttons({ sweep, open, onFailure, onDone }: ButtonsProps): React.JSX.Element {
  const { trans, commands, requests, status } = usePanel();
  const mayWrite = useValue(status)?.role !== 'viewer';
  const failed = (sweep.counts.failed ?? 0) + (sweep.counts.lost ?? 0);
  const attempt = (act: () => Promise<unknown>): void => {
    onFailure(null);
    act().then(onDone, (error: unknown) => onFailure(error as Error));
  };
  const cancel = async (): Promise<void> => {
    const answer = await showDialog({
      title: trans.__('Cancel the sweep?'),
      body: trans.__('What has been stored of the outputs stays.'),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Keep running') }),
        Dialog.warnButton({ label: trans.__('Cancel all jobs') }),
      ],
      defaultButton: 0,
    });
    if (answer.button.accept) {
      await requests.post(address('sweeps', sweep.id, 'cancel'));
    }
  };
  const again = async (): Promise<void> => {
    const path = address('sweeps', sweep.id, 'rerun');
    const made = await postOnce<Sweep>(requests, path, undefined, { failed: true });
    run(commands, 'openSweep', { id: made.id });
  };
  return (
    <>
      {mayWrite && open && (
        <button type="button" className="jp-mod-styled" onClick={() => attempt(cancel)}>
          {trans.__('Cancel…')}
        </button>
      )}
      {mayWrite && failed > 0 && (
        <button type="button" className="jp-mod-styled" onClick={() => attempt(again)}>
          {trans._n('Run %1 failed job again', 'Run %1 failed jobs again', failed)}
        </button>
      )}
      <a
        className="sg-link"
        href={requests.url(address('sweeps', sweep.id, 'table'), { format: 'csv' })}
        download={`${sweep.name}.csv`}
      >
        {trans.__('Table as CSV')}
      </a>
    </>
  );
}
