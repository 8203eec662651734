import { expect, test, vi } from 'vitest';

import type { Event } from '../../src/api/models';
import { Happenings } from '../../src/job/happenings';
import { makeEvent, makeJob, makePanel } from './fakes';

const PATH = `/api/v1/jobs/${makeJob().id}/events`;

test('events that stream in while the old ones are read are neither lost nor doubled', async () => {
  const { panel, requests, socket } = makePanel();
  const all = [1, 2, 3, 4].map(number =>
    makeEvent(number, '10:00:00', 'progress', { value: number }),
  );
  let answer: (items: Event[]) => void = () => undefined;
  requests.on(
    'GET',
    PATH,
    () =>
      new Promise(resolve => {
        answer = items => resolve({ json: () => ({ items, next_cursor: null }) });
      }),
  );
  panel.jobs.listen();
  const happenings = new Happenings(panel, makeJob().id);
  const stream = socket.readers[0];
  await vi.waitFor(() => expect(requests.asked).toHaveLength(1));
  for (const event of all.slice(2)) {
    stream?.onEvent?.({ id: String(event.sequence), event: event.kind, data: event });
  }
  answer(all.slice(0, 3));
  await vi.waitFor(() => {
    expect(happenings.events.value.map(event => event.sequence)).toEqual([1, 2, 3, 4]);
  });
  happenings.dispose();
  panel.jobs.dispose();
});

test('after the stream was away, what happened meanwhile is read', async () => {
  const { panel, requests } = makePanel();
  const all = [1, 2].map(number => makeEvent(number, '10:00:00', 'state', { to: 'running' }));
  requests.on('GET', PATH, options => {
    const { after } = options.query as { after: number };
    const items = (requests.asked.length > 1 ? all : all.slice(0, 1)).filter(
      one => one.sequence > after,
    );
    return { json: () => ({ items, next_cursor: null }) };
  });
  const happenings = new Happenings(panel, makeJob().id);
  await vi.waitFor(() => expect(happenings.events.value).toHaveLength(1));
  panel.jobs.resumed.set(1);
  await vi.waitFor(() => expect(happenings.events.value).toHaveLength(2));
  expect(requests.asked[1]?.options.query).toMatchObject({ after: 1 });
  happenings.dispose();
});
