/** The rows of a data series as columns of numbers. Pure but for what it keeps. */
import type { SeriesColumnInfo, SeriesInfo, SeriesRows } from '../api/models';
import type { PlotSeries, Value } from '../components/plot_data';
import { withUnit } from '../components/numbers';

type Cell = SeriesRows['rows'][number][number];

/** Number of a cell; null where it holds none. */
function numberOf(cell: Cell | undefined): Value {
  if (typeof cell === 'number') {
    return Number.isFinite(cell) ? cell : null;
  }
  return null;
}

/** All rows of one series that have come so far. */
export class SeriesTable {
  columns: SeriesColumnInfo[] = [];
  /** Row after row, for the table of the last values. */
  rows: Cell[][] = [];
  ended = false;
  next = 0;

  take(piece: SeriesRows): void {
    if (piece.reset) {
      this.rows = [];
    }
    this.columns = piece.columns;
    for (const row of piece.rows) {
      this.rows.push(row);
    }
    this.next = piece.next;
    this.ended = piece.ended;
  }

  /** What can be drawn: every column with a number in it, over the series' own axis or the number of the row. */
  drawn(info: SeriesInfo): { xLabel: string | null; series: PlotSeries[] } {
    const found = this.columns.findIndex(column => column.name === info.x);
    const axis = found >= 0 && this.rows.some(row => numberOf(row[found]) !== null) ? found : -1;
    const x = this.rows.map((row, index) => (axis >= 0 ? numberOf(row[axis]) : index + 1));
    const series: PlotSeries[] = [];
    this.columns.forEach((column, index) => {
      if (index === axis) {
        return;
      }
      const y = this.rows.map(row => numberOf(row[index]));
      if (y.some(value => value !== null)) {
        series.push({ label: column.label ?? column.name, unit: column.unit, x, y });
      }
    });
    const named = axis >= 0 ? this.columns[axis] : undefined;
    return { xLabel: named ? withUnit(named.label ?? named.name, named.unit) : null, series };
  }
}
