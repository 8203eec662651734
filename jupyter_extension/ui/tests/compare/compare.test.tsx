import { fireEvent, screen, waitFor, within } from '@testing-library/react';
import { beforeEach, expect, test } from 'vitest';

import type { Job } from '../../src/api/models';
import { COMMANDS } from '../../src/commands';
import { CompareView } from '../../src/compare/compare_view';
import { compareJobs, jobLabels } from '../../src/compare/differences';
import { linesOf, sharedColumns, sharedImages } from '../../src/compare/matching';
import { Comparison } from '../../src/compare/model';
import { outputFile } from '../outputs/gateway';
import { FakeOutputs, layOut, makeJob, show } from '../outputs/parts';
import { Random } from '../random';

beforeEach(layOut);

function job(id: string, change: Partial<Job> = {}): Job {
  return makeJob({ id, name: `run ${id}`, state: 'succeeded', ...change });
}

test('lines say what each job has, and whether that differs', () => {
  const lines = compareJobs([
    job('a', { values: { reynolds: 100, cells: 20 }, exit_code: 0 }),
    job('b', {
      values: { reynolds: 400, cells: 20, pace: null },
      exit_code: 0,
      reason: 'walltime',
    }),
  ]);
  const of = (key: string): unknown => lines.find(line => line.key === key);
  expect(of('reynolds')).toMatchObject({ group: 'values', values: ['100', '400'], differs: true });
  expect(of('cells')).toMatchObject({ differs: false });
  expect(of('exit code')).toMatchObject({ values: ['0', '0'], differs: false });
  expect(of('reason')).toMatchObject({ values: [undefined, 'walltime'], differs: true });
  expect(of('pace')).toBeUndefined();
});

test('a job never differs from itself, and the order of jobs changes no verdict', () => {
  const random = new Random(3);
  for (let round = 0; round < 100; round++) {
    const make = (id: string): Job =>
      job(id, {
        values: Object.fromEntries(['a', 'b', 'c'].map(key => [key, random.below(2)])),
        tags: random.below(2) === 0 ? { study: String(random.below(3)) } : {},
        spec: { resources: { cpus: random.below(2) }, script: 'x'.repeat(random.below(600)) },
      });
    const [a, b] = [make('a'), make('b')];
    expect(compareJobs([a, a]).filter(line => line.differs)).toEqual([]);
    const verdicts = (jobs: Job[]): string[] =>
      compareJobs(jobs)
        .filter(line => line.differs)
        .map(line => `${line.group} ${line.key}`)
        .sort();
    expect(verdicts([a, b])).toEqual(verdicts([b, a]));
    const same =
      JSON.stringify([a.values, a.tags, a.spec]) === JSON.stringify([b.values, b.tags, b.spec]);
    expect(verdicts([a, b]).length === 0).toBe(same);
  }
});

test('jobs of one name are told apart by their ids', () => {
  expect(
    jobLabels([job('a', { name: 'x' }), job('b', { name: 'x' }), job('c', { name: 'y' })]),
  ).toEqual(['x (a)', 'x (b)', 'y']);
});

test('images of the same path belong together, with a gap where a job has none', () => {
  const [a, b, c] = [job('a'), job('b'), job('c')];
  const found = sharedImages([
    { job: a, files: [outputFile({ path: 'p.png' }), outputFile({ path: 'only.png' })] },
    {
      job: b,
      files: [
        outputFile({ path: 'p.png' }),
        outputFile({ path: 'q.png' }),
        outputFile({ path: 'r.csv' }),
      ],
    },
    {
      job: c,
      files: [
        outputFile({ path: 'p.png' }),
        outputFile({ path: 'q.png' }),
        outputFile({ path: 'r.csv' }),
      ],
    },
  ]);
  expect(found.map(one => [one.path, one.files.map(file => file !== null)])).toEqual([
    ['p.png', [true, true, true]],
    ['q.png', [false, true, true]],
  ]);
});

function rows(columns: string[], values: (number | null)[][]): never {
  return {
    name: 's',
    columns: columns.map(name => ({ name, label: null, unit: name === 'p' ? 'Pa' : null })),
    rows: values,
    next: 0,
  } as never;
}

test('series are drawn over their own axes, by column name', () => {
  const all = [
    {
      label: 'one',
      x: 'time',
      rows: rows(
        ['time', 'p'],
        [
          [0, 1],
          [1, null],
        ],
      ),
    },
    { label: 'two', x: 'time', rows: rows(['p', 'time', 'u'], [[5, 0, 7]]) },
  ];
  expect(sharedColumns(all).map(column => column.name)).toEqual(['p', 'u']);
  expect(linesOf(all, 'p')).toEqual({
    xLabel: 'time',
    series: [
      { label: 'one', unit: 'Pa', x: [0, 1], y: [1, null] },
      { label: 'two', unit: 'Pa', x: [0], y: [5] },
    ],
  });
  expect(linesOf(all, 'u').series.map(line => line.label)).toEqual(['two']);
});

test('only what differs is listed until all is asked for; names lead to the jobs', async () => {
  const gateway = new FakeOutputs();
  gateway.jobs.set('a', job('a', { values: { reynolds: 100, cells: 20 } }));
  gateway.jobs.set('b', job('b', { values: { reynolds: 400, cells: 20 } }));
  const comparison = new Comparison(['a', 'b', 'a']);
  show(gateway.panel(), <CompareView comparison={comparison} />);
  expect(await screen.findByRole('rowheader', { name: 'reynolds' })).toBeTruthy();
  expect(screen.queryByRole('rowheader', { name: 'cells' })).toBeNull();
  fireEvent.click(screen.getByLabelText('Show what is the same too'));
  expect(screen.getByRole('rowheader', { name: 'cells' })).toBeTruthy();
  fireEvent.click(screen.getByRole('button', { name: 'run b' }));
  expect(gateway.run).toHaveBeenCalledWith(COMMANDS.openJob, { id: 'b' });
  fireEvent.click(screen.getByRole('button', { name: 'Remove run b from the comparison' }));
  expect(await screen.findByText('Add at least two jobs to compare them.')).toBeTruthy();
  expect(comparison.ids.value).toEqual(['a']);
});

test('images of both jobs stand side by side', async () => {
  const gateway = new FakeOutputs();
  gateway.jobs.set('a', job('a'));
  gateway.jobs.set('b', job('b'));
  gateway.put('plots/p.svg', '<svg/>');
  show(gateway.panel(), <CompareView comparison={new Comparison(['a', 'b'])} />);
  const section = await screen.findByRole('region', { name: 'Images' });
  const images = within(section).getAllByRole('img');
  expect(images.map(image => image.getAttribute('alt'))).toEqual([
    'plots/p.svg of run a',
    'plots/p.svg of run b',
  ]);
});

test('jobs are looked for and added, and one that is gone is said to be', async () => {
  const gateway = new FakeOutputs();
  gateway.jobs.set('a', job('a'));
  gateway.jobs.set('b', job('b'));
  gateway.answers.set('/api/v1/jobs', { items: [job('a'), job('b')], next_cursor: null });
  const comparison = new Comparison(['a', 'gone']);
  show(gateway.panel(), <CompareView comparison={comparison} />);
  fireEvent.click(await screen.findByRole('button', { name: 'Remove it' }));
  fireEvent.click(screen.getByRole('button', { name: 'Add job' }));
  const offered = await screen.findByRole('list', { name: 'Jobs that can be added' });
  fireEvent.click(await within(offered).findByRole('button', { name: 'run b' }));
  await waitFor(() => {
    expect(comparison.ids.value).toEqual(['a', 'b']);
  });
});
