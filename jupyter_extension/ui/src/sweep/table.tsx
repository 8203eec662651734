import type { TranslationBundle } from '@jupyterlab/translation';
import { useMemo, useState } from 'react';

import type { State, SweepRow } from '../api/models';
import { run } from '../commands';
import { STATE_ICONS } from '../components/icons';
import { stateWord } from '../components/state';
import { clockDuration } from '../components/times';
import { usePanel } from '../panel';
import { columnsOf, inOrder, parameterLabel, valueText, type Column, type Order } from './rows';

/** Rows that are drawn at once. */
const MOST = 300;

interface Props {
  parameters: readonly string[];
  rows: readonly SweepRow[];
  chosen: ReadonlySet<string>;
  onChoose: (chosen: Set<string>) => void;
}

/** The jobs of a sweep: values, state, and what came of them; sorted by a click on a head. */
export function SweepTableView({ parameters, rows, chosen, onChoose }: Props): React.JSX.Element {
  const { trans } = usePanel();
  const [order, setOrder] = useState<Order>({ key: 'index', down: false });
  const [most, setMost] = useState(MOST);
  const columns = useMemo(() => columnsOf(parameters), [parameters]);
  const sorted = useMemo(() => inOrder(rows, columns, order), [rows, columns, order]);
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) {
      next.add(id);
    }
    onChoose(next);
  };
  return (
    <div className="sg-compare-scroll" tabIndex={0} role="region" aria-label={trans.__('Jobs')}>
      <table className="sg-compare-table sg-sweep-table">
        <thead>
          <tr>
            <td />
            {columns.map(column => (
              <Head key={column.key} column={column} order={order} onOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, most).map(row => (
            <Row
              key={row.job_id}
              row={row}
              columns={columns}
              chosen={chosen.has(row.job_id)}
              onToggle={() => toggle(row.job_id)}
            />
          ))}
        </tbody>
      </table>
      {sorted.length > most && (
        <button type="button" className="sg-link" onClick={() => setMost(10 * most)}>
          {trans.__('Show more of the %1 jobs', sorted.length)}
        </button>
      )}
    </div>
  );
}

function headText(column: Column, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    index: trans.__('Job'),
    state: trans.__('State'),
    exit_code: trans.__('Exit code'),
    progress: trans.__('Progress'),
    seconds: trans.__('Duration'),
  };
  return words[column.key] ?? parameterLabel(column.key.slice('value:'.length));
}

interface HeadProps {
  column: Column;
  order: Order;
  onOrder: (order: Order) => void;
}

function Head({ column, order, onOrder }: HeadProps): React.JSX.Element {
  const { trans } = usePanel();
  const mine = order.key === column.key;
  const direction = order.down ? 'descending' : 'ascending';
  return (
    <th scope="col" aria-sort={mine ? direction : 'none'}>
      <button
        type="button"
        className="sg-compare-link"
        onClick={() => onOrder({ key: column.key, down: mine && !order.down })}
      >
        {headText(column, trans)}
        {mine && <span aria-hidden="true">{order.down ? ' ▾' : ' ▴'}</span>}
      </button>
    </th>
  );
}

interface RowProps {
  row: SweepRow;
  columns: Column[];
  chosen: boolean;
  onToggle: () => void;
}

function Row({ row, columns, chosen, onToggle }: RowProps): React.JSX.Element {
  const { trans, commands } = usePanel();
  return (
    <tr className={chosen ? 'sg-mod-chosen' : undefined}>
      <td>
        <input
          type="checkbox"
          checked={chosen}
          aria-label={trans.__('Choose job %1', row.index)}
          onChange={onToggle}
        />
      </td>
      {columns.map(column => (
        <td key={column.key}>
          {column.key === 'index' ? (
            <button
              type="button"
              className="sg-compare-link"
              aria-label={trans.__('Open job %1', row.index)}
              onClick={() => run(commands, 'openJob', { id: row.job_id })}
            >
              {row.index}
            </button>
          ) : (
            <Cell row={row} column={column} />
          )}
        </td>
      ))}
    </tr>
  );
}

function Cell({ row, column }: { row: SweepRow; column: Column }): React.JSX.Element {
  const { trans } = usePanel();
  const value = column.of(row);
  if (column.key === 'state') {
    const state = row.state as State;
    const Icon = STATE_ICONS[state];
    return (
      <span className={`sg-state sg-state-${state}`} title={row.reason ?? undefined}>
        <Icon.react tag="span" className="sg-state-icon" aria-hidden="true" />
        <span>{stateWord(state, trans)}</span>
      </span>
    );
  }
  if (column.key === 'progress' && typeof value === 'number') {
    return <>{`${Math.floor(100 * value)} %`}</>;
  }
  if (column.key === 'seconds' && typeof value === 'number') {
    return <>{clockDuration(value)}</>;
  }
  return <>{valueText(value)}</>;
}
