/** What a job spent its time on, from its events and times. Pure. */
import { ENDED, type Event, type Job, type State } from '../api/models';

export type Phase =
  | 'draft'
  | 'accepted'
  | 'staging'
  | 'queued'
  | 'held'
  | 'starting'
  | 'image'
  | 'running'
  | 'stopping'
  | 'sync'
  | 'finalizing'
  | 'unknown';

export interface Segment {
  phase: Phase;
  attempt: number;
  /** Milliseconds of the gateway's clock. */
  start: number;
  /** null: it goes on. */
  end: number | null;
}

/** From a time on, the job is in a phase; `weak` ones give way to what the job's own records say more exactly. */
interface Point {
  at: number;
  phase: Phase | 'resumed' | 'end';
  weak?: 'starting' | 'finalizing';
}

/** Phases of the job's own records that begin something; `pulled` ends the image. */
const BY_RECORD: Partial<Record<string, Phase>> = {
  claimed: 'starting',
  pulled: 'starting',
  running: 'running',
  stopping: 'stopping',
  saving: 'stopping',
  payload_ended: 'sync',
  syncing: 'sync',
  ended: 'finalizing',
};

/**
 * The phases of a job in their order, without holes. Times of the job's own records are by the node's clock: they
 * are kept between what the gateway itself saw before and after.
 */
export function timeline(job: Job, events: readonly Event[]): Segment[] {
  const segments: Segment[] = [];
  const attempts = byAttempt(events);
  if (attempts.length === 0) {
    return fromTimes(job);
  }
  attempts.forEach((own, index) => {
    for (const segment of segmentsOf(pointsOf(own), index + 1)) {
      const last = segments.at(-1);
      if (last) {
        last.end ??= segment.start;
        if (last.end < segment.start) {
          // It counted as lost, and was not.
          segments.push({ ...last, phase: 'unknown', start: last.end, end: segment.start });
        }
        if (
          last.phase === segment.phase &&
          last.attempt === segment.attempt &&
          last.end === segment.start
        ) {
          last.end = segment.end;
          continue;
        }
      }
      segments.push(segment);
    }
  });
  const last = segments.at(-1);
  if (last && ENDED.has(job.state) && last.end === null) {
    last.end = Math.max(last.start, job.ended_at ? Date.parse(job.ended_at) : last.start);
  }
  return segments;
}

/** How long a segment took, in seconds; until `now` where it goes on. */
export function secondsOf(segment: Segment, now: number): number {
  return Math.max(0, ((segment.end ?? now) - segment.start) / 1000);
}

function byAttempt(events: readonly Event[]): Event[][] {
  const groups: Event[][] = [];
  for (const event of [...events].sort((a, b) => a.sequence - b.sequence)) {
    const begins =
      event.kind === 'attempt' ||
      (event.kind === 'state' && event.data.from === 'finalizing' && event.data.to === 'staging');
    const group = groups.at(-1);
    if (!group || begins) {
      groups.push([event]);
    } else {
      group.push(event);
    }
  }
  return groups.filter(group =>
    group.some(event => event.kind === 'state' || event.kind === 'attempt'),
  );
}

function pointsOf(events: readonly Event[]): Point[] {
  const phases = new Set(
    events.filter(event => event.kind === 'phase').map(event => String(event.data.phase)),
  );
  const points: Point[] = [];
  let known = -Infinity; // what the gateway saw itself, before
  let record = -Infinity; // what the records said before
  for (const event of events) {
    const at = Date.parse(event.at);
    if (event.kind === 'state') {
      const point = ofState(event.data.to as State, event.data.from as State | null, at);
      if (point.weak && phases.has(point.weak === 'starting' ? 'claimed' : 'ended')) {
        continue;
      }
      points.push(point);
      if (!['running', 'finalizing', 'unknown'].includes(String(event.data.to))) {
        known = at;
        record = at;
      }
    } else if (event.kind === 'attempt') {
      points.push({ at, phase: 'staging' });
      known = record = at;
    } else if (event.kind === 'phase') {
      const phase = BY_RECORD[String(event.data.phase)];
      if (phase) {
        const said = Date.parse(String(event.data.at));
        record = Math.max(known, record, Math.min(at, Number.isNaN(said) ? at : said));
        if (event.data.phase === 'pulled') {
          imageUntil(points);
        }
        points.push({ at: record, phase });
      }
    } else if (event.kind === 'pull' && points.at(-1)?.phase === 'starting') {
      imageUntil(points);
    }
  }
  return points
    .map((point, index) => ({ point, index }))
    .sort(inTime)
    .map(({ point }) => point);
}

/** What was taken for the start was the pull of the image. */
function imageUntil(points: Point[]): void {
  const last = points.at(-1);
  if (last?.phase === 'starting') {
    last.phase = 'image';
  }
}

function inTime(a: { point: Point; index: number }, b: { point: Point; index: number }): number {
  return a.point.at - b.point.at || a.index - b.index;
}

function ofState(to: State, from: State | null, at: number): Point {
  if (ENDED.has(to)) {
    return { at, phase: 'end' };
  }
  if (to === 'running') {
    return from === 'unknown'
      ? { at, phase: 'resumed' }
      : { at, phase: 'starting', weak: 'starting' };
  }
  if (to === 'finalizing') {
    return { at, phase: 'finalizing', weak: 'finalizing' };
  }
  return { at, phase: to as Phase };
}

function segmentsOf(points: readonly Point[], attempt: number): Segment[] {
  const segments: Segment[] = [];
  let seen: Phase = 'running'; // the phase that an unknown one interrupted
  for (const point of points) {
    const last: Segment | undefined = segments.at(-1);
    if (point.phase === 'end') {
      if (last) {
        last.end = point.at;
      }
      continue;
    }
    const phase: Phase = point.phase === 'resumed' ? resumed(seen) : point.phase;
    if (last?.phase === phase && last.end === null) {
      continue;
    }
    if (last) {
      last.end ??= point.at;
    }
    if (phase !== 'unknown') {
      seen = phase;
    }
    segments.push({ phase, attempt, start: point.at, end: null });
  }
  return segments;
}

/** What a job is in that is seen to run again: at least its start. */
function resumed(before: Phase): Phase {
  return ['image', 'running', 'stopping', 'sync'].includes(before) ? before : 'starting';
}

/** The rough line, as long as no event is known. */
function fromTimes(job: Job): Segment[] {
  const marks: [Phase, string | null | undefined][] = [
    [job.state === 'draft' ? 'draft' : 'accepted', job.created_at],
    ['queued', job.queued_at],
    ['running', job.started_at],
  ];
  const segments: Segment[] = [];
  for (const [phase, time] of marks) {
    if (time) {
      const start = Math.max(Date.parse(time), segments.at(-1)?.start ?? -Infinity);
      const last = segments.at(-1);
      if (last) {
        last.end = start;
      }
      segments.push({ phase, attempt: 1, start, end: null });
    }
  }
  const last = segments.at(-1);
  if (last && job.ended_at) {
    last.end = Math.max(last.start, Date.parse(job.ended_at));
  }
  return segments;
}
