import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { NO_FILTER } from '../src/state/filter';
import { JobList } from '../src/state/job_list';
import { FakeGateway, makeJob, makeSweep } from './sidebar_parts';

let gateway: FakeGateway;
let list: JobList;

function names(): string[] {
  return list.rows.value.map(row =>
    row.kind === 'job' ? row.job.name : row.kind === 'sweep' ? row.sweep.name : 'more',
  );
}

/** Let everything happen that was set going. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(5000);
}

async function begin(grouped = false): Promise<void> {
  const panel = gateway.panel();
  list = new JobList(panel.requests, panel.jobs);
  list.grouped.set(grouped);
  list.begin();
  await settle();
}

beforeEach(() => {
  vi.useFakeTimers();
  gateway = new FakeGateway();
});

afterEach(() => {
  list.dispose();
  vi.useRealTimers();
});

function fill(count: number): void {
  for (let number = 0; number < count; number += 1) {
    gateway.add(makeJob(number));
  }
}

test('a page is asked for when its place is looked at, and only once', async () => {
  fill(250);
  await begin();
  expect(names()).toHaveLength(101);
  expect(gateway.asked).toEqual(['/api/v1/jobs']);
  list.look(0, 20);
  await settle();
  expect(gateway.asked).toHaveLength(1);
  list.look(80, 100);
  await settle();
  list.look(180, 200);
  await settle();
  list.look(0, 20);
  list.look(230, 250);
  await settle();
  const pages = ['/api/v1/jobs', '/api/v1/jobs from 100', '/api/v1/jobs from 200'];
  expect(gateway.asked).toEqual(pages);
  expect(names()).toHaveLength(250);
});

test('a job that changes is asked for by itself, once for a burst', async () => {
  fill(3);
  await begin();
  gateway.asked = [];
  gateway.change('job-00001', { state: 'running' });
  for (let count = 0; count < 20; count += 1) {
    gateway.say('state', 'job-00001', { to: 'running' });
  }
  await settle();
  expect(gateway.asked).toEqual(['/api/v1/jobs/job-00001']);
  const [, row] = list.rows.value;
  expect(row?.kind === 'job' && row.job.state).toBe('running');
});

test('when many jobs change, the page that is looked at is asked for once', async () => {
  fill(30);
  await begin();
  gateway.asked = [];
  for (let number = 0; number < 30; number += 1) {
    gateway.change(`job-${String(number).padStart(5, '0')}`, { state: 'running' });
    gateway.say('state', `job-${String(number).padStart(5, '0')}`, { to: 'running' });
  }
  await settle();
  expect(gateway.asked).toEqual(['/api/v1/jobs']);
  expect(list.rows.value.every(row => row.kind === 'job' && row.job.state === 'running')).toBe(
    true,
  );
});

test('progress stands in its event, and nothing is asked', async () => {
  fill(2);
  await begin();
  gateway.asked = [];
  gateway.say('progress', 'job-00000', { value: 3, min: 0, max: 4, unit: null });
  await settle();
  expect(gateway.asked).toEqual([]);
  expect(list.job('job-00000')?.progress?.value).toBe(3);
});

test('new jobs stand on top, deleted ones are gone', async () => {
  fill(3);
  await begin();
  gateway.add(makeJob(7));
  gateway.say('state', 'job-00007', { to: 'accepted' });
  await settle();
  expect(names()[0]).toBe('job 7');
  gateway.jobs.delete('job-00001');
  gateway.say('deleted', null, { id: 'job-00001' });
  expect(names()).toEqual(['job 7', 'job 2', 'job 0']);
});

test('a job that does not belong to the list any more leaves it', async () => {
  fill(3);
  gateway.change('job-00001', { state: 'running' });
  await begin();
  list.setFilter({ ...NO_FILTER, group: 'active' });
  await settle();
  expect(names()).toEqual(['job 1']);
  gateway.end('job-00001', 'failed');
  await settle();
  expect(names()).toEqual([]);
});

test('an answer to an earlier question is not shown', async () => {
  fill(3);
  gateway.add(makeJob(5, { name: 'another' }));
  await begin();
  list.setFilter({ ...NO_FILTER, text: 'job' });
  list.setFilter({ ...NO_FILTER, text: 'another' });
  await settle();
  expect(names()).toEqual(['another']);
});

test('after the stream was away everything that is looked at is asked for again', async () => {
  fill(3);
  await begin();
  gateway.asked = [];
  gateway.add(makeJob(9));
  gateway.connected.emit(false);
  gateway.connected.emit(true);
  await settle();
  expect(gateway.asked).toEqual(['/api/v1/jobs']);
  expect(names()[0]).toBe('job 9');
});

test('what came in great number while the stream was away is found by looking down', async () => {
  fill(3);
  await begin();
  for (let number = 10; number < 250; number += 1) {
    gateway.add(makeJob(number));
  }
  gateway.connected.emit(true);
  await settle();
  for (let last = 20; last < 250; last += 20) {
    list.look(last - 20, last);
    await settle();
  }
  expect(names()).toHaveLength(243);
});

test('what was known stays while the gateway is away, and it is asked again', async () => {
  fill(3);
  await begin();
  gateway.down = true;
  list.refresh();
  await settle();
  expect(list.loading.value.error?.message).toBe('The gateway is away');
  expect(names()).toHaveLength(3);
  gateway.down = false;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(list.loading.value.error).toBeNull();
});

test('a sweep is one row, and its jobs are asked for when it is opened', async () => {
  fill(2);
  const sweep = 'sweep-a';
  for (let number = 0; number < 3; number += 1) {
    gateway.add(makeJob(100 + number, { sweep, sweep_index: number, name: `point ${number}` }));
  }
  gateway.sweeps.set(sweep, makeSweep(sweep, 100));
  await begin(true);
  expect(names()).toEqual(['sweep sweep-a', 'job 1', 'job 0']);
  gateway.asked = [];
  list.setOpen(sweep, true);
  await settle();
  expect(gateway.asked).toHaveLength(1);
  expect(names().slice(1, 4)).toEqual(['point 0', 'point 1', 'point 2']);
  list.setOpen(sweep, false);
  expect(names()).toHaveLength(3);
});

test('the counts of a closed sweep follow its jobs by one question about the sweep', async () => {
  const sweep = 'sweep-a';
  gateway.add(makeJob(1, { sweep, sweep_index: 0 }));
  gateway.sweeps.set(sweep, makeSweep(sweep, 1));
  await begin(true);
  gateway.say('state', 'job-00001', { to: 'running' });
  await settle();
  gateway.asked = [];
  gateway.sweeps.set(sweep, makeSweep(sweep, 1, { counts: { succeeded: 3 } }));
  gateway.end('job-00001', 'succeeded');
  await settle();
  expect(gateway.asked).toEqual(['/api/v1/sweeps/sweep-a']);
  expect(list.sweep(sweep)?.counts).toEqual({ succeeded: 3 });
});

test('a search shows jobs, not sweeps', async () => {
  const sweep = 'sweep-a';
  gateway.add(makeJob(1, { sweep, sweep_index: 0, name: 'point 0' }));
  gateway.sweeps.set(sweep, makeSweep(sweep, 1));
  await begin(true);
  list.setFilter({ ...NO_FILTER, text: 'point' });
  await settle();
  expect(names()).toEqual(['point 0']);
});
