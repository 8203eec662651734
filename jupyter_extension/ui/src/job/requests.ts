/** The requests of the job view. */
import type { Event, EventPage, Job } from '../api/models';
import { postOnce } from '../api/once';
import { Problem } from '../api/problems';
import { address } from '../api/requests';
import type { Panel } from '../panel';
import type { Verb } from './actions';

/** Verbs that are one request without a body, answered with the job. */
export type Asked = Exclude<Verb, 'launch' | 'delete'>;

/** Ask for something; answers the job, which is a new one for `rerun` and `clone`. */
export async function ask(panel: Panel, job: Job, verb: Asked): Promise<Job> {
  const path = address('jobs', job.id, verb);
  const makesNew = verb === 'rerun' || verb === 'clone';
  try {
    const answer = makesNew
      ? await postOnce<Job>(panel.requests, path)
      : await panel.requests.post<Job>(path);
    panel.jobs.learn(answer);
    return answer;
  } catch (error) {
    void panel.jobs.refresh(job.id);
    throw error;
  }
}

/** How often a change is sent again because the gateway has noted something else meanwhile. */
const TRIES = 5;

/**
 * Change name, tags or notes, if nobody else has changed the same meanwhile. What the gateway notes itself, such as the
 * progress of a running job, makes a new version too and is in nobody's way.
 */
export async function change(
  panel: Panel,
  job: Job,
  patch: Record<string, unknown>,
): Promise<void> {
  const path = address('jobs', job.id);
  let known = job;
  for (let tries = 1; ; tries += 1) {
    try {
      const headers = { 'If-Match': `"${known.version}"` };
      panel.jobs.learn(await panel.requests.patch<Job>(path, patch, headers));
      return;
    } catch (error) {
      if (!(error instanceof Problem && error.status === 412) || tries === TRIES) {
        void panel.jobs.refresh(job.id);
        throw error;
      }
      known = await panel.requests.get<Job>(path);
      panel.jobs.learn(known);
      if (!isUntouched(patch, job, known)) {
        throw error;
      }
    }
  }
}

/** Whether what a patch is about is the same before and now. */
function isUntouched(patch: object, before: object, now: object): boolean {
  return Object.entries(patch).every(([key, value]) => {
    const [a, b] = [before, now].map(one => (one as Record<string, unknown>)[key]);
    return isObject(value) && isObject(a) && isObject(b) ? isUntouched(value, a, b) : a === b;
  });
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The events of a job after a sequence, all of them. */
export async function eventsAfter(panel: Panel, id: string, after: number): Promise<Event[]> {
  const found: Event[] = [];
  let last = after;
  for (;;) {
    const response = await panel.requests.send('GET', address('jobs', id, 'events'), {
      query: { after: last, limit: 5000 },
      headers: { Accept: 'application/json' },
    });
    const page = (await response.json()) as EventPage;
    found.push(...page.items);
    last = page.items.at(-1)?.sequence ?? last;
    if (!page.next_cursor) {
      return found;
    }
  }
}
