import type { ParameterInfo } from '../api/models';

export type Value = string | number | boolean;

/** One parameter of a sweep as the person writes it. */
export interface Axis {
  parameter: string;
  text: string;
}

/** What a text means: values, or why it means none. */
export type Parsed = { values: Value[] } | { error: string };

/** Points of a sweep; the gateway's own limit is the one that counts. */
export const MOST_VALUES = 10_000;
const RANGE = /^(-?[\d.eE+-]+)\s*:\s*(-?[\d.eE+-]+)(?:\s*:\s*(-?[\d.eE+-]+))?$/;

/** The words for what can be wrong, so that they can be translated. */
export interface Words {
  number: (text: string) => string;
  whole: (text: string) => string;
  choice: (text: string) => string;
  truth: (text: string) => string;
  range: (text: string) => string;
  many: (count: number) => string;
  twice: (text: string) => string;
}

/**
 * Read the values of one parameter: `100, 200, 400`, and for numbers `start:stop:step` (the stop is one of them where
 * a step lands on it) or `start:stop` in steps of 1.
 */
export function parseValues(text: string, parameter: ParameterInfo, words: Words): Parsed {
  const parts = text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
  const values: Value[] = [];
  for (const part of parts) {
    const found = parsePart(part, parameter, words);
    if ('error' in found) {
      return found;
    }
    values.push(...found.values);
    if (values.length > MOST_VALUES) {
      return { error: words.many(MOST_VALUES) };
    }
  }
  const seen = new Set<Value>();
  for (const value of values) {
    if (seen.has(value)) {
      return { error: words.twice(String(value)) };
    }
    seen.add(value);
  }
  return { values };
}

function parsePart(part: string, parameter: ParameterInfo, words: Words): Parsed {
  switch (parameter.type) {
    case 'int':
    case 'float':
      return parseNumbers(part, parameter.type === 'int', words);
    case 'bool':
      return part === 'true' || part === 'false'
        ? { values: [part === 'true'] }
        : { error: words.truth(part) };
    case 'choice': {
      const choice = parameter.choices.find(
        item => String(item.value) === part || item.label === part,
      );
      return choice ? { values: [choice.value as Value] } : { error: words.choice(part) };
    }
    default:
      return { values: [part] };
  }
}

function parseNumbers(part: string, whole: boolean, words: Words): Parsed {
  const range = RANGE.exec(part);
  if (range) {
    return spread(part, Number(range[1]), Number(range[2]), Number(range[3] ?? 1), whole, words);
  }
  const value = Number(part);
  if (!Number.isFinite(value)) {
    return { error: words.number(part) };
  }
  return whole && !Number.isInteger(value) ? { error: words.whole(part) } : { values: [value] };
}

function spread(
  part: string,
  start: number,
  stop: number,
  step: number,
  whole: boolean,
  words: Words,
): Parsed {
  const count = Math.floor((stop - start) / step + 1e-9) + 1;
  if (![start, stop, step].every(Number.isFinite) || step === 0 || count < 1) {
    return { error: words.range(part) };
  }
  if (count > MOST_VALUES) {
    return { error: words.many(MOST_VALUES) };
  }
  const digits = Math.max(decimals(start), decimals(step));
  const values = Array.from({ length: count }, (_, index) =>
    Number((start + index * step).toFixed(digits)),
  );
  const odd = values.find(value => whole && !Number.isInteger(value));
  return odd === undefined ? { values } : { error: words.whole(String(odd)) };
}

/** Digits behind the point that a number is written with, so that 0.1 + 0.2 stays 0.3. */
function decimals(value: number): number {
  const [digits = '', exponent = '0'] = String(value).toLowerCase().split('e');
  const behind = digits.includes('.') ? digits.length - digits.indexOf('.') - 1 : 0;
  return Math.min(100, Math.max(0, behind - Number(exponent)));
}

/** The grid as the gateway takes it, and how many jobs it makes; null while an axis cannot be read. */
export function gridOf(
  axes: readonly Axis[],
  parameters: readonly ParameterInfo[],
  words: Words,
): { grid: Record<string, Value[]>; count: number } | null {
  const grid: Record<string, Value[]> = {};
  let count = 1;
  for (const axis of axes) {
    const parameter = parameters.find(item => item.name === axis.parameter);
    const parsed = parameter ? parseValues(axis.text, parameter, words) : null;
    if (!parsed || 'error' in parsed || parsed.values.length === 0) {
      return null;
    }
    grid[axis.parameter] = parsed.values;
    count *= parsed.values.length;
  }
  return axes.length === 0 ? null : { grid, count };
}
