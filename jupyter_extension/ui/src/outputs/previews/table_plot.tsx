import { HTMLSelect } from '@jupyterlab/ui-components';
import { useMemo, useState } from 'react';

import { LinePlot } from '../../components/plot';
import { usePanel } from '../../panel';
import { columnNumbers, numericColumns, type Table } from '../csv';

/** Columns that are drawn without being asked for. */
const AT_FIRST = 4;

/** Some columns over another one. */
export function TablePlot({ table, label }: { table: Table; label: string }): React.JSX.Element {
  const { trans } = usePanel();
  const numeric = useMemo(() => numericColumns(table), [table]);
  const [x, setX] = useState<number | null>(null);
  const [chosen, setChosen] = useState<ReadonlySet<number> | null>(null);
  const [log, setLog] = useState(false);
  const across = x ?? (numeric.length > 1 ? (numeric[0] ?? -1) : -1);
  const lines = useMemo(() => {
    const wanted =
      chosen ?? new Set(numeric.filter(column => column !== across).slice(0, AT_FIRST));
    return numeric.filter(column => wanted.has(column));
  }, [numeric, chosen, across]);
  const series = useMemo(() => {
    const places = across < 0 ? table.rows.map((_, row) => row + 1) : columnNumbers(table, across);
    return lines.map(column => ({
      label: table.header[column] ?? '',
      unit: null,
      x: places,
      y: columnNumbers(table, column),
    }));
  }, [table, across, lines]);
  if (numeric.length === 0) {
    return <p className="sg-look-empty">{trans.__('No column has numbers.')}</p>;
  }
  const xLabel = across < 0 ? trans.__('Row') : (table.header[across] ?? '');
  return (
    <div className="sg-table-plot">
      <div className="sg-look-bar">
        <label>
          {trans.__('Across')}
          <HTMLSelect
            value={across}
            onChange={event => setX(Number(event.target.value))}
            options={[
              { value: -1, label: trans.__('row number') },
              ...numeric.map(column => ({ value: column, label: table.header[column] })),
            ]}
          />
        </label>
        <label>
          <input type="checkbox" checked={log} onChange={event => setLog(event.target.checked)} />
          {trans.__('Logarithmic')}
        </label>
      </div>
      <fieldset className="sg-table-columns">
        <legend>{trans.__('Columns')}</legend>
        {numeric.map(column => (
          <label key={column}>
            <input
              type="checkbox"
              checked={lines.includes(column)}
              onChange={event => {
                const after = new Set(lines);
                if (event.target.checked) {
                  after.add(column);
                } else {
                  after.delete(column);
                }
                setChosen(after);
              }}
            />
            {table.header[column]}
          </label>
        ))}
      </fieldset>
      {lines.length > 0 && (
        <LinePlot series={series} xLabel={xLabel} log={log} label={label} height={320} />
      )}
    </div>
  );
}
