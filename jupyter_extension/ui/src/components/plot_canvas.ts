/** The drawing itself. Loaded only when there is something to draw. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { numberText } from './numbers';
import { hasPositive, positiveOnly, type Table } from './plot_data';

export interface Content {
  table: Table;
  labels: string[];
  shown: boolean[];
  xLabel: string;
  yLabel: string;
  log: boolean;
}

export const COLOURS = 8;
/** uPlot's number for it: its own name is gone at run time. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
const LOGARITHMIC = 3 as uPlot.Scale.Distr;

/** The colour of a series, as the theme has it now. */
function colour(host: HTMLElement, index: number): string {
  return style(host, `--sg-plot-${(index % COLOURS) + 1}`);
}

function style(host: HTMLElement, name: string): string {
  return getComputedStyle(host).getPropertyValue(name).trim() || 'gray';
}

function isDecade(value: number): boolean {
  const exponent = Math.log10(value);
  return Math.abs(exponent - Math.round(exponent)) < 1e-9;
}

/** One drawing in a place of the page. */
export class Canvas {
  private plot: uPlot | null = null;
  private shape = '';
  private zoomed = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly height: number,
    private readonly onCursor: (index: number | null) => void,
  ) {}

  show(content: Content): void {
    const log = content.log && hasPositive(content.table);
    const table = log ? positiveOnly(content.table) : content.table;
    const data = [table.x, ...table.columns] as uPlot.AlignedData;
    const shape = JSON.stringify([
      content.labels,
      content.shown,
      content.xLabel,
      content.yLabel,
      log,
    ]);
    if (this.plot && shape === this.shape) {
      this.plot.setData(data, !this.zoomed);
      if (this.zoomed) {
        this.plot.redraw();
      }
      return;
    }
    this.dispose();
    this.shape = shape;
    this.plot = new uPlot(this.options(content, log), data, this.host);
  }

  /** Fill the width of the place again. */
  resize(): void {
    const width = this.width();
    if (this.plot && width > 0 && this.plot.width !== width) {
      this.plot.setSize({ width, height: this.height });
    }
  }

  /** The theme has other colours now. */
  recolour(): void {
    this.plot?.redraw(false, true);
  }

  dispose(): void {
    this.plot?.destroy();
    this.plot = null;
    this.zoomed = false;
  }

  private width(): number {
    return Math.floor(this.host.clientWidth);
  }

  private options(content: Content, log: boolean): uPlot.Options {
    const { host } = this;
    const font = `11px ${style(host, '--jp-ui-font-family')}`;
    const axis: uPlot.Axis = {
      stroke: () => style(host, '--jp-ui-font-color1'),
      grid: { stroke: () => style(host, '--jp-border-color2'), width: 1 },
      ticks: { stroke: () => style(host, '--jp-border-color2'), width: 1 },
      font,
      labelFont: font,
      labelSize: 18,
      // Null where a logarithmic axis has no label, whatever the types say.
      values: (_plot, found: (number | null)[]) =>
        found.map(value => (value === null ? '' : numberText(value))),
    };
    // Of a logarithmic axis only the decades have lines.
    const grid: uPlot.Axis.Grid = log
      ? {
          ...axis.grid,
          filter: (_plot, found) => found.map(value => (isDecade(value) ? value : null)),
        }
      : { ...axis.grid };
    return {
      width: Math.max(100, this.width()),
      height: this.height,
      legend: { show: false },
      scales: { x: { time: false }, y: log ? { distr: LOGARITHMIC } : {} },
      axes: [
        { ...axis, label: content.xLabel, size: 30 },
        { ...axis, grid, ...(content.yLabel === '' ? {} : { label: content.yLabel }), size: 64 },
      ],
      series: [
        {},
        ...content.labels.map((label, index) => ({
          label,
          show: content.shown[index] ?? true,
          stroke: () => colour(host, index),
          width: 1.5,
          // More series than colours: the others are dashed.
          ...(index < COLOURS ? {} : { dash: [6, 4] }),
          points: { show: content.table.x.length < 60 },
        })),
      ],
      hooks: {
        setSelect: [
          plot => {
            this.zoomed = this.zoomed || plot.select.width > 0;
          },
        ],
        setCursor: [
          plot => {
            this.onCursor(plot.cursor.idx ?? null);
          },
        ],
        ready: [
          plot => {
            plot.over.addEventListener('dblclick', () => {
              this.zoomed = false;
            });
          },
        ],
      },
    };
  }
}
