import type { SeriesRows } from '../api/models';
import { address } from '../api/requests';
import type { Panel } from '../panel';
import { Observable } from '../state/observable';
import { SeriesTable } from './rows';

const PIECE = 10_000;
/** Pieces that come together are drawn once, in milliseconds. */
const GATHER = 100;
/** A stream that the gateway could not give now is asked for again after this. */
const AGAIN = 5000;

/** Reads one data series of a job: what is there, then what comes. */
export class SeriesReader {
  readonly table = new SeriesTable();
  /** Grows with every change of the table. */
  readonly version = new Observable(0);
  readonly error = new Observable<Error | null>(null);
  private stop: (() => void) | null = null;
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly panel: Panel,
    private readonly job: string,
    private readonly name: string,
  ) {}

  start(): void {
    if (this.stop || this.table.ended) {
      return;
    }
    const path = address('jobs', this.job, 'data', this.name);
    this.stop = this.panel.socket.read({
      path: () => `${path}?follow=true&after=${this.table.next}&limit=${PIECE}`,
      onEvent: ({ data }) => {
        this.take(data as SeriesRows);
      },
      onEnd: () => {
        this.stop = null;
      },
      onProblem: problem => {
        this.stop = null;
        this.error.set(problem);
        if (problem.status >= 500 || problem.status === 429) {
          this.waiting = setTimeout(() => {
            this.start();
          }, AGAIN);
        }
      },
    });
  }

  pause(): void {
    clearTimeout(this.waiting);
    this.stop?.();
    this.stop = null;
  }

  private take(piece: SeriesRows): void {
    this.table.take(piece);
    this.error.set(null);
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      this.version.set(this.version.value + 1);
    }, GATHER);
  }
}
