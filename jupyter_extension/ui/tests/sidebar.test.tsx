import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { PanelContext, type Panel } from '../src/panel';
import { SidebarModel } from '../src/sidebar/model';
import { Sidebar } from '../src/sidebar/sidebar';
import { BEGIN, FakeGateway, hear, makeJob, makeSweep, READY } from './sidebar_parts';

let gateway: FakeGateway;
let panel: Panel;
let model: SidebarModel;

beforeEach(() => {
  // A window in which twelve rows can be seen.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(576);
  vi.spyOn(Element.prototype, 'clientWidth', 'get').mockReturnValue(280);
  HTMLElement.prototype.scrollTo = () => undefined;
  vi.stubGlobal('requestIdleCallback', (call: () => void) => setTimeout(call));
  gateway = new FakeGateway();
  panel = gateway.panel();
});

afterEach(() => {
  model.dispose();
  vi.restoreAllMocks();
});

function open(): void {
  model = new SidebarModel(panel, () => undefined);
  render(
    <PanelContext.Provider value={panel}>
      <Sidebar model={model} />
    </PanelContext.Provider>,
  );
}

async function rowNamed(name: RegExp): Promise<HTMLElement> {
  return screen.findByRole('treeitem', { name });
}

test('a row says name, state in a word, target and age', async () => {
  gateway.add(makeJob(1, { name: 'cavity', state: 'failed' }));
  open();
  const row = await rowNamed(/cavity/);
  expect(row.textContent).toContain('failed');
  expect(row.textContent).toContain('here');
  expect(row.textContent).toContain('59 min ago');
  expect(screen.getByRole('tree', { name: 'Jobs, newest first' })).toBeTruthy();
});

test('a running job has a progress bar with a name', async () => {
  const progress = { value: 30, min: 0, max: 120, unit: null };
  gateway.add(makeJob(1, { name: 'cavity', state: 'running', progress }));
  open();
  const bar = await screen.findByRole('progressbar', { name: 'Progress of cavity' });
  expect(bar.getAttribute('aria-valuenow')).toBe('25');
});

test('unknown is shown as unknown, with the age of what is known', async () => {
  const observed_at = new Date(BEGIN + 3_600_000 - 12_000).toISOString();
  gateway.add(makeJob(1, { state: 'unknown', last_state: 'running', observed_at }));
  open();
  const row = await rowNamed(/job 1/);
  expect(row.textContent).toContain('unknown (running when last seen, 12 s ago)');
});

test('of a target that cannot be reached it is said when it was last heard of', async () => {
  const observed_at = new Date(BEGIN + 3_600_000 - 12_000).toISOString();
  gateway.targets = [{ ...gateway.targets[0], state: 'unreachable' } as never];
  gateway.add(makeJob(1, { state: 'running', observed_at }), makeJob(2, { state: 'succeeded' }));
  open();
  expect(
    (await screen.findByText('checked 12 s ago')).closest('[role=treeitem]')?.textContent,
  ).toContain('job 1');
});

test('while nothing can be heard every job that may change says how old it is', async () => {
  gateway.add(makeJob(1, { state: 'running' }), makeJob(2, { state: 'succeeded' }));
  open();
  const row = await rowNamed(/job 1/);
  expect(row.textContent).not.toContain('checked');
  act(() => panel.jobs.live.set(false));
  expect(row.textContent).toContain('checked 1 h ago');
  expect((await rowNamed(/job 2/)).textContent).not.toContain('checked');
  act(() => panel.jobs.live.set(true));
  expect(row.textContent).not.toContain('checked');
});

test('of ten thousand rows only those that can be seen are drawn', async () => {
  for (let number = 0; number < 100; number += 1) {
    gateway.add(makeJob(number));
  }
  open();
  await rowNamed(/job 99/);
  expect(screen.getAllByRole('treeitem').length).toBeLessThan(30);
  expect(screen.getAllByRole('treeitem')[0]?.getAttribute('aria-setsize')).toBe('100');
});

test('by keyboard: arrows, Space, Shift, Enter', async () => {
  gateway.add(makeJob(1), makeJob(2), makeJob(3));
  const opened = hear(panel, 'openJob');
  open();
  await rowNamed(/job 1/);
  const tree = screen.getByRole('tree');
  act(() => tree.focus());
  const active = (): string =>
    document.getElementById(tree.getAttribute('aria-activedescendant') ?? '')?.textContent ?? '';
  expect(active()).toContain('job 3');
  fireEvent.keyDown(tree, { key: 'ArrowDown' });
  expect(active()).toContain('job 2');
  fireEvent.keyDown(tree, { key: 'Enter' });
  expect(opened).toEqual([{ id: 'job-00002' }]);
  fireEvent.keyDown(tree, { key: ' ' });
  fireEvent.keyDown(tree, { key: 'ArrowDown', shiftKey: true });
  expect(screen.getAllByRole('treeitem', { selected: true })).toHaveLength(2);
  fireEvent.keyDown(tree, { key: 'Escape' });
  expect(screen.queryAllByRole('treeitem', { selected: true })).toHaveLength(0);
  fireEvent.keyDown(tree, { key: 'End' });
  expect(active()).toContain('job 1');
});

test('jobs that were chosen can be compared, and cancelled after a question', async () => {
  gateway.add(makeJob(1, { state: 'running' }), makeJob(2, { state: 'running' }), makeJob(3));
  const compared = hear(panel, 'compare');
  open();
  for (const name of [/job 1/, /job 2/, /job 3/]) {
    fireEvent.click(await rowNamed(name), { ctrlKey: true });
  }
  const bar = screen.getByRole('toolbar', { name: 'Chosen jobs' });
  expect(bar.textContent).toContain('3 chosen');
  fireEvent.click(within(bar).getByText('Compare'));
  expect(compared).toEqual([{ ids: ['job-00003', 'job-00002', 'job-00001'] }]);
  fireEvent.click(within(bar).getByText('Cancel…'));
  expect(await screen.findByText('Cancel 2 jobs?')).toBeTruthy();
  expect(gateway.posted).toEqual([]);
  fireEvent.click(screen.getByText('Cancel job'));
  await waitFor(() => {
    expect(gateway.posted).toEqual([['/api/v1/jobs/cancel', { ids: ['job-00002', 'job-00001'] }]]);
  });
});

test('a sweep says how many of its jobs are in which state, and opens', async () => {
  const sweep = 'sweep-a';
  gateway.add(makeJob(5, { sweep, sweep_index: 0, name: 'point 0' }));
  const counts = { running: 2, failed: 1 };
  gateway.sweeps.set(sweep, makeSweep(sweep, 5, { counts }));
  open();
  const row = await rowNamed(/sweep sweep-a/);
  expect(row.getAttribute('aria-expanded')).toBe('false');
  expect(row.textContent).toContain('2 running');
  expect(row.textContent).toContain('1 failed');
  fireEvent.click(row);
  expect((await rowNamed(/point 0/)).getAttribute('aria-level')).toBe('2');
  const tree = screen.getByRole('tree');
  fireEvent.keyDown(tree, { key: 'ArrowLeft' });
  await waitFor(() => {
    expect(screen.queryByText('point 0')).toBeNull();
  });
});

test('without a job there is a way to launch one, and without a target to add one', async () => {
  const launched = hear(panel, 'launch');
  const added = hear(panel, 'addTarget');
  open();
  fireEvent.click(await screen.findByText('Launch a job'));
  expect(launched).toEqual([{}]);
  gateway.targets = [];
  await act(() => model.targets.refresh());
  fireEvent.click(screen.getByText('Add a target, or run here'));
  expect(added).toEqual([{}]);
  expect(screen.queryByText('Launch a job')).toBeNull();
});

test('where nothing is like the filter it can be taken away', async () => {
  gateway.add(makeJob(1));
  open();
  await rowNamed(/job 1/);
  fireEvent.change(screen.getByLabelText('State'), { target: { value: 'failed' } });
  fireEvent.click(await screen.findByText('Show all jobs'));
  expect(await rowNamed(/job 1/)).toBeTruthy();
});

test('a search is asked for once nobody types any more', async () => {
  gateway.add(makeJob(1, { name: 'cavity' }), makeJob(2, { name: 'elbow' }));
  open();
  await rowNamed(/elbow/);
  gateway.asked = [];
  const field = screen.getByLabelText('Search for a name, notes or an id');
  for (const value of ['c', 'ca', 'cav']) {
    fireEvent.change(field, { target: { value } });
  }
  await waitFor(() => {
    expect(screen.queryByText('elbow')).toBeNull();
  });
  expect(gateway.asked).toEqual(['/api/v1/jobs']);
  expect(await rowNamed(/cavity/)).toBeTruthy();
});

test('a gateway that cannot be reached says why and what to do', () => {
  panel.status.set({ ...READY, state: 'unreachable', message: 'No route', hint: 'Ask Ada.' });
  open();
  expect(screen.getByText('The gateway cannot be reached')).toBeTruthy();
  expect(screen.getByText('No route')).toBeTruthy();
  expect(screen.getByText('Ask Ada.')).toBeTruthy();
  fireEvent.click(screen.getByText('Try again'));
  expect(panel.refreshStatus).toHaveBeenCalled();
});

test('a token is pasted once and goes to the server', async () => {
  panel.status.set({ ...READY, mode: 'remote', state: 'needs_token', url: 'https://gw' });
  open();
  const field = screen.getByLabelText('Token');
  fireEvent.change(field, { target: { value: ' secret ' } });
  fireEvent.click(screen.getByText('Connect'));
  await waitFor(() => {
    expect(panel.refreshStatus).toHaveBeenCalled();
  });
  expect(gateway.put).toHaveBeenCalledWith('token', { token: 'secret' });
  expect((field as HTMLInputElement).value).toBe('');
});

test('a viewer is offered nothing that changes anything', async () => {
  panel.status.set({ ...READY, role: 'viewer' });
  gateway.add(makeJob(1));
  open();
  fireEvent.click(await rowNamed(/job 1/), { ctrlKey: true });
  expect(screen.queryByText('New')).toBeNull();
  expect(screen.queryByText('Cancel…')).toBeNull();
});

test('every control has a name', async () => {
  gateway.add(makeJob(1));
  open();
  fireEvent.click(await rowNamed(/job 1/), { ctrlKey: true });
  fireEvent.click(screen.getByLabelText('More filters'));
  for (const role of ['button', 'textbox', 'searchbox', 'combobox'] as const) {
    for (const control of screen.queryAllByRole(role)) {
      const name = control.getAttribute('aria-label') ?? control.textContent;
      expect(name, control.outerHTML).not.toBe('');
    }
  }
});

test('names from outside are text and nothing else', async () => {
  gateway.add(makeJob(1, { name: '<img src=x onerror=alert(1)>' }));
  open();
  const row = await rowNamed(/<img/);
  expect(row.querySelector('img')).toBeNull();
});
