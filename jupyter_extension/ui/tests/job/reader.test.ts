import { expect, test, vi } from 'vitest';

import { LogReader } from '../../src/job/log/reader';
import { makeJob, makePanel, type Fake } from './fakes';

const PATH = `/api/v1/jobs/${makeJob().id}/logs/stdout`;
const BEGINS_AGAIN = '\n--- the log was cut and begins again ---\n';

function serve(fake: Fake, log: Uint8Array): void {
  fake.requests.on('GET', PATH, options => {
    const { offset, limit } = options.query as { offset: number; limit: number };
    const start = offset < 0 ? Math.max(0, log.length + offset) : offset;
    const part = log.slice(start, start + limit);
    return {
      headers: new Headers({
        'X-Log-Offset': String(start + part.length),
        'X-Log-Size': String(log.length),
      }),
      arrayBuffer: async () => Promise.resolve(part.buffer),
    };
  });
}

function rows(reader: LogReader): string[] {
  return Array.from({ length: reader.buffer.length }, (_, row) => reader.buffer.text(row));
}

test('a log is read from its end, followed from there, and goes on there after a pause', async () => {
  const fake = makePanel();
  serve(fake, new TextEncoder().encode('one\ntwo\n'));
  const reader = new LogReader(fake.panel, makeJob().id, 'stdout');
  reader.start(false);
  await vi.waitFor(() => expect(fake.socket.readers).toHaveLength(1));
  expect(fake.socket.readers[0]?.path()).toBe(`${PATH}?follow=true&offset=8`);
  fake.socket.readers[0]?.onText?.('three\n', 14);
  expect(rows(reader)).toEqual(['one', 'two', 'three']);
  reader.pause();
  expect(fake.socket.readers).toHaveLength(0);
  reader.start(false);
  expect(fake.socket.readers[0]?.path()).toBe(`${PATH}?follow=true&offset=14`);
});

test('an ended job is read once, without a stream', async () => {
  const fake = makePanel();
  serve(fake, new TextEncoder().encode('done\n'));
  const reader = new LogReader(fake.panel, makeJob().id, 'stdout');
  reader.start(true);
  await vi.waitFor(() => expect(reader.loaded.value).toBe(true));
  expect(rows(reader)).toEqual(['done']);
  expect(fake.socket.readers).toHaveLength(0);
});

test('of a long log the end is shown, and older text comes whole when asked', async () => {
  const fake = makePanel();
  const lines = Array.from({ length: 120_000 }, (_, number) => `Zeile ${number} süß`);
  serve(fake, new TextEncoder().encode(`${lines.join('\n')}\n`));
  const reader = new LogReader(fake.panel, makeJob().id, 'stdout');
  reader.start(true);
  await vi.waitFor(() => expect(reader.loaded.value).toBe(true));
  expect(rows(reader).at(-1)).toBe(lines.at(-1));
  expect(reader.buffer.start).toBeGreaterThan(0);
  for (let step = 0; step < 5; step += 1) {
    await reader.loadOlder();
  }
  expect(reader.buffer.start).toBe(0);
  expect(rows(reader)).toEqual(lines);
});

test('a log that was written anew goes on by its own offsets', async () => {
  const fake = makePanel();
  serve(fake, new TextEncoder().encode('old text\n'));
  const reader = new LogReader(fake.panel, makeJob().id, 'stdout');
  reader.start(false);
  await vi.waitFor(() => expect(fake.socket.readers).toHaveLength(1));
  fake.socket.readers[0]?.onText?.(`${BEGINS_AGAIN}new\n`, 9 + BEGINS_AGAIN.length + 4);
  expect(fake.socket.readers[0]?.path()).toBe(`${PATH}?follow=true&offset=4`);
  expect(rows(reader).at(-1)).toBe('new');
});
