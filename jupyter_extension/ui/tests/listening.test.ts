import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Signal } from '@lumino/signaling';

import { Problem } from '../src/api/problems';
import type { Requests } from '../src/api/requests';
import type { Reader, Socket } from '../src/api/socket';
import { Jobs } from '../src/state/jobs';

class OneSocket {
  readers: Reader[] = [];
  connected = true;
  connectedChanged = new Signal<this, boolean>(this);
  read(reader: Reader): () => void {
    this.readers.push(reader);
    return () => undefined;
  }
}

const get = vi.fn(() => Promise.resolve({ id: 'j', version: 1 }));
let socket: OneSocket;
let jobs: Jobs;

beforeEach(() => {
  vi.useFakeTimers();
  get.mockClear();
  socket = new OneSocket();
  jobs = new Jobs({ get } as unknown as Requests, socket as unknown as Socket);
  jobs.listen();
  socket.connectedChanged.emit(true);
});

afterEach(() => {
  jobs.dispose();
  vi.useRealTimers();
});

function refuse(status: number): void {
  socket.readers.at(-1)?.onProblem?.(
    new Problem({
      type: 'x',
      title: 'x',
      status,
      detail: 'x',
      instance: null,
      code: 'x',
    } as never),
  );
}

test('a stream of events that was refused is asked for again, with growing pauses', () => {
  refuse(429);
  expect(jobs.live.value).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(socket.readers).toHaveLength(2);
  refuse(429);
  vi.advanceTimersByTime(1999);
  expect(socket.readers).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(socket.readers).toHaveLength(3);
});

test('what is shown counts as old until the stream says something, and is then asked for again', () => {
  jobs.watch('j');
  get.mockClear();
  const resumed = jobs.resumed.value;
  refuse(401);
  vi.advanceTimersByTime(1000);
  expect(jobs.live.value).toBe(false);
  socket.readers.at(-1)?.onBeat?.();
  expect(jobs.live.value).toBe(true);
  expect(jobs.resumed.value).toBe(resumed + 1);
  expect(get).toHaveBeenCalledTimes(1);
});

test('the stream goes on after the last event, or from now on where that one is not known any more', () => {
  socket.readers[0]?.onEvent?.({ id: '12', event: 'state', data: { job_id: null } });
  refuse(503);
  vi.advanceTimersByTime(1000);
  expect(socket.readers.at(-1)?.path()).toBe('/api/v1/events?after=12');
  refuse(422);
  vi.advanceTimersByTime(2000);
  expect(socket.readers.at(-1)?.path()).toBe('/api/v1/events?new=true');
});

test('a page that is closed asks for nothing more', () => {
  refuse(503);
  jobs.dispose();
  vi.advanceTimersByTime(100_000);
  expect(socket.readers).toHaveLength(1);
});
