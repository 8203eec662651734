import { expect, test } from 'vitest';

import type { State } from '../../src/api/models';
import { verbsOf } from '../../src/job/actions';
import { makeJob } from './fakes';

test.each<[State, string[]]>([
  ['draft', ['submit', 'launch', 'clone', 'delete']],
  ['accepted', ['cancel', 'hold', 'rerun', 'launch', 'clone']],
  ['queued', ['cancel', 'hold', 'rerun', 'launch', 'clone']],
  ['running', ['cancel', 'sync', 'rerun', 'launch', 'clone']],
  ['finalizing', ['cancel', 'sync', 'rerun', 'launch', 'clone']],
  ['succeeded', ['rerun', 'launch', 'clone', 'delete']],
  ['failed', ['rerun', 'launch', 'clone', 'delete']],
  ['lost', ['rerun', 'launch', 'clone', 'delete']],
])('a job that is %s allows what the gateway would not refuse', (state, verbs) => {
  expect(verbsOf(makeJob({ state }))).toEqual(verbs);
});

test('only a job that cannot be seen can be given up', () => {
  expect(verbsOf(makeJob({ state: 'unknown', last_state: 'running' }))).toContain('abandon');
});

test('a job that is asked to stop is not asked again', () => {
  const job = makeJob({ cancel_requested_at: '2026-01-01T10:00:00Z' });
  expect(verbsOf(job)).not.toContain('cancel');
});

test('a held job can be released, and not be held again', () => {
  const verbs = verbsOf(makeJob({ state: 'held', hold: true }));
  expect(verbs).toContain('release');
  expect(verbs).not.toContain('hold');
});
