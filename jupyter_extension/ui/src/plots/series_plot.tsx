import { useEffect, useMemo, useState } from 'react';

import { ENDED, type Job, type SeriesInfo } from '../api/models';
import { numberText, withUnit } from '../components/numbers';
import { ErrorNotice } from '../components/notice';
import { LinePlot } from '../components/plot';
import { useShown } from '../components/shown';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { SeriesReader } from './reader';
import type { SeriesTable } from './rows';

const LAST = 10;

/** One data series: its plot, live, and its last values as a table. */
export function SeriesPlot({ job, info }: { job: Job; info: SeriesInfo }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const shown = useShown();
  const reader = useMemo(
    () => new SeriesReader(panel, job.id, info.name),
    [panel, job.id, info.name],
  );
  const version = useValue(reader.version);
  const error = useValue(reader.error);
  const [log, setLog] = useState(false);
  useEffect(() => {
    if (shown) {
      reader.start();
    }
    return () => reader.pause();
  }, [reader, shown]);
  const drawn = useMemo(
    () => reader.table.drawn(info),
    // `version` says that the table has changed.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [reader, info, version],
  );
  const title = info.label ?? info.name;
  return (
    <section className="sg-plots-one" aria-label={title}>
      <header className="sg-plots-head">
        <h3>{title}</h3>
        <code title={trans.__('The file that the payload writes')}>{info.file}</code>
        <label className="sg-job-check">
          <input type="checkbox" checked={log} onChange={event => setLog(event.target.checked)} />
          {trans.__('Logarithmic')}
        </label>
      </header>
      {error && <ErrorNotice error={error} />}
      {drawn.series.length > 0 ? (
        <>
          <LinePlot
            series={drawn.series}
            xLabel={drawn.xLabel ?? trans.__('Row')}
            log={log}
            label={title}
          />
          <LastValues table={reader.table} title={title} />
        </>
      ) : (
        <p className="sg-job-quiet">{emptyText()}</p>
      )}
    </section>
  );

  function emptyText(): string {
    if (reader.table.rows.length > 0) {
      return trans.__('No column holds numbers.');
    }
    return ENDED.has(job.state) && reader.table.ended
      ? trans.__('Nothing was written.')
      : trans.__('Nothing was written yet.');
  }
}

/** The same in figures, for those who do not see the plot. */
function LastValues({ table, title }: { table: SeriesTable; title: string }): React.JSX.Element {
  const { trans } = usePanel();
  const rows = table.rows.slice(-LAST);
  return (
    <details className="sg-plots-values">
      <summary>
        {trans._n('%1 row; the last values', '%1 rows; the last values', table.rows.length)}
      </summary>
      <div
        className="sg-job-scroll"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Last values of %1', title)}
      >
        <table className="sg-job-table">
          <thead>
            <tr>
              {table.columns.map(column => (
                <th key={column.name} scope="col">
                  {withUnit(column.label ?? column.name, column.unit)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={table.rows.length - rows.length + index}>
                {row.map((cell, place) => (
                  <td key={place}>{typeof cell === 'number' ? numberText(cell) : (cell ?? '–')}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
