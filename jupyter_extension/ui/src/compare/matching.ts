import type { Job, OutputFile, SeriesRows } from '../api/models';
import { kindOf } from '../components/output_files';
import type { PlotSeries } from '../components/plot';

export interface JobFiles {
  job: Job;
  files: readonly OutputFile[];
}

/** Images of the same path; those that most jobs have come first. */
export function sharedImages(
  all: readonly JobFiles[],
): { path: string; files: (OutputFile | null)[] }[] {
  const paths = new Map<string, (OutputFile | null)[]>();
  for (const [number, { files }] of all.entries()) {
    for (const file of files) {
      if (kindOf(file.path, file.content_type) === 'image') {
        const row = paths.get(file.path) ?? all.map(() => null);
        row[number] = file;
        paths.set(file.path, row);
      }
    }
  }
  return [...paths]
    .map(([path, files]) => ({ path, files }))
    .filter(({ files }) => files.filter(Boolean).length > 1)
    .sort(
      (a, b) =>
        b.files.filter(Boolean).length - a.files.filter(Boolean).length ||
        (a.path < b.path ? -1 : 1),
    );
}

export interface JobSeries {
  label: string;
  /** The column of the horizontal axis; null: the first one. */
  x: string | null;
  rows: SeriesRows;
}

function columnIndex(series: JobSeries, name: string | null): number {
  return series.rows.columns.findIndex(column => column.name === name);
}

function axisIndex(series: JobSeries): number {
  return Math.max(0, columnIndex(series, series.x));
}

/** Columns, without the axis, that the series have; in the order of the first that has them. */
export function sharedColumns(all: readonly JobSeries[]): { name: string; label: string }[] {
  const found = new Map<string, string>();
  for (const series of all) {
    for (const [index, column] of series.rows.columns.entries()) {
      if (index !== axisIndex(series) && !found.has(column.name)) {
        found.set(column.name, column.label ?? column.name);
      }
    }
  }
  return [...found].map(([name, label]) => ({ name, label }));
}

/** One line a job for one column. Where a series has no such column there is no line. */
export function linesOf(
  all: readonly JobSeries[],
  column: string,
): { series: PlotSeries[]; xLabel: string } {
  const first = all[0];
  const axis = first?.rows.columns[axisIndex(first)];
  const series = all.flatMap(one => {
    const index = columnIndex(one, column);
    if (index < 0) {
      return [];
    }
    const at = axisIndex(one);
    const { unit } = one.rows.columns[index] ?? { unit: null };
    const x = one.rows.rows.map(row => number(row[at]));
    return [{ label: one.label, unit, x, y: one.rows.rows.map(row => number(row[index])) }];
  });
  const name = axis?.label ?? axis?.name ?? '';
  return { series, xLabel: axis?.unit ? `${name} (${axis.unit})` : name };
}

function number(cell: unknown): number | null {
  return typeof cell === 'number' ? cell : null;
}
