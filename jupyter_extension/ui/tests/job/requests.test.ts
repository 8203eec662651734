import { expect, test } from 'vitest';

import type { Job } from '../../src/api/models';
import { Problem } from '../../src/api/problems';
import { change } from '../../src/job/requests';
import { makeJob, makePanel } from './fakes';

const PATH = `/api/v1/jobs/${makeJob().id}`;

/** A gateway whose job becomes another one just before the first change arrives. */
function busyGateway(meanwhile: Partial<Job>): {
  panel: ReturnType<typeof makePanel>['panel'];
  now: () => Job;
} {
  const { panel, requests } = makePanel();
  let job = makeJob(meanwhile);
  requests.on('GET', PATH, () => job);
  requests.on('PATCH', PATH, options => {
    const { 'If-Match': wanted } = options.headers as Record<string, string>;
    if (wanted !== `"${job.version}"`) {
      throw new Problem({ type: 'about:blank', title: 'It was changed in between', status: 412 });
    }
    const { tags, ...rest } = options.body as Partial<Job>;
    job = { ...job, ...rest, tags: { ...job.tags, ...tags }, version: job.version + 1 };
    return job;
  });
  return { panel, now: () => job };
}

test('what the gateway notes meanwhile is in nobody’s way', async () => {
  const { panel, now } = busyGateway({ version: 9, tags: { other: 'one' } });
  await change(panel, makeJob(), { name: 'another name' });
  await change(panel, makeJob(), { tags: { study: 'lids' } });
  expect(now()).toMatchObject({ name: 'another name', tags: { other: 'one', study: 'lids' } });
});

test('what somebody else has changed meanwhile is not overwritten', async () => {
  const { panel, now } = busyGateway({ version: 9, name: 'theirs', tags: { study: 'theirs' } });
  for (const patch of [{ name: 'mine' }, { tags: { study: 'mine' } }]) {
    await expect(change(panel, makeJob(), patch)).rejects.toThrow('changed in between');
  }
  expect(now()).toMatchObject({ name: 'theirs', tags: { study: 'theirs' }, version: 9 });
  expect(panel.jobs.of(makeJob().id).value.job?.name).toBe('theirs');
});
