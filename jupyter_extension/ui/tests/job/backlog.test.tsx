import { fireEvent, render, screen } from '@testing-library/react';
import { expect, test } from 'vitest';

import type { Event, StoreOutputs } from '../../src/api/models';
import { Backlog } from '../../src/components/backlog';
import { verbsOf } from '../../src/job/actions';
import { JobContext, type JobPlace } from '../../src/job/context';
import { eventText } from '../../src/job/event_text';
import { EventsTab } from '../../src/job/events_tab';
import type { Happenings } from '../../src/job/happenings';
import { PanelContext } from '../../src/panel';
import { Observable } from '../../src/state/observable';
import { makeEvent, makeJob, makePanel, NOTHING_STORED } from './fakes';

function show(changes: Partial<StoreOutputs>): string {
  const { panel } = makePanel();
  const { container } = render(
    <PanelContext.Provider value={panel}>
      <Backlog store={{ ...NOTHING_STORED, ...changes }} />
    </PanelContext.Provider>,
  );
  return container.textContent;
}

test('nothing is said of a store of which nothing is missing, or nothing is known', () => {
  expect(show({})).toBe('');
  expect(show({ backlog: 0, backlog_files: 0, lag: 0 })).toBe('');
});

test('what is not copied yet is said with how long the oldest has waited', () => {
  const oldest = '2026-01-01T10:59:20Z';
  expect(show({ backlog: 12_000_000, backlog_files: 3, lag: 40, oldest })).toBe(
    '12.0 MB in 3 files not copied yet, the oldest for 40 s',
  );
  expect(screen.queryByRole('status')).toBeNull();
});

test('a store that is behind by minutes is a warning', () => {
  show({ backlog: 5, backlog_files: 1, lag: 600, oldest: '2026-01-01T10:50:00Z', behind: true });
  expect(screen.getByRole('status').textContent).toBe(
    'Behind: 5 B in 1 file not copied yet, the oldest for 10 min',
  );
});

test('where a pass cannot say how much there is, since when is said', () => {
  const oldest = '2026-01-01T10:59:00Z';
  expect(show({ lag: 60, oldest })).toBe('Something is not copied yet, the oldest for 1 min');
});

test('what an ended job waits for is said with the time of the next try', () => {
  const text = show({ problem: 'connection refused.', rescue_at: '2026-01-01T12:00:00Z' });
  expect(text).toMatch(/^connection refused\. Tried again at .*2026/);
  expect(show({ problem: 'given up' })).toBe('given up');
});

test('an ended job whose outputs are partial can be tried again', () => {
  const outputs = { ...NOTHING_STORED, state: 'partial' as const, stores: {} };
  const job = makeJob({ state: 'failed', started_at: '2026-01-01T10:00:00Z', outputs });
  expect(verbsOf(job)).toContain('sync');
  expect(verbsOf({ ...job, outputs: { ...outputs, state: 'complete' } })).not.toContain('sync');
});

test('an event that says how far behind a store is reads as a sentence', () => {
  const { trans } = makePanel().panel;
  const text = (data: Record<string, unknown>): string =>
    eventText(makeEvent(1, '10:00:00', 'backlog', { store: 'blobs', ...data }), trans);
  expect(text({ behind: true, lag: 130, bytes: 5 })).toBe(
    '5 B not yet in blobs, the oldest for 2 min',
  );
  expect(text({ behind: true, lag: 130, bytes: null })).toBe('blobs is behind by 2 min');
  expect(text({ behind: false, lag: null })).toBe('blobs has everything again');
});

test('an event opens to what the gateway knows it by', () => {
  const { panel } = makePanel();
  const plain = makeEvent(1, '10:00:00', 'state', { from: 'queued', to: 'running' });
  const event: Event = { ...plain, evidence: { scheduler: { id: '17', phase: 'running' } } };
  const happenings = {
    events: new Observable<readonly Event[]>([event]),
    error: new Observable<Error | null>(null),
    loaded: new Observable(true),
  } as unknown as Happenings;
  const place: JobPlace = {
    happenings,
    confirm: async () => Promise.resolve(true),
    close: () => undefined,
  };
  render(
    <PanelContext.Provider value={panel}>
      <JobContext.Provider value={place}>
        <EventsTab job={makeJob()} />
      </JobContext.Provider>
    </PanelContext.Provider>,
  );
  expect(screen.queryByRole('region', { name: 'Evidence' })).toBeNull();
  const details = screen.getByRole('group');
  (details as HTMLDetailsElement).open = true;
  fireEvent(details, new window.Event('toggle'));
  expect(screen.getByRole('region', { name: 'Evidence' }).textContent).toContain('"phase"');
});
