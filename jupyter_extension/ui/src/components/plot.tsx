import { useEffect, useMemo, useRef, useState } from 'react';

import { usePanel } from '../panel';
import { numberText, withUnit } from './numbers';
import type { Canvas } from './plot_canvas';
import { alignSeries, type PlotSeries, type Table } from './plot_data';

export type { PlotSeries } from './plot_data';

const HEIGHT = 260;

export interface LinePlotProps {
  series: readonly PlotSeries[];
  xLabel: string;
  /** Whether the vertical axis is logarithmic; values that are not above zero are left out then. */
  log?: boolean;
  /** What the plot shows, for those who do not see it. */
  label?: string;
  height?: number;
}

/** Lines over one axis. Fills the width it has, follows the theme; dragging zooms, a double click shows all again. */
export function LinePlot({
  series,
  xLabel,
  log = false,
  label,
  height = HEIGHT,
}: LinePlotProps): React.JSX.Element {
  const { trans } = usePanel();
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<Canvas | null>(null);
  const [ready, setReady] = useState(false);
  const [failed, setFailed] = useState(false);
  const [cursor, setCursor] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const table = useMemo(() => alignSeries(series), [series]);
  const labels = series.map(one => withUnit(one.label, one.unit));

  useEffect(() => {
    const place = host.current;
    let gone = false;
    let leave = (): void => undefined;
    if (place) {
      import('./plot_canvas').then(
        module => {
          if (!gone) {
            const made = new module.Canvas(place, height, setCursor);
            canvas.current = made;
            leave = follow(place, made);
            setReady(true);
          }
        },
        () => setFailed(true),
      );
    }
    return () => {
      gone = true;
      leave();
      canvas.current?.dispose();
      canvas.current = null;
    };
  }, [height]);

  useEffect(() => {
    canvas.current?.show({
      table,
      labels,
      shown: labels.map(one => !hidden.has(one)),
      xLabel,
      yLabel: commonUnit(series),
      log,
    });
    // `labels` are made from `series`, as `table` is.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [table, hidden, xLabel, log, ready]);

  const name = label ?? labels.join(', ');
  return (
    <figure className="sg-plot" aria-label={name}>
      <div
        ref={host}
        className="sg-plot-canvas"
        style={{ minHeight: height }}
        role="img"
        aria-label={trans.__('Plot of %1 over %2', name, xLabel)}
      />
      {failed && (
        <div role="alert">{trans.__('The plot could not be loaded. Reload the page.')}</div>
      )}
      <Legend
        labels={labels}
        table={table}
        cursor={cursor}
        xLabel={xLabel}
        hidden={hidden}
        onToggle={one => setHidden(before => toggled(before, one))}
      />
    </figure>
  );
}

interface LegendProps {
  labels: string[];
  table: Table;
  cursor: number | null;
  xLabel: string;
  hidden: ReadonlySet<string>;
  onToggle: (label: string) => void;
}

/** The names with the values under the cursor (else the last ones); each switches its line off and on. */
function Legend({
  labels,
  table,
  cursor,
  xLabel,
  hidden,
  onToggle,
}: LegendProps): React.JSX.Element {
  const { trans } = usePanel();
  const place = cursor ?? table.x.length - 1;
  const x = table.x[place];
  return (
    <figcaption className="sg-plot-legend">
      {x !== undefined && (
        <span className="sg-plot-place">
          {xLabel} {numberText(x)}
        </span>
      )}
      {labels.map((one, index) => {
        const value = table.columns[index]?.[place];
        return (
          <button
            key={index}
            type="button"
            className={`sg-plot-name sg-plot-colour-${(index % 8) + 1}`}
            aria-pressed={!hidden.has(one)}
            title={trans.__('Show or hide %1', one)}
            onClick={() => onToggle(one)}
          >
            <span className="sg-plot-swatch" aria-hidden="true" />
            {one}
            {typeof value === 'number' && (
              <span className="sg-plot-value">{numberText(value)}</span>
            )}
          </button>
        );
      })}
    </figcaption>
  );
}

/** Keep a drawing as wide as its place, in the colours of the theme. */
function follow(place: HTMLElement, canvas: Canvas): () => void {
  const size = new ResizeObserver(() => canvas.resize());
  size.observe(place);
  const theme = new MutationObserver(() => canvas.recolour());
  theme.observe(document.body, {
    attributes: true,
    attributeFilter: ['data-jp-theme-name', 'data-jp-theme-light'],
  });
  return () => {
    size.disconnect();
    theme.disconnect();
  };
}

function toggled(before: ReadonlySet<string>, label: string): ReadonlySet<string> {
  const after = new Set(before);
  if (!after.delete(label)) {
    after.add(label);
  }
  return after;
}

function commonUnit(series: readonly PlotSeries[]): string {
  const units = new Set(series.map(one => one.unit ?? ''));
  return units.size === 1 ? ([...units][0] ?? '') : '';
}
