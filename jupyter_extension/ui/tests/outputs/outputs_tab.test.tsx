import { act, fireEvent, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { COMMANDS } from '../../src/commands';
import { OutputsTab } from '../../src/outputs/outputs_tab';
import { FakeOutputs, layOut, makeJob, show } from './parts';

let number = 0;

beforeEach(() => {
  layOut();
  number += 1;
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is remembered of a job stays while the page lives, so that each test has a job of its own. */
function open(gateway: FakeOutputs, change: Parameters<typeof makeJob>[0] = {}): void {
  show(gateway.panel(), <OutputsTab job={makeJob({ id: `job-${number}`, ...change })} />);
}

function rows(): string[] {
  return screen
    .getAllByRole('treeitem')
    .map(row => row.querySelector('.sg-tree-name')?.textContent ?? '');
}

test('the tree is read with names, counts, sizes and marks, and opens by keyboard', async () => {
  const gateway = new FakeOutputs();
  gateway.put('VTK/a_0.vtk', '12345');
  gateway.put('log.cavity', 'Time = 1\n');
  open(gateway);
  const tree = await screen.findByRole('tree', { name: 'Outputs of cavity' });
  expect(rows()).toEqual(['VTK', 'log.cavity']);
  expect(within(tree).getByText('partial')).toBeTruthy();
  expect(screen.getByText('results: partial so far')).toBeTruthy();
  fireEvent.focus(tree);
  fireEvent.keyDown(tree, { key: 'ArrowRight' });
  await waitFor(() => {
    expect(rows()).toEqual(['VTK', 'a_0.vtk', 'log.cavity']);
  });
  const folder = screen.getAllByRole('treeitem')[0];
  expect(folder?.getAttribute('aria-expanded')).toBe('true');
  expect(screen.getAllByRole('treeitem')[1]?.getAttribute('aria-level')).toBe('2');
});

test('a chosen text is read in part, and by its address only', async () => {
  const gateway = new FakeOutputs();
  gateway.put('log.cavity', 'Time = 1\n<img src=x onerror=alert(1)>\n');
  open(gateway);
  fireEvent.click(await screen.findByText('log.cavity'));
  expect(await screen.findByText('<img src=x onerror=alert(1)>')).toBeTruthy();
  expect(gateway.ranges).toEqual(['log.cavity bytes=0-1048575']);
  expect(document.querySelector('.sg-look img')).toBeNull();
});

test('pages are never rendered, and can be read as text', async () => {
  const gateway = new FakeOutputs();
  gateway.put('report.html', '<h1>hello</h1><script>window.hacked = 1</script>');
  open(gateway);
  fireEvent.click(await screen.findByText('report.html'));
  expect(await screen.findByText(/Pages of a job are not shown/)).toBeTruthy();
  expect(gateway.ranges).toEqual([]);
  fireEvent.click(screen.getByRole('button', { name: 'Show as text' }));
  expect(await screen.findByText(/<h1>hello<\/h1>/)).toBeTruthy();
  expect(document.querySelector('.sg-look h1, .sg-look script, iframe')).toBeNull();
});

test('images are elements with an address of this server, side by side where several are chosen', async () => {
  const gateway = new FakeOutputs();
  gateway.put('a b#.svg', '<svg/>');
  gateway.put('b.png', 'png');
  open(gateway);
  fireEvent.click(await screen.findByText('a b#.svg'));
  fireEvent.click(screen.getByText('b.png'), { ctrlKey: true });
  const images = await screen.findAllByRole('img');
  expect(images.map(image => image.getAttribute('alt'))).toEqual(['a b#.svg', 'b.png']);
  expect(images[0]?.getAttribute('src')).toMatch(
    /^http:\/\/127\.0\.0\.1:1\/lab-root\/science-gateway\/api\/v1\/jobs\/job\/outputs\/a%20b%23\.svg\?store=results#/,
  );
  expect(document.querySelector('svg script')).toBeNull();
});

test('a table has headers, and its numbers stand as such', async () => {
  const gateway = new FakeOutputs();
  gateway.put('r.csv', 'time,p\n0,1.5\n1,2\n');
  open(gateway);
  fireEvent.click(await screen.findByText('r.csv'));
  const table = await screen.findByRole('table', { name: 'r.csv' });
  await within(table).findByText('1.5');
  expect(
    within(table)
      .getAllByRole('columnheader')
      .map(cell => cell.textContent),
  ).toEqual(['Row', 'time', 'p']);
  expect(screen.getByText('2 rows')).toBeTruthy();
});

test('a JSON document is a tree of buttons, and a broken one is text', async () => {
  const gateway = new FakeOutputs();
  gateway.put('a.json', '{"mesh": {"cells": [1, 2]}, "name": "<b>"}');
  gateway.put('b.json', '{"mesh": ');
  open(gateway);
  fireEvent.click(await screen.findByText('a.json'));
  const branch = await screen.findByRole('button', { name: /cells: \[2 items\]/ });
  expect(branch.getAttribute('aria-expanded')).toBe('false');
  expect(screen.getByText('"<b>"')).toBeTruthy();
  fireEvent.click(screen.getByText('b.json'));
  expect(await screen.findByText(/Shown as text/)).toBeTruthy();
});

test('without WebGL a data set is told in words', async () => {
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null);
  const gateway = new FakeOutputs();
  const text = `# vtk DataFile Version 3.0\nt\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 2 2 1\nORIGIN 0 0 0
SPACING 1 1 1\nPOINT_DATA 4\nSCALARS p float\nLOOKUP_TABLE default\n1 2 3 4\n`;
  gateway.put('a_1.vtk', text);
  gateway.put('a_2.vtk', text);
  open(gateway);
  fireEvent.click(await screen.findByText('a_1.vtk'));
  expect(await screen.findByText(/no WebGL/, undefined, { timeout: 20_000 })).toBeTruthy();
  expect(screen.getByText(/4 points, 1 cells/)).toBeTruthy();
  expect(screen.getByText('1 … 4')).toBeTruthy();
  expect(await screen.findByRole('slider', { name: 'Time step' })).toBeTruthy();
}, 30_000);

test('a file that is not what its name says is refused with the reason', async () => {
  const gateway = new FakeOutputs();
  gateway.put('a.vtk', 'PK');
  open(gateway);
  fireEvent.click(await screen.findByText('a.vtk'));
  expect(await screen.findByText(/not a legacy VTK file/)).toBeTruthy();
});

test('files that come are shown without closing or choosing anything else', async () => {
  const gateway = new FakeOutputs();
  gateway.put('VTK/a_0.vtk', 'x');
  gateway.put('log', 'one\n');
  open(gateway, { id: 'job' });
  fireEvent.doubleClick(await screen.findByText('VTK'));
  fireEvent.click(await screen.findByText('log'));
  await screen.findByText('one');
  gateway.put('VTK/a_1.vtk', 'x');
  gateway.put('log', 'one\ntwo\n');
  act(() => gateway.say('outputs', { store: 'results', count: 2, new: ['VTK/a_1.vtk', 'log'] }));
  expect(await screen.findByText('a_1.vtk', undefined, { timeout: 5000 })).toBeTruthy();
  expect(await screen.findByText('two', undefined, { timeout: 5000 })).toBeTruthy();
  const chosen = screen.getAllByRole('treeitem', { selected: true });
  expect(chosen.map(row => row.querySelector('.sg-tree-name')?.textContent)).toEqual(['log']);
});

test('a filter finds files in folders that were never opened', async () => {
  const gateway = new FakeOutputs();
  gateway.put('VTK/walls/w_0.vtk', 'x');
  gateway.put('log', 'x');
  open(gateway);
  await screen.findByText('log');
  fireEvent.change(screen.getByLabelText('Filter by a pattern'), { target: { value: '*.vtk' } });
  expect(await screen.findByText('VTK/walls/w_0.vtk')).toBeTruthy();
  expect(screen.getByText('1 of 2 files match')).toBeTruthy();
});

test('what one can do with files goes through addresses and commands', async () => {
  const gateway = new FakeOutputs();
  gateway.put('VTK/a.vtk', 'x');
  gateway.put('log', 'x');
  open(gateway);
  const clicked: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    clicked.push(this.href.replace(/^.*\/api\/v1/, ''));
  });
  fireEvent.click(await screen.findByText('log'));
  fireEvent.click(await screen.findByRole('button', { name: 'Open log in a notebook' }));
  expect(gateway.run).toHaveBeenCalledWith(COMMANDS.openInNotebook, {
    job: 'job',
    path: 'log',
    store: 'results',
  });
  fireEvent.click(screen.getByRole('button', { name: 'Download all' }));
  fireEvent.click(screen.getByText('VTK'), { shiftKey: true });
  fireEvent.click(screen.getByRole('button', { name: 'Download 2 chosen' }));
  await waitFor(() => {
    expect(clicked).toHaveLength(3);
  });
  expect(clicked).toEqual([
    `/jobs/job-${number}/archive?store=results`,
    `/jobs/job-${number}/archive?prefix=VTK%2F&store=results`,
    `/jobs/job-${number}/outputs/log?store=results`,
  ]);
  fireEvent.click(screen.getByRole('button', { name: 'Sync now' }));
  await waitFor(() => {
    expect(gateway.posted).toEqual([`/api/v1/jobs/job-${number}/sync`]);
  });
});

test('an ended job says when its outputs are not complete', async () => {
  open(new FakeOutputs(), { state: 'succeeded' });
  expect(await screen.findByText('results: incomplete')).toBeTruthy();
  expect(screen.getByText('The job left no outputs in this store.')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Sync now' })).toBeNull();
});
