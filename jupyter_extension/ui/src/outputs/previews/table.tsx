import { Button, HTMLSelect } from '@jupyterlab/ui-components';
import { useMemo, useState } from 'react';

import type { OutputFile } from '../../api/models';
import { bytesText } from '../../components/bytes';
import { ErrorNotice, Notice } from '../../components/notice';
import { usePanel } from '../../panel';
import {
  endOf,
  PIECE,
  readHead,
  readNext,
  textOfWindow,
  type ReadRange,
  type Window,
} from '../byte_window';
import { guessSeparator, parseTable, type Table } from '../csv';
import { behind, useGrowth, useWindow } from '../use_window';
import { TableGrid } from './table_grid';
import { TablePlot } from './table_plot';

/** Of a table more is held than of a text: a plot wants it whole. */
const MOST = 32 * PIECE;
const AT_FIRST = 4 * PIECE;

/** Separated values as a table, and as a plot of some of its columns. */
export default function TablePreview({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans } = usePanel();
  const held = useWindow(file, read => readHead(read, AT_FIRST));
  const [as, setAs] = useState<'table' | 'plot'>('table');
  const [separator, setSeparator] = useState<string | null>(null);
  const { window, change } = held;
  const more = (read: ReadRange, before: Window): Promise<Window> => readNext(read, before, MOST);
  const full = endOf(window) >= MOST;
  useGrowth(file, () => {
    if (endOf(window) < AT_FIRST) {
      change(read => readHead(read, AT_FIRST));
    } else if (!full && behind(window) === 0) {
      change(more);
    }
  });
  const table = useMemo(
    () => tableOf(window, separator, file.path),
    [window, separator, file.path],
  );
  const rest = behind(window);
  return (
    <div className="sg-look-table">
      <div className="sg-look-bar" role="toolbar" aria-label={trans.__('Table')}>
        <Button
          small
          minimal={as !== 'table'}
          aria-pressed={as === 'table'}
          onClick={() => setAs('table')}
        >
          {trans.__('Table')}
        </Button>
        <Button
          small
          minimal={as !== 'plot'}
          aria-pressed={as === 'plot'}
          onClick={() => setAs('plot')}
        >
          {trans.__('Plot')}
        </Button>
        <label>
          {trans.__('Separator')}
          <HTMLSelect
            value={table.separator}
            onChange={event => setSeparator(event.target.value)}
            options={[
              { value: ',', label: trans.__('comma') },
              { value: ';', label: trans.__('semicolon') },
              { value: '\t', label: trans.__('tab') },
              { value: '|', label: trans.__('bar') },
              { value: ' ', label: trans.__('space') },
            ]}
          />
        </label>
        <span className="sg-look-where" role="status">
          {!held.loaded
            ? trans.__('Loading…')
            : rest === 0
              ? trans._n('%1 row', '%1 rows', table.rows.length)
              : trans.__(
                  '%1 rows, the first %2 of %3',
                  table.rows.length,
                  bytesText(endOf(window)),
                  bytesText(window.size),
                )}
        </span>
        {rest > 0 && !full && (
          <Button small minimal disabled={held.busy} onClick={() => change(more)}>
            {trans.__('Load more')}
          </Button>
        )}
      </div>
      {held.error && <ErrorNotice error={held.error} />}
      {table.ragged > 0 && (
        <Notice kind="warning">
          {trans._n(
            '%1 row has another number of fields than the header.',
            '%1 rows have another number of fields than the header.',
            table.ragged,
          )}
        </Notice>
      )}
      {as === 'table' ? (
        <TableGrid table={table} label={file.path} />
      ) : (
        <TablePlot table={table} label={file.path} />
      )}
    </div>
  );
}

function tableOf(window: Window, separator: string | null, path: string): Table {
  let text = textOfWindow(window);
  if (endOf(window) < window.size) {
    // The last line is cut.
    text = text.slice(0, text.lastIndexOf('\n') + 1);
  }
  const given = separator ?? (path.toLowerCase().endsWith('.tsv') ? '\t' : guessSeparator(text));
  // Columns that are aligned by spaces have many of them between two fields.
  return parseTable(
    given === ' ' ? text.replace(/^ +| +$/gm, '').replace(/ +/g, ' ') : text,
    given,
  );
}
