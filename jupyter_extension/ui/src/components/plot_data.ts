/** From series of their own horizontal axes to the one table that is drawn. Pure. */

export type Value = number | null;

export interface PlotSeries {
  label: string;
  unit?: string | null;
  x: readonly Value[];
  y: readonly Value[];
}

/** One ascending axis and a column for each series: null is a gap, undefined no point of this series. */
export interface Table {
  x: number[];
  columns: (Value | undefined)[][];
}

/** Put the series side by side; points without a place on the axis are left out. */
export function alignSeries(series: readonly PlotSeries[]): Table {
  const first = series[0]?.x;
  if (first && series.every(one => one.x === first) && ascending(first)) {
    return { x: [...first] as number[], columns: series.map(one => fit(one.y, first.length)) };
  }
  const places = new Set<number>();
  for (const one of series) {
    for (const place of one.x) {
      if (finite(place)) {
        places.add(place);
      }
    }
  }
  const x = [...places].sort((a, b) => a - b);
  const index = new Map(x.map((place, number) => [place, number]));
  const columns = series.map(one => {
    const column = new Array<Value | undefined>(x.length).fill(undefined);
    one.x.forEach((place, number) => {
      if (finite(place)) {
        column[index.get(place) ?? 0] = value(one.y[number]);
      }
    });
    return column;
  });
  return { x, columns };
}

/** What a logarithmic axis can show of a table: nothing that is not above zero. */
export function positiveOnly(table: Table): Table {
  const columns = table.columns.map(column =>
    column.map(found => (typeof found === 'number' && found <= 0 ? null : found)),
  );
  return { x: table.x, columns };
}

/** Whether a logarithmic axis would show anything at all. */
export function hasPositive(table: Table): boolean {
  return table.columns.some(column => column.some(found => typeof found === 'number' && found > 0));
}

function ascending(values: readonly Value[]): boolean {
  let before = -Infinity;
  for (const found of values) {
    if (!finite(found) || found < before) {
      return false;
    }
    before = found;
  }
  return true;
}

function fit(values: readonly Value[], length: number): Value[] {
  return Array.from({ length }, (_, number) => value(values[number]));
}

function value(found: Value | undefined): Value {
  return finite(found) ? found : null;
}

function finite(found: Value | undefined): found is number {
  return typeof found === 'number' && Number.isFinite(found);
}
