import { ServerConnection } from '@jupyterlab/services';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Socket } from '../src/api/socket';

class FakeWebSocket {
  static all: FakeWebSocket[] = [];
  sent: unknown[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor(readonly url: string) {
    FakeWebSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.onclose?.();
  }

  say(content: unknown): void {
    this.onmessage?.({ data: JSON.stringify(content) });
  }
}

function makeSocket(): Socket {
  const settings = ServerConnection.makeSettings({
    wsUrl: 'ws://127.0.0.1:1/',
    WebSocket: FakeWebSocket as unknown as typeof WebSocket,
  });
  return new Socket(settings);
}

function newest(): FakeWebSocket {
  const found = FakeWebSocket.all.at(-1);
  if (!found) {
    throw new Error('no connection was opened');
  }
  return found;
}

beforeEach(() => {
  FakeWebSocket.all = [];
  vi.useFakeTimers();
});

afterEach(() => {
  vi.clearAllTimers();
  vi.useRealTimers();
});

test('many readers share one connection', () => {
  const socket = makeSocket();
  socket.read({ path: () => '/api/v1/events' });
  socket.read({ path: () => '/api/v1/jobs/a/logs/stdout?follow=true' });
  expect(FakeWebSocket.all).toHaveLength(1);
  newest().say({ hello: { version: '1' } });
  expect(newest().sent).toEqual([
    { open: 1, path: '/api/v1/events' },
    { open: 2, path: '/api/v1/jobs/a/logs/stdout?follow=true' },
  ]);
});

test('a lost connection comes back and goes on where the reader was', () => {
  const socket = makeSocket();
  let offset = 0;
  const texts: string[] = [];
  socket.read({
    path: () => `/logs?offset=${offset}`,
    onText: (text, after) => {
      texts.push(text);
      offset = after;
    },
  });
  newest().say({ hello: { version: '1' } });
  newest().say({ stream: 1, text: 'abc', offset: 3 });
  newest().close();
  expect(socket.connected).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(FakeWebSocket.all).toHaveLength(2);
  newest().say({ hello: { version: '1' } });
  expect(newest().sent).toEqual([{ open: 1, path: '/logs?offset=3' }]);
  expect(texts).toEqual(['abc']);
});

test('a stream that has ended is not opened again', () => {
  const socket = makeSocket();
  const ended = vi.fn();
  socket.read({ path: () => '/logs', onEnd: ended });
  newest().say({ hello: { version: '1' } });
  newest().say({ stream: 1, end: true });
  newest().close();
  vi.advanceTimersByTime(1000);
  newest().say({ hello: { version: '1' } });
  expect(ended).toHaveBeenCalledOnce();
  expect(newest().sent).toEqual([]);
});

test('a connection without a word for a while counts as dead', () => {
  const socket = makeSocket();
  socket.read({ path: () => '/api/v1/events' });
  newest().say({ hello: { version: '1' } });
  expect(socket.connected).toBe(true);
  vi.advanceTimersByTime(46_000);
  expect(socket.connected).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(FakeWebSocket.all).toHaveLength(2);
});
