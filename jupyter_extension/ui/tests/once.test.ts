import { expect, test } from 'vitest';

import { postOnce } from '../src/api/once';
import { Problem, Unreachable } from '../src/api/problems';
import type { Requests } from '../src/api/requests';

function scripted(...answers: (Error | string)[]): { requests: Requests; keys: string[] } {
  const keys: string[] = [];
  const post = (_path: string, _body: unknown, options: { headers: Record<string, string> }) => {
    keys.push(options.headers['Idempotency-Key'] ?? '');
    const answer = answers.shift();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { requests: { post } as unknown as Requests, keys };
}

const refused = (status: number): Problem =>
  new Problem({ type: 'about:blank', title: 'no', status });

test('what was lost on the way is sent again under the same key, until it is answered', async () => {
  const lost = [new Unreachable('gone'), refused(502)];
  const { requests, keys } = scripted(...lost, 'made', 'another');
  await expect(postOnce(requests, '/jobs', { a: 1 })).rejects.toThrow('gone');
  await expect(postOnce(requests, '/jobs', { a: 1 })).rejects.toThrow('no');
  expect(await postOnce(requests, '/jobs', { a: 1 })).toBe('made');
  expect(await postOnce(requests, '/jobs', { a: 1 })).toBe('another');
  expect(new Set(keys.slice(0, 3)).size).toBe(1);
  expect(keys[3]).not.toBe(keys[0]);
});

test('another request, and one after a refusal, has a key of its own', async () => {
  const { requests, keys } = scripted(new Unreachable('gone'), 'other', refused(422), 'made');
  await expect(postOnce(requests, '/sweeps', { b: 1 })).rejects.toThrow('gone');
  await postOnce(requests, '/sweeps', { b: 2 });
  await expect(postOnce(requests, '/sweeps', { b: 3 })).rejects.toThrow('no');
  await postOnce(requests, '/sweeps', { b: 3 });
  expect(new Set(keys).size).toBe(4);
});
