import { fireEvent, screen, waitFor, within } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';

import type { JobRetention, Verification } from '../../src/api/models';
import { COMMANDS } from '../../src/commands';
import { OutputsTab } from '../../src/outputs/outputs_tab';
import { patternOf } from '../../src/outputs/pattern';
import { outputFile } from './gateway';
import { FakeOutputs, layOut, makeJob, show } from './parts';

let number = 0;

beforeEach(() => {
  layOut();
  number += 1;
});

const stored = { state: 'complete', count: 2, bytes: 20, verified_at: null, verdict: null };

function openEnded(gateway: FakeOutputs): string {
  const id = `ended-${number}`;
  const outputs = { ...stored, stores: { results: stored } };
  const job = makeJob({ id, state: 'succeeded', outputs: outputs as never });
  show(gateway.panel(), <OutputsTab job={job} />);
  return `/api/v1/jobs/${id}`;
}

function verification(change: Partial<Verification>): Verification {
  return {
    job_id: 'job',
    store: 'results',
    state: 'done',
    verdict: null,
    sample: null,
    signature: 'good',
    key: 'abc=',
    completeness: 'complete',
    started_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-01-01T00:00:01Z',
    ended_at: '2026-01-01T00:00:01Z',
    files: 2,
    files_checked: 2,
    bytes: 20,
    bytes_checked: 20,
    kept: 0,
    retired: 0,
    counts: { ok: 2 },
    problem: null,
    findings: [],
    next_cursor: null,
    ...change,
  };
}

function retention(change: Partial<JobRetention> = {}): JobRetention {
  return {
    holds: [],
    own: null,
    works: [],
    coming: [],
    automatic: true,
    owners: false,
    going: 0,
    archived: 0,
    restoring: 0,
    folder: 'there',
    ...change,
  };
}

test('outputs are verified, and the verdict stands with what it rests on', async () => {
  const gateway = new FakeOutputs();
  const path = `${openEnded(gateway)}/verification`;
  fireEvent.click(screen.getByRole('button', { name: 'Verify…' }));
  const part = await screen.findByRole('region', { name: 'Verification' });
  await within(part).findByText(/Not verified yet/);
  gateway.replies.set(path, verification({ state: 'running', files_checked: 1, bytes_checked: 5 }));
  gateway.answers.set(
    path,
    verification({
      verdict: 'failed',
      counts: { ok: 1, tampered: 1 },
      findings: [{ path: 'VTK/a.vtk', result: 'tampered', detail: 'sha256:1 instead of sha256:2' }],
    }),
  );
  fireEvent.click(within(part).getByRole('button', { name: 'Verify every byte' }));
  await within(part).findByText('What is in the store is not what was signed.');
  expect(gateway.posted).toContain(path);
  expect(within(part).getByText('good')).toBeTruthy();
  expect(within(part).getByText('1 as signed, 1 changed')).toBeTruthy();
  const row = within(part).getByRole('row', { name: /VTK\/a\.vtk/ });
  expect(row.textContent).toContain('sha256:1 instead of sha256:2');
});

test('a verification that runs says how far it is, and can be stopped', async () => {
  const gateway = new FakeOutputs();
  const path = `${openEnded(gateway)}/verification`;
  gateway.answers.set(path, verification({ state: 'running', files_checked: 1, bytes_checked: 5 }));
  fireEvent.click(screen.getByRole('button', { name: 'Verify…' }));
  await screen.findByText(/1 of 2 files/);
  expect(screen.queryByRole('button', { name: 'Verify every byte' })).toBeNull();
  gateway.answers.set(path, verification({ state: 'cancelled' }));
  fireEvent.click(screen.getByRole('button', { name: 'Stop' }));
  await screen.findByText(/Stopped before its end/);
  expect(gateway.sent).toContain(`DELETE ${path}`);
});

test('what the rules will do is told, and a hold stands with its reason until it is released', async () => {
  const gateway = new FakeOutputs();
  const path = `${openEnded(gateway)}/retention`;
  const coming = {
    store: 'results',
    rule: 'scratch',
    action: 'delete' as const,
    tier: null,
    keep: ['VTK/**'],
    at: '2026-03-01T12:00:00Z',
    blocked: null,
  };
  gateway.answers.set(path, retention({ coming: [coming] }));
  fireEvent.click(screen.getByRole('button', { name: 'Keep or let go…' }));
  const rules = await screen.findByRole('list', { name: 'What the rules will do' });
  expect(rules.textContent).toMatch(
    /results: removed from .*2026.* on \(rule scratch\); all but VTK\/\*\*/,
  );
  const hold = { kind: 'owner' as const, by: 'ada', at: '2026-01-01T00:00:00Z', why: 'the paper' };
  const held = retention({ holds: [hold], coming: [{ ...coming, blocked: 'held by ada' }] });
  gateway.replies.set(`${path}/hold`, held);
  gateway.answers.set(path, held);
  fireEvent.change(screen.getByRole('textbox', { name: /held for/ }), {
    target: { value: 'the paper' },
  });
  fireEvent.click(screen.getByRole('button', { name: 'Hold the outputs' }));
  await screen.findByText(/Held by ada since/);
  expect(gateway.bodies).toContainEqual({ why: 'the paper' });
  expect(screen.getByText(/kept back now: held by ada/)).toBeTruthy();
  gateway.answers.set(path, retention());
  gateway.replies.set(`${path}/release`, retention());
  fireEvent.click(screen.getByRole('button', { name: 'Release' }));
  await screen.findByText('No rule removes or archives these outputs.');
});

test('an archived file says so, is not read, and is brought back', async () => {
  const gateway = new FakeOutputs();
  gateway.listing.files.set(
    'a[1].vtk',
    outputFile({ path: 'a[1].vtk', state: 'final', tier: 'Archive', archived: true }),
  );
  openEnded(gateway);
  fireEvent.click(await screen.findByText('a[1].vtk'));
  await screen.findByText(/This file is archived \(Archive\)/);
  expect(screen.queryByRole('button', { name: 'Download a[1].vtk' })).toBeNull();
  fireEvent.click(screen.getByRole('button', { name: 'Bring it back' }));
  await screen.findByText(/The store is bringing this file back/);
  expect(gateway.ranges).toEqual([]);
  expect(gateway.posted).toEqual(['/api/v1/jobs/job/retention/restore']);
  expect(gateway.bodies).toEqual([{ store: 'results', patterns: ['a\\[1\\].vtk'], urgent: false }]);
});

test('all that is archived is brought back, sooner where it is worth it', async () => {
  const gateway = new FakeOutputs();
  const path = `${openEnded(gateway)}/retention`;
  gateway.answers.set(path, retention({ archived: 3 }));
  fireEvent.click(screen.getByRole('button', { name: 'Keep or let go…' }));
  await screen.findByText(/3 outputs are archived/);
  fireEvent.click(screen.getByRole('checkbox', { name: /sooner/ }));
  const coming = retention({ archived: 3, restoring: 3 });
  gateway.replies.set(`${path}/restore`, coming);
  gateway.answers.set(path, coming);
  fireEvent.click(screen.getByRole('button', { name: 'Bring all back' }));
  await screen.findByText(/3 are on their way back/);
  expect(gateway.bodies).toEqual([{ store: 'results', urgent: true }]);
  expect(screen.queryByRole('button', { name: 'Bring all back' })).toBeNull();
});

test('a crate is downloaded from this server, and reproducing opens the comparison', async () => {
  const gateway = new FakeOutputs();
  const path = openEnded(gateway);
  const clicked: string[] = [];
  const click = vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    clicked.push(this.href);
  });
  fireEvent.click(screen.getByRole('button', { name: 'Download as RO-Crate' }));
  click.mockRestore();
  expect(clicked[0]).toMatch(/\/science-gateway\/api\/v1\/jobs\/ended-\d+\/crate\?format=zip/);
  gateway.replies.set(`${path}/rerun`, makeJob({ id: 'again' }));
  fireEvent.click(screen.getByRole('button', { name: 'Reproduce' }));
  await waitFor(() => {
    expect(gateway.run).toHaveBeenCalledWith(COMMANDS.compare, {
      ids: [`ended-${number}`, 'again'],
    });
  });
});

test('a job that has not ended has nothing to prove or to keep yet', () => {
  const gateway = new FakeOutputs();
  show(gateway.panel(), <OutputsTab job={makeJob({ id: `runs-${number}` })} />);
  expect(screen.queryByRole('button', { name: 'Verify…' })).toBeNull();
});

test('the pattern of a path fits that path only', () => {
  expect(patternOf('VTK/a*?[1]{x}\\.vtk')).toBe('VTK/a\\*\\?\\[1\\]\\{x\\}\\\\.vtk');
});
