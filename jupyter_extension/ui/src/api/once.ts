import { UUID } from '@lumino/coreutils';

import { Problem, Unreachable } from './problems';
import type { QueryValue, Requests } from './requests';

/** Keys of requests whose answer was lost, by what was asked: asked again, they make nothing twice. */
const lost = new Map<string, string>();

/**
 * Ask for something new (a job, a sweep) so that it is made once: while it is not known what became of a request, the
 * same one is sent under the same key.
 */
export async function postOnce<T>(
  requests: Requests,
  path: string,
  body?: unknown,
  query: Record<string, QueryValue> = {},
): Promise<T> {
  const asked = JSON.stringify([path, query, body]);
  const key = lost.get(asked) ?? UUID.uuid4();
  try {
    const answer = await requests.post<T>(path, body, {
      headers: { 'Idempotency-Key': key },
      query,
    });
    lost.delete(asked);
    return answer;
  } catch (error) {
    if (error instanceof Unreachable || (error instanceof Problem && error.status >= 500)) {
      lost.set(asked, key);
    } else {
      lost.delete(asked);
    }
    throw error;
  }
}
