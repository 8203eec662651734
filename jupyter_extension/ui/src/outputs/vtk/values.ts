import type { Surface } from './surface';
import type { DataArray, DataSet } from './types';

/** What colours a surface: an array of points or cells, and one component of it. */
export interface Choice {
  on: 'points' | 'cells';
  name: string;
  /** -1: the length of the vector. */
  component: number;
}

/** The arrays of a data set that can colour it. */
export function choicesOf(data: DataSet): Choice[] {
  const all = (arrays: DataArray[], on: 'points' | 'cells'): Choice[] =>
    arrays.flatMap(array =>
      array.components === 1
        ? [{ on, name: array.name, component: 0 }]
        : [-1, ...Array.from({ length: Math.min(9, array.components) }, (_, i) => i)].map(
            component => ({
              on,
              name: array.name,
              component,
            }),
          ),
    );
  return [...all(data.pointData, 'points'), ...all(data.cellData, 'cells')];
}

export function keyOf(choice: Choice): string {
  return JSON.stringify([choice.on, choice.name, choice.component]);
}

/** `U`, `U magnitude`, `U x`. */
export function componentWord(array: DataArray, component: number): string {
  if (component < 0) {
    return '|…|';
  }
  return array.components <= 3 ? 'xyz'.charAt(component) : `${component + 1}`;
}

export function arrayOf(data: DataSet, choice: Choice): DataArray | null {
  const arrays = choice.on === 'points' ? data.pointData : data.cellData;
  return arrays.find(array => array.name === choice.name) ?? null;
}

/** One number for an element. */
export function valueAt(array: DataArray, element: number, component: number): number {
  const at = element * array.components;
  if (component >= 0) {
    return array.values[at + component] ?? NaN;
  }
  let sum = 0;
  for (let i = 0; i < array.components; i++) {
    sum += (array.values[at + i] ?? NaN) ** 2;
  }
  return Math.sqrt(sum);
}

/** The values of what is drawn, in its order. */
export function valuesOn(data: DataSet, surface: Surface, choice: Choice): Float32Array | null {
  const array = arrayOf(data, choice);
  if (!array) {
    return null;
  }
  if (choice.on === 'cells') {
    return Float32Array.from(surface.cellOf, cell => valueAt(array, cell, choice.component));
  }
  const { pointOf, other, weight } = surface;
  return Float32Array.from(pointOf, (point, i) => {
    const value = valueAt(array, point, choice.component);
    if (!other || !weight) {
      return value;
    }
    return value + (weight[i] ?? 0) * (valueAt(array, other[i] ?? 0, choice.component) - value);
  });
}

/** Smallest and largest value of the whole data set, whatever is drawn of it; null where there is none. */
export function rangeOf(data: DataSet, choice: Choice): [number, number] | null {
  const array = arrayOf(data, choice);
  if (!array) {
    return null;
  }
  let low = Infinity;
  let high = -Infinity;
  const count = choice.on === 'points' ? data.pointCount : data.cellCount;
  for (let i = 0; i < count; i++) {
    const value = valueAt(array, i, choice.component);
    if (Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? [low, high] : null;
}

/** Smallest and largest coordinate in each direction. */
export function boundsOf(points: ArrayLike<number>): [number, number][] {
  return [0, 1, 2].map(axis => {
    let low = Infinity;
    let high = -Infinity;
    for (let i = axis; i < points.length; i += 3) {
      const value = points[i] ?? 0;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return [low, high];
  });
}
