import { fireEvent, screen, waitFor } from '@testing-library/react';
import { File as NodeFile, type BlobPart } from 'node:buffer';
import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';

import type { CratePlan } from '../src/api/models';
import { openCrate } from '../src/launch/crate';
import { CrateForm } from '../src/launch/crate_form';
import { ZipFile } from '../src/launch/zip';
import { FakeOutputs, makeJob, show } from './outputs/parts';

interface Given {
  data: string;
  packed?: boolean;
  /** What the directory says of the size, where that is a lie. */
  size?: number;
}

/** A file as browsers have them; jsdom's own cannot be read. */
function file(parts: unknown[]): File {
  return new NodeFile(parts as BlobPart[], 'crate.zip') as unknown as File;
}

/** A zip file, as simple as they are. */
function zip(files: Record<string, Given>): File {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [path, given] of Object.entries(files)) {
    const name = new TextEncoder().encode(path);
    const plain = new TextEncoder().encode(given.data);
    const data = given.packed ? new Uint8Array(deflateRawSync(plain)) : plain;
    const size = given.size ?? plain.length;
    const head = new DataView(new ArrayBuffer(30));
    head.setUint32(0, 0x04034b50, true);
    head.setUint16(26, name.length, true);
    const entry = new DataView(new ArrayBuffer(46));
    entry.setUint32(0, 0x02014b50, true);
    entry.setUint16(10, given.packed ? 8 : 0, true);
    entry.setUint32(20, data.length, true);
    entry.setUint32(24, size, true);
    entry.setUint16(28, name.length, true);
    entry.setUint32(42, at, true);
    parts.push(new Uint8Array(head.buffer), name, data);
    directory.push(new Uint8Array(entry.buffer), name);
    at += 30 + name.length + data.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(10, Object.keys(files).length, true);
  end.setUint32(
    12,
    directory.reduce((sum, part) => sum + part.length, 0),
    true,
  );
  end.setUint32(16, at, true);
  const all = [...parts, ...directory, new Uint8Array(end.buffer)];
  return file(all);
}

const SOUND: Record<string, Given> = {
  'ro-crate-metadata.json': { data: '{"@graph": []}' },
  '.gateway/run.json': { data: '{"job": "old"}', packed: true },
  '.gateway/inputs/n.txt': { data: 'n is 7' },
};

test('a crate is read at the root of a zip file, and in the one folder of one', async () => {
  const inFolder = Object.fromEntries(
    Object.entries(SOUND).map(([name, given]) => [`job/${name}`, given]),
  );
  expect((await openCrate(zip(SOUND))).run).toEqual({ job: 'old' });
  const crate = await openCrate(zip(inFolder));
  expect([crate.run, crate.root]).toEqual([{ job: 'old' }, 'job/']);
});

test('what is no crate says why', async () => {
  await expect(openCrate(file(['hello']))).rejects.toThrow('no zip file');
  await expect(openCrate(zip({ x: { data: '' } }))).rejects.toThrow('no RO-Crate');
  const alone = { 'ro-crate-metadata.json': { data: '{"@graph": []}' } };
  await expect(openCrate(zip(alone))).rejects.toThrow('only crates that a Science Gateway made');
  const torn = { ...SOUND, '.gateway/run.json': { data: '{"job":' } };
  await expect(openCrate(zip(torn))).rejects.toThrow('is not JSON');
  const whole = await zip(SOUND).arrayBuffer();
  await expect(openCrate(file([whole.slice(60)]))).rejects.toThrow();
});

test('a file unpacks to no more than it may, whatever the archive says of it', async () => {
  const bomb = { big: { data: 'x'.repeat(100_000), packed: true, size: 5 } };
  const opened = await ZipFile.open(zip(bomb));
  await expect(opened.read('big', 1000)).rejects.toThrow('unpacks to more');
});

test('what will be done is read before it is done, and only what can be is offered', async () => {
  const gateway = new FakeOutputs();
  const plan: Partial<CratePlan> = {
    how: 'case',
    target: 'here',
    needed: [],
    missing: [],
    notes: ['queue is left out'],
  };
  gateway.replies.set('/api/v1/crates/plan', { ...plan, missing: ['the image is not here'] });
  gateway.replies.set('/api/v1/crates/run', makeJob({ id: 'again' }));
  const launched: string[] = [];
  show(
    gateway.panel(),
    <CrateForm onLaunched={({ job }) => launched.push(job)} onBack={() => undefined} />,
  );
  fireEvent.change(screen.getByLabelText('Crate'), { target: { files: [zip(SOUND)] } });
  await screen.findByText('the image is not here');
  const button = screen.getByRole('button', { name: 'Run it' });
  expect(button.hasAttribute('disabled')).toBe(true);
  gateway.replies.set('/api/v1/crates/plan', plan);
  fireEvent.click(screen.getByRole('checkbox', { name: /Another build/ }));
  await screen.findByText(/The same version of the case runs/);
  await waitFor(() => {
    expect(button.hasAttribute('disabled')).toBe(false);
  });
  fireEvent.click(button);
  await waitFor(() => {
    expect(launched).toEqual(['again']);
  });
  expect(gateway.bodies.at(-1)).toEqual({ run: { job: 'old' }, any_image: true });
});
