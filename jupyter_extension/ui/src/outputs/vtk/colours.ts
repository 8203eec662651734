/** Colour maps by a few of their colours, from low to high. */
export const COLOUR_MAPS: Record<string, readonly string[]> = {
  viridis: [
    '#440154',
    '#482878',
    '#3e4989',
    '#31688e',
    '#26828e',
    '#1f9e89',
    '#35b779',
    '#6ece58',
    '#b5de2b',
    '#fde725',
  ],
  plasma: [
    '#0d0887',
    '#46039f',
    '#7201a8',
    '#9c179e',
    '#bd3786',
    '#d8576b',
    '#ed7953',
    '#fb9f3a',
    '#fdca26',
    '#f0f921',
  ],
  coolwarm: [
    '#3b4cc0',
    '#6788ee',
    '#9abbff',
    '#c9d7f0',
    '#dddddd',
    '#edd1c2',
    '#f7a889',
    '#e26952',
    '#b40426',
  ],
  greys: ['#000000', '#ffffff'],
};

/** The parts of a colour, each from 0 to 1. */
export function partsOf(colour: string): [number, number, number] {
  return [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16) / 255) as [number, number, number];
}

/** A few round numbers within a range, its ends included. */
export function ticks(low: number, high: number): number[] {
  return low === high ? [low] : [0, 0.25, 0.5, 0.75, 1].map(share => low + share * (high - low));
}

/** A number with as many digits as tell something. */
export function shortNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}
