import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';

import { usePanel } from '../../panel';
import { numberOf, type Table } from '../csv';

const ROW = 22;
/** More columns are not drawn. */
const COLUMNS = 100;
/** The same width in every row: each row is a grid of its own. */
const COLUMN = '10em';

/** A table of which only the rows in view are drawn. */
export function TableGrid({ table, label }: { table: Table; label: string }): React.JSX.Element {
  const { trans } = usePanel();
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: table.rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW,
    overscan: 15,
  });
  const header = table.header.slice(0, COLUMNS);
  const hidden = table.header.length - header.length;
  const columns = { gridTemplateColumns: `5em repeat(${header.length}, ${COLUMN})` };
  return (
    <div
      ref={frame}
      className="sg-grid"
      role="table"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={table.rows.length + 1}
      aria-colcount={header.length + 1}
    >
      {hidden > 0 && (
        <p>{trans._n('%1 column is not shown.', '%1 columns are not shown.', hidden)}</p>
      )}
      <div role="rowgroup" className="sg-grid-head">
        <div role="row" className="sg-grid-row" style={columns}>
          <span role="columnheader" className="sg-grid-number">
            {trans.__('Row')}
          </span>
          {header.map(name => (
            <span key={name} role="columnheader" title={name} className="sg-mod-number">
              {name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {virtual.getVirtualItems().map(item => (
          <div
            key={item.index}
            role="row"
            aria-rowindex={item.index + 2}
            className="sg-grid-row sg-mod-floating"
            style={{ ...columns, transform: `translateY(${item.start}px)` }}
          >
            <span role="rowheader" className="sg-grid-number">
              {item.index + 1}
            </span>
            {header.map((name, column) => {
              const field = table.rows[item.index]?.[column] ?? '';
              return (
                <span
                  key={name}
                  role="cell"
                  className={numberOf(field) === null ? '' : 'sg-mod-number'}
                >
                  {field.slice(0, 500)}
                </span>
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}
