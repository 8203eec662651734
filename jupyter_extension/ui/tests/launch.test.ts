import { expect, test } from 'vitest';

import type { Job, ParameterInfo } from '../src/api/models';
import {
  applies,
  parseTags,
  quoteWord,
  requestForCase,
  requestForContainer,
  rerunPatch,
  tagsText,
  NO_PLACE,
} from '../src/launch/request';
import {
  fromSlider,
  plainParagraphs,
  problemsByParameter,
  sliderScale,
  toSlider,
} from '../src/launch/schema';
import { gridOf, parseValues, type Words } from '../src/launch/sweep';

const WORDS: Words = {
  number: text => `no number ${text}`,
  whole: text => `not whole ${text}`,
  choice: text => `no choice ${text}`,
  truth: text => `no truth ${text}`,
  range: text => `no range ${text}`,
  many: count => `more than ${count}`,
  twice: text => `twice ${text}`,
};

function parameter(given: Partial<ParameterInfo>): ParameterInfo {
  return {
    name: 'reynolds',
    label: 'Reynolds number',
    help: null,
    type: 'float',
    unit: null,
    required: false,
    default: null,
    min: null,
    max: null,
    step: null,
    choices: [],
    enabled_if: {},
    max_length: null,
    multiline: false,
    pattern: null,
    ...given,
  };
}

test('values of a sweep are lists and ranges, whose steps are exact', () => {
  expect(parseValues('100, 200:400:100, 1e3', parameter({}), WORDS)).toEqual({
    values: [100, 200, 300, 400, 1000],
  });
  expect(parseValues('0.1:0.5:0.1', parameter({}), WORDS)).toEqual({
    values: [0.1, 0.2, 0.3, 0.4, 0.5],
  });
  expect(parseValues('5:1:-2', parameter({ type: 'int' }), WORDS)).toEqual({ values: [5, 3, 1] });
  expect(parseValues('1:3', parameter({ type: 'int' }), WORDS)).toEqual({ values: [1, 2, 3] });
});

test('a range never goes beyond its stop', () => {
  for (let index = 0; index < 300; index += 1) {
    const start = Math.round(Math.random() * 1000) / 100;
    const step = (1 + Math.round(Math.random() * 100)) / 1000;
    const stop = start + Math.random() * 3;
    const parsed = parseValues(`${start}:${stop}:${step}`, parameter({}), WORDS);
    if (!('values' in parsed)) {
      throw new Error(parsed.error);
    }
    const last = Number(parsed.values.at(-1));
    expect(parsed.values[0]).toBe(start);
    expect(last).toBeLessThanOrEqual(stop + 1e-6);
    expect(last + step).toBeGreaterThan(stop - 1e-6);
  }
});

test('what cannot be a value is named', () => {
  expect(parseValues('a', parameter({}), WORDS)).toEqual({ error: 'no number a' });
  expect(parseValues('1.5', parameter({ type: 'int' }), WORDS)).toEqual({ error: 'not whole 1.5' });
  expect(parseValues('1:2:0', parameter({}), WORDS)).toEqual({ error: 'no range 1:2:0' });
  expect(parseValues('0:1:1e-9', parameter({}), WORDS)).toEqual({ error: 'more than 10000' });
  expect(parseValues('1, 1', parameter({}), WORDS)).toEqual({ error: 'twice 1' });
  expect(parseValues('yes', parameter({ type: 'bool' }), WORDS)).toEqual({ error: 'no truth yes' });
});

test('choices are taken by value or label, texts as they stand', () => {
  const choices = [
    { value: 'upwind', label: 'Upwind' },
    { value: 2, label: 'Second' },
  ];
  const choice = parameter({ type: 'choice', choices });
  expect(parseValues('Upwind, 2', choice, WORDS)).toEqual({ values: ['upwind', 2] });
  expect(parseValues('third', choice, WORDS)).toEqual({ error: 'no choice third' });
  expect(parseValues('a, b:c', parameter({ type: 'text' }), WORDS)).toEqual({
    values: ['a', 'b:c'],
  });
});

test('a grid counts its jobs, and is none while an axis says nothing', () => {
  const parameters = [parameter({}), parameter({ name: 'cells', type: 'int' })];
  const axes = [
    { parameter: 'reynolds', text: '100, 200' },
    { parameter: 'cells', text: '10:30:10' },
  ];
  expect(gridOf(axes, parameters, WORDS)).toEqual({
    grid: { reynolds: [100, 200], cells: [10, 20, 30] },
    count: 6,
  });
  expect(gridOf([], parameters, WORDS)).toBeNull();
  expect(gridOf([{ parameter: 'reynolds', text: ' ' }], parameters, WORDS)).toBeNull();
});

test('a request has only what the person gave', () => {
  const plain = requestForCase('lid', { reynolds: 1 }, NO_PLACE, { name: '', tags: '' });
  expect(plain).toEqual({ case: 'lid', values: { reynolds: 1 } });
  const place = {
    ...NO_PLACE,
    target: 'here',
    stores: ['results', 'deep'],
    longTermStore: 'deep',
    longTermPath: 'a/b',
    cpus: '4',
    memory: '2G',
  };
  expect(requestForCase('lid', {}, place, { name: 'x', tags: 'study:lid, fast' })).toEqual({
    case: 'lid',
    values: {},
    name: 'x',
    tags: { study: 'lid', fast: '' },
    target: 'here',
    stores: ['results', { store: 'deep', path: 'a/b' }],
    resources: { cpus: 4, memory: '2G' },
  });
});

test('a container of one’s own is a script, an image and patterns', () => {
  const container = {
    image: ' https://a/b.sif ',
    digest: '',
    script: 'true',
    outputs: 'a/**\n\n*.csv',
  };
  expect(requestForContainer(container, NO_PLACE, { name: '', tags: '' })).toEqual({
    image: { ref: 'https://a/b.sif' },
    script: 'true',
    outputs: [{ source: 'a/**' }, { source: '*.csv' }],
  });
});

test('tags survive being written and read', () => {
  const tags = { study: 'lid', fast: '', url: 'a:b' };
  expect(parseTags(tagsText(tags))).toEqual(tags);
});

test('words are quoted for bash', () => {
  expect(quoteWord('a/b.c=1')).toBe('a/b.c=1');
  expect(quoteWord("it's $HOME")).toBe("'it'\"'\"'s $HOME'");
});

test('a parameter counts when those it depends on have a wanted value', () => {
  const item = parameter({ enabled_if: { steady: [false], scheme: ['a', 'b'] } });
  expect(applies(item, { steady: false, scheme: 'b' })).toBe(true);
  expect(applies(item, { steady: true, scheme: 'b' })).toBe(false);
});

test('the slider reaches its ends, and comes back to where a value stands', () => {
  expect(sliderScale(0.1, 10_000)).toBe('log');
  expect(sliderScale(0, 1)).toBe('linear');
  expect(sliderScale(undefined, 1)).toBeNull();
  for (const [min, max, scale] of [
    [0.1, 10_000, 'log'],
    [4, 512, 'linear'],
  ] as const) {
    expect(fromSlider(0, min, max, scale, null)).toBe(min);
    expect(fromSlider(1000, min, max, scale, null)).toBe(max);
    for (let place = 0; place <= 1000; place += 37) {
      const value = fromSlider(place, min, max, scale, null);
      expect(Math.abs(toSlider(value, min, max, scale) - place)).toBeLessThanOrEqual(5);
      expect(value).toBeGreaterThanOrEqual(min);
      expect(value).toBeLessThanOrEqual(max);
    }
  }
});

test('complaints go to their parameters', () => {
  const found = problemsByParameter([
    { pointer: '#/values/reynolds', detail: 'too large' },
    { pointer: '#/resources/cpus', detail: 'too many' },
  ]);
  expect(found).toEqual({ reynolds: ['too large'], '': ['#/resources/cpus: too many'] });
});

test('descriptions lose their marks and addresses', () => {
  expect(plainParagraphs('The [tutorial](https://x.org/y) of\n`U`.\n\nMore **here**.')).toEqual([
    'The tutorial of U.',
    'More here.',
  ]);
});

function jobWith(given: Partial<Job>): Job {
  return { id: 'j', name: 'before', tags: {}, values: {}, case: null, spec: {}, ...given } as Job;
}

/** RFC 7396, as the gateway applies it. */
function merged(before: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    return patch;
  }
  const isObject = typeof before === 'object' && before !== null && !Array.isArray(before);
  const found: Record<string, unknown> = isObject ? { ...before } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
      delete found[key];
    } else {
      found[key] = merged(found[key], value);
    }
  }
  return found;
}

test('what was emptied in a form does not come back from the job before', () => {
  const request = {
    case: 'lid',
    values: { reynolds: 100, scheme: 'upwind' },
    tags: { study: 'lid', old: '' },
    name: 'before',
    target: 'far',
    resources: { cpus: 4, memory: '2G', options: { qos: 'low' } },
  };
  const from = jobWith({ case: 'lid', values: request.values, tags: request.tags });
  const place = { ...NO_PLACE, cpus: '8' };
  const body = requestForCase('lid', { reynolds: 200 }, place, { name: '', tags: 'study:lid' });
  expect(merged(request, rerunPatch(body, from))).toEqual({
    case: 'lid',
    values: { reynolds: 200 },
    tags: { study: 'lid' },
    resources: { cpus: 8, options: { qos: 'low' } },
  });
});

test('a container that runs again keeps what the form does not show, and no digest of another image', () => {
  const image = { ref: 'https://a/b.sif', digest: 'sha256:1', mirrors: ['https://m/b.sif'] };
  const request = { image, command: ['a'], env: { A: '1' }, outputs: [{ source: 'x' }] };
  const from = jobWith({ spec: request });
  const form = { image: 'https://a/c.sif', digest: '', script: 'true', outputs: '' };
  const patch = rerunPatch(requestForContainer(form, NO_PLACE, { name: '', tags: '' }), from);
  expect(merged(request, patch)).toEqual({
    image: { ref: 'https://a/c.sif' },
    script: 'true',
    env: { A: '1' },
    tags: {},
    resources: {},
  });
  const same = { ...form, image: image.ref, digest: image.digest };
  const again = rerunPatch(requestForContainer(same, NO_PLACE, { name: '', tags: '' }), from);
  expect(merged(request, again)).toMatchObject({ image });
});
