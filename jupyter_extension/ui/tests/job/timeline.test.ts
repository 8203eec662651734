import { expect, test } from 'vitest';

import type { Event } from '../../src/api/models';
import { secondsOf, timeline } from '../../src/job/timeline';
import { forSeeds, type Random } from '../random';
import { makeEvent, makeJob } from './fakes';

const at = (time: string): number => Date.parse(`2026-01-01T${time}Z`);

const USUAL = [
  makeEvent(1, '10:00:00', 'state', { from: null, to: 'accepted' }),
  makeEvent(2, '10:00:01', 'state', { from: 'accepted', to: 'staging' }),
  makeEvent(3, '10:00:03', 'state', { from: 'staging', to: 'queued' }),
  makeEvent(4, '10:01:05', 'state', { from: 'queued', to: 'running' }),
  makeEvent(5, '10:01:05', 'phase', { phase: 'claimed', at: '2026-01-01T10:01:00Z' }),
  makeEvent(6, '10:01:05', 'pull', { bytes: 5, total: 10 }),
  makeEvent(7, '10:01:20', 'phase', { phase: 'pulled', at: '2026-01-01T10:01:15Z' }),
  makeEvent(8, '10:01:20', 'phase', { phase: 'running', at: '2026-01-01T10:01:16Z' }),
  makeEvent(9, '10:03:00', 'phase', { phase: 'payload_ended', at: '2026-01-01T10:02:56Z' }),
  makeEvent(10, '10:03:05', 'phase', { phase: 'ended', at: '2026-01-01T10:03:01Z' }),
  makeEvent(11, '10:03:05', 'state', { from: 'running', to: 'finalizing' }),
  makeEvent(12, '10:03:07', 'state', { from: 'finalizing', to: 'succeeded' }),
];
const ENDED_JOB = makeJob({ state: 'succeeded', ended_at: '2026-01-01T10:03:07Z' });

test('a usual job has each phase with its own length', () => {
  expect(timeline(ENDED_JOB, USUAL).map(one => [one.phase, secondsOf(one, 0)])).toEqual([
    ['accepted', 1],
    ['staging', 2],
    ['queued', 57],
    ['image', 15],
    ['starting', 1],
    ['running', 100],
    ['sync', 5],
    ['finalizing', 6],
  ]);
});

test('phases that came in one tick, behind the change of state, keep their own lengths', () => {
  const events = USUAL.map(event =>
    event.sequence >= 4 ? { ...event, at: USUAL[11]?.at ?? '' } : event,
  );
  const found = timeline(ENDED_JOB, events);
  expect(found.find(one => one.phase === 'running')).toMatchObject({
    start: at('10:01:16'),
    end: at('10:02:56'),
  });
});

test('a job that goes on has an open end, and counts until now', () => {
  const found = timeline(makeJob(), USUAL.slice(0, 8));
  expect(found.at(-1)).toMatchObject({ phase: 'running', end: null });
  expect(found.slice(-1).map(one => secondsOf(one, at('10:01:26')))).toEqual([10]);
});

test('what could not be seen is a phase of its own, and the one before goes on after it', () => {
  const events = [
    ...USUAL.slice(0, 8),
    makeEvent(9, '10:05:00', 'state', { from: 'running', to: 'unknown' }),
    makeEvent(10, '10:06:00', 'state', { from: 'unknown', to: 'running' }),
  ];
  expect(
    timeline(makeJob(), events)
      .slice(-3)
      .map(one => one.phase),
  ).toEqual(['running', 'unknown', 'running']);
});

test('a clock of the node that is wrong moves nothing outside what the gateway saw', () => {
  const events = USUAL.map(event =>
    event.kind === 'phase'
      ? { ...event, data: { ...event.data, at: '2031-05-05T00:00:00Z' } }
      : event,
  );
  const found = timeline(ENDED_JOB, events);
  expect(found.at(0)?.start).toBe(at('10:00:00'));
  expect(found.at(-1)?.end).toBe(at('10:03:07'));
});

test('each attempt has its own phases', () => {
  const events = [
    ...USUAL.slice(0, 11),
    makeEvent(12, '10:03:10', 'state', { from: 'finalizing', to: 'staging' }),
    makeEvent(13, '10:03:20', 'state', { from: 'staging', to: 'queued' }),
  ];
  const found = timeline(makeJob({ state: 'queued', attempt: 2 }), events);
  expect(found.filter(one => one.attempt === 2).map(one => one.phase)).toEqual([
    'staging',
    'queued',
  ]);
  expect(found.at(-1)?.end).toBeNull();
});

test('without events the times of the job are the line', () => {
  const job = makeJob({
    queued_at: '2026-01-01T10:00:10Z',
    started_at: '2026-01-01T10:00:30Z',
  });
  expect(timeline(job, []).map(one => one.phase)).toEqual(['accepted', 'queued', 'running']);
});

const STATES = [
  'accepted',
  'staging',
  'queued',
  'held',
  'running',
  'finalizing',
  'unknown',
  'lost',
];
const PHASES = [
  'claimed',
  'pulled',
  'running',
  'stopping',
  'payload_ended',
  'syncing',
  'ended',
  'x',
];

function anyEvents(random: Random): Event[] {
  const events: Event[] = [];
  let time = Date.parse('2026-01-01T10:00:00Z');
  let state: string | null = null;
  const count = random.below(30);
  for (let number = 1; number <= count; number += 1) {
    time += random.below(20_000);
    const when = new Date(time).toISOString();
    const node = new Date(time + random.below(200_000) - 100_000).toISOString();
    const kind = random.pick(['state', 'state', 'phase', 'pull', 'attempt', 'progress']);
    const data: Record<string, unknown> = {};
    if (kind === 'state') {
      const to = random.pick(STATES);
      Object.assign(data, { from: state, to });
      state = to;
    } else if (kind === 'phase') {
      Object.assign(data, {
        phase: random.pick(PHASES),
        at: random.pick([node, when, 'nonsense']),
      });
    }
    events.push({ sequence: number, job_id: 'a', at: when, kind, data, evidence: null });
  }
  return events;
}

test('whatever happened, phases follow each other without a hole and none ends before it begins', () => {
  forSeeds(500, random => {
    const events = anyEvents(random);
    const found = timeline(makeJob(), events);
    found.forEach((one, index) => {
      const next = found[index + 1];
      expect(Number.isFinite(one.start)).toBe(true);
      if (one.end !== null) {
        expect(one.end).toBeGreaterThanOrEqual(one.start);
      }
      if (next) {
        expect(next.start).toBe(one.end);
      }
    });
  });
});

test('the order in which events were read changes nothing', () => {
  forSeeds(100, random => {
    const events = anyEvents(random);
    const shuffled = [...events].sort(() => random.below(3) - 1);
    expect(timeline(makeJob(), shuffled)).toEqual(timeline(makeJob(), events));
  });
});
