import { Notification } from '@jupyterlab/apputils';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Notices } from '../src/sidebar/notices';
import { EndedJobs, type News } from '../src/state/ended';
import { FakeGateway, hear, makeJob, makeSweep } from './sidebar_parts';

let gateway: FakeGateway;
let told: News[][];
let ended: EndedJobs;
let notices: Notices;
let panel: ReturnType<FakeGateway['panel']>;
const shown = vi.fn();

async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(5000);
}

function messages(): string[] {
  return Notification.manager.notifications.map(notification => notification.message);
}

beforeEach(() => {
  vi.useFakeTimers();
  gateway = new FakeGateway();
  panel = gateway.panel();
  told = [];
  notices = new Notices(panel, shown);
  ended = new EndedJobs(panel.requests, panel.jobs, news => {
    told.push(news);
    notices.tell(news);
  });
});

afterEach(() => {
  ended.dispose();
  Notification.dismiss();
  vi.useRealTimers();
});

function addSweep(count: number): void {
  for (let number = 0; number < count; number += 1) {
    gateway.add(makeJob(number, { state: 'running', sweep: 'sweep-a', sweep_index: number }));
  }
  gateway.sweeps.set('sweep-a', makeSweep('sweep-a', 0, { count, counts: { running: count } }));
}

test('a job that ends is told of with what to do next', async () => {
  gateway.add(makeJob(1, { state: 'running' }));
  const opened = hear(panel, 'openJob');
  const launched = hear(panel, 'launch');
  gateway.end('job-00001', 'succeeded');
  await settle();
  expect(messages()).toEqual(['“job 1”: succeeded']);
  const actions = Notification.manager.notifications[0]?.options.actions ?? [];
  expect(actions.map(action => action.label)).toEqual(['Show', 'Launch again']);
  actions.forEach(action => action.callback(new MouseEvent('click')));
  expect(opened).toEqual([{ id: 'job-00001' }]);
  expect(launched).toEqual([{ from: 'job-00001' }]);
});

test('fifty jobs of a sweep are one notification', async () => {
  addSweep(50);
  for (let number = 0; number < 50; number += 1) {
    gateway.end(`job-${String(number).padStart(5, '0')}`, number === 3 ? 'failed' : 'succeeded');
    if (number === 20) {
      await settle();
    }
  }
  const counts = { succeeded: 49, failed: 1 };
  gateway.sweeps.set('sweep-a', makeSweep('sweep-a', 0, { counts, state: 'partly_failed' }));
  await settle();
  expect(messages()).toEqual(['Sweep “sweep sweep-a” has ended: 49 succeeded, 1 failed']);
  expect(Notification.manager.notifications[0]?.type).toBe('error');
});

test('a sweep that goes on well is no news', async () => {
  addSweep(5);
  gateway.sweeps.set('sweep-a', makeSweep('sweep-a', 0, { counts: { succeeded: 1, running: 4 } }));
  gateway.end('job-00000', 'succeeded');
  await settle();
  expect(messages()).toEqual([]);
  expect(ended.unseen.value.size).toBe(1);
});

test('many jobs of no sweep are told of together, by one question', async () => {
  for (let number = 0; number < 9; number += 1) {
    gateway.add(makeJob(number, { state: 'running' }));
  }
  for (let number = 0; number < 9; number += 1) {
    gateway.end(`job-0000${number}`, number === 0 ? 'cancelled' : 'succeeded');
  }
  await settle();
  expect(messages()).toEqual(['9 jobs have ended: 8 succeeded, 1 cancelled']);
  expect(gateway.asked).toEqual(['/api/v1/jobs']);
});

test('what has ended counts until somebody looks, what goes on after all does not', () => {
  gateway.add(makeJob(1, { state: 'running' }), makeJob(2, { state: 'running' }));
  gateway.end('job-00001', 'succeeded');
  gateway.end('job-00002', 'lost');
  expect(ended.unseen.value.size).toBe(2);
  gateway.say('state', 'job-00002', { to: 'running' });
  expect([...ended.unseen.value]).toEqual(['job-00001']);
  ended.see();
  expect(ended.unseen.value.size).toBe(0);
});
