import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { expect, test, vi } from 'vitest';

import type { Job } from '../../src/api/models';
import { Problem } from '../../src/api/problems';
import { COMMANDS } from '../../src/commands';
import { JobContext, type JobPlace } from '../../src/job/context';
import { Happenings } from '../../src/job/happenings';
import { Overview } from '../../src/job/overview';
import { JobView } from '../../src/job/view';
import { PanelContext, type JobTab } from '../../src/panel';
import { Observable } from '../../src/state/observable';
import { makeEvent, makeJob, makePanel, NOTHING_STORED, type Fake } from './fakes';

const PATH = `/api/v1/jobs/${makeJob().id}`;

const TABS: JobTab[] = [
  { id: 'overview', rank: 1, label: () => 'Overview', render: job => <Overview job={job} /> },
  { id: 'late', rank: 3, label: () => 'Late', render: () => <p>late text</p> },
  {
    id: 'never',
    rank: 2,
    label: () => 'Never',
    applies: () => false,
    render: () => <p>never</p>,
  },
];

interface Shown extends Fake {
  confirm: ReturnType<typeof vi.fn>;
  close: ReturnType<typeof vi.fn>;
}

async function show(job: Job, prepare?: (fake: Fake) => void): Promise<Shown> {
  const fake = makePanel();
  fake.panel.tabs.push(...TABS);
  fake.requests.on('GET', PATH, () => job);
  fake.requests.on('GET', `${PATH}/events`, () => ({
    json: () => ({
      items: [makeEvent(1, '10:00:00', 'state', { from: null, to: 'accepted' })],
      next_cursor: null,
    }),
  }));
  prepare?.(fake);
  const confirm = vi.fn(async () => Promise.resolve(true));
  const close = vi.fn();
  const place: JobPlace = { happenings: new Happenings(fake.panel, job.id), confirm, close };
  fake.panel.jobs.watch(job.id);
  render(
    <PanelContext.Provider value={fake.panel}>
      <JobContext.Provider value={place}>
        <JobView id={job.id} tab={new Observable('overview')} shown={new Observable(true)} />
      </JobContext.Provider>
    </PanelContext.Provider>,
  );
  await screen.findByRole('tab', { name: 'Overview' });
  return { ...fake, confirm, close };
}

function asked(fake: Fake, method: string): { path: string; options: Record<string, unknown> }[] {
  return fake.requests.asked.filter(one => one.method === method);
}

test('tabs go by the keyboard, and those that do not apply are not there', async () => {
  await show(makeJob());
  const tabs = screen.getAllByRole('tab');
  expect(tabs.map(tab => tab.textContent)).toEqual(['Overview', 'Late']);
  fireEvent.keyDown(screen.getByRole('tab', { name: 'Overview' }), { key: 'ArrowRight' });
  expect(screen.getByRole('tab', { selected: true }).textContent).toBe('Late');
  expect(document.activeElement?.textContent).toBe('Late');
  expect(screen.getByRole('tabpanel').textContent).toBe('late text');
});

test('cancel asks first, and does nothing when the person leaves it', async () => {
  const fake = await show(makeJob());
  fake.requests.on('POST', `${PATH}/cancel`, () =>
    makeJob({ version: 4, cancel_requested_at: '2026-01-01T10:10:00Z' }),
  );
  fake.confirm.mockResolvedValueOnce(false);
  fireEvent.click(screen.getByRole('button', { name: 'Cancel…' }));
  await waitFor(() => expect(fake.confirm).toHaveBeenCalledOnce());
  expect(asked(fake, 'POST')).toEqual([]);
  await waitFor(() =>
    expect(screen.getByRole('button', { name: 'Cancel…' })).toHaveProperty('disabled', false),
  );
  fireEvent.click(screen.getByRole('button', { name: 'Cancel…' }));
  await screen.findByText('stopping');
  expect(screen.queryByRole('button', { name: 'Cancel…' })).toBeNull();
});

test('what the gateway refuses is said, with its hint', async () => {
  const fake = await show(makeJob({ state: 'queued' }));
  fake.requests.on('POST', `${PATH}/hold`, () => {
    throw new Problem({
      type: 'urn:science-gateway:problem:conflict',
      title: 'Conflict',
      status: 409,
      detail: 'its target has no queue',
      hint: 'cancel it instead',
    });
  });
  fireEvent.click(screen.getByRole('button', { name: 'Hold' }));
  const alert = await screen.findByRole('alert');
  expect(alert.textContent).toContain('its target has no queue');
  expect(alert.textContent).toContain('cancel it instead');
});

test('running again opens the new job', async () => {
  const fake = await show(makeJob({ state: 'succeeded' }));
  const opened = vi.fn();
  fake.panel.commands.addCommand(COMMANDS.openJob, { execute: args => opened(args) as unknown });
  fake.requests.on('POST', `${PATH}/rerun`, () => makeJob({ id: 'new', state: 'accepted' }));
  fireEvent.click(screen.getByRole('button', { name: 'Run again' }));
  await waitFor(() => expect(opened).toHaveBeenCalledWith({ id: 'new' }));
  expect(asked(fake, 'POST')[0]?.options.headers).toHaveProperty('Idempotency-Key');
});

test('a deleted job closes its view', async () => {
  const fake = await show(makeJob({ state: 'failed', reason: 'vanished' }));
  fake.requests.on('DELETE', PATH, () => null);
  fireEvent.click(screen.getByRole('button', { name: 'Delete…' }));
  await waitFor(() => expect(fake.close).toHaveBeenCalledOnce());
});

test('a failure shows its reason, and the last lines of the log as text', async () => {
  await show(
    makeJob({ state: 'failed', reason: 'exit_code', exit_code: 3, message: 'ended with 3' }),
    fake => {
      fake.requests.on(
        'GET',
        `${PATH}/logs/stderr`,
        () => '<img src=x onerror=alert(1)>\nFATAL: no cells\n',
      );
    },
  );
  const lines = await screen.findByText(/FATAL: no cells/);
  expect(lines.textContent).toBe('<img src=x onerror=alert(1)>\nFATAL: no cells');
  expect(document.querySelector('img')).toBeNull();
  expect(screen.getByRole('alert').textContent).toContain(
    'The program ended with an error (exit code 3)',
  );
});

test('the name is changed under the version that was seen', async () => {
  const fake = await show(makeJob());
  fake.requests.on('PATCH', PATH, () => makeJob({ version: 4, name: 'other' }));
  fireEvent.click(screen.getByRole('button', { name: 'Edit Name' }));
  const field = screen.getByRole('textbox', { name: 'Name' });
  fireEvent.change(field, { target: { value: 'other' } });
  fireEvent.keyDown(field, { key: 'Enter' });
  await waitFor(() =>
    expect(screen.getByRole('heading', { level: 2 }).textContent).toContain('other'),
  );
  expect(asked(fake, 'PATCH')[0]?.options).toEqual({
    body: { name: 'other' },
    headers: { 'If-Match': '"3"' },
  });
});

test('somebody who may only look sees no button that changes anything', async () => {
  await show(makeJob(), fake => {
    const status = fake.panel.status.value;
    fake.panel.status.set(status && { ...status, role: 'viewer' });
  });
  expect(screen.queryByRole('button', { name: 'Cancel…' })).toBeNull();
  expect(screen.queryByRole('button', { name: /Edit/ })).toBeNull();
});

test('without the stream the view says how old it is', async () => {
  const fake = await show(makeJob());
  expect(screen.queryByText(/not connected/)).toBeNull();
  act(() => fake.panel.jobs.live.set(false));
  expect(screen.getByText(/as of .* \(not connected\)/)).toBeTruthy();
});

test('a job that is not there is said to be so', async () => {
  const fake = makePanel();
  fake.requests.on('GET', PATH, () => {
    throw new Problem({
      type: 'urn:science-gateway:problem:not_found',
      title: 'Not found',
      status: 404,
    });
  });
  fake.panel.jobs.watch(makeJob().id);
  render(
    <PanelContext.Provider value={fake.panel}>
      <JobView id={makeJob().id} tab={new Observable('overview')} shown={new Observable(true)} />
    </PanelContext.Provider>,
  );
  expect(await screen.findByText(/There is no such job/)).toBeTruthy();
});

test('the time line, the stores and what was asked for can be read', async () => {
  const some = { ...NOTHING_STORED, state: 'partial' as const, count: 2, bytes: 1500 };
  await show(
    makeJob({
      outputs: { ...some, stores: { blobs: some } },
      spec: {
        command: ['solve', 'a b'],
        image: { ref: 'https://x/y.sif' },
        resources: { walltime: 600 },
      },
    }),
  );
  const line = await screen.findByRole('list', { name: 'Time line of cavity Re=100' });
  await waitFor(() => expect(line.textContent).toContain('accepted'));
  const outputs = screen.getByRole('region', { name: 'Outputs' });
  expect(within(outputs).getByText(/partial/)).toBeTruthy();
  expect(outputs.textContent).toContain('2 files, 1.5 kB');
  expect(screen.getByText("solve 'a b'")).toBeTruthy();
});
