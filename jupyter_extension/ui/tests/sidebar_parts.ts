/** A gateway that exists in memory only, and a panel on it. */
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { vi } from 'vitest';

import type { Event, Job, State, Status, Sweep, TargetInfo } from '../src/api/models';
import { Problem } from '../src/api/problems';
import type { QueryValue, Requests } from '../src/api/requests';
import type { Reader, Socket } from '../src/api/socket';
import { COMMANDS } from '../src/commands';
import type { Panel } from '../src/panel';
import { Jobs } from '../src/state/jobs';
import { Observable } from '../src/state/observable';

export const BEGIN = Date.parse('2026-01-01T00:00:00Z');

export function makeJob(number: number, change: Partial<Job> = {}): Job {
  return {
    id: `job-${String(number).padStart(5, '0')}`,
    version: 1,
    name: `job ${number}`,
    state: 'succeeded',
    target: 'here',
    sweep: null,
    sweep_index: null,
    tags: {},
    created_at: new Date(BEGIN + 1000 * number).toISOString(),
    ended_at: null,
    observed_at: null,
    cancel_requested_at: null,
    last_state: null,
    progress: null,
    message: null,
    ...change,
  } as Job;
}

export function makeSweep(id: string, number: number, change: Partial<Sweep> = {}): Sweep {
  return {
    id,
    version: 1,
    name: `sweep ${id}`,
    target: 'here',
    count: 3,
    state: 'running',
    counts: { running: 3 },
    created_at: new Date(BEGIN + 1000 * number).toISOString(),
    ...change,
  } as Sweep;
}

export const READY: Status = {
  mode: 'embedded',
  state: 'ready',
  message: null,
  hint: null,
  url: null,
  lease: 'held',
  person: 'ada',
  role: 'admin',
  version: '1',
  can_add_targets: true,
};

export class FakeGateway {
  jobs = new Map<string, Job>();
  sweeps = new Map<string, Sweep>();
  targets: TargetInfo[] = [{ name: 'here', state: 'ok' } as TargetInfo];
  asked: string[] = [];
  down = false;
  put = vi.fn(() => Promise.resolve(null));
  posted: [string, unknown][] = [];
  private sequence = 0;
  private reader: Reader | null = null;
  readonly connected = new Signal<object, boolean>({});

  add(...jobs: Job[]): void {
    jobs.forEach(job => this.jobs.set(job.id, job));
  }

  change(id: string, change: Partial<Job>): void {
    const job = this.jobs.get(id);
    if (job) {
      this.jobs.set(id, { ...job, ...change, version: job.version + 1 });
    }
  }

  say(kind: string, id: string | null, data: Record<string, unknown> = {}): void {
    this.sequence += 1;
    const at = new Date(BEGIN).toISOString();
    const event: Event = { sequence: this.sequence, job_id: id, at, kind, data, evidence: null };
    this.reader?.onEvent?.({ id: String(this.sequence), event: kind, data: event });
  }

  /** A job ends, and everybody hears of it. */
  end(id: string, state: State): void {
    this.change(id, { state, ended_at: new Date(BEGIN).toISOString() });
    this.say('state', id, { to: state });
  }

  readonly get = (path: string, query: Record<string, QueryValue> = {}): Promise<unknown> => {
    this.asked.push(path + (query.cursor ? ` from ${String(query.cursor)}` : ''));
    if (this.down) {
      const document = { type: 'about:blank', title: 'The gateway is away', status: 502 };
      return Promise.reject(new Problem(document));
    }
    return Promise.resolve().then(() => this.answer(path, query));
  };

  private answer(path: string, query: Record<string, QueryValue>): unknown {
    const [, , , what, id] = path.split('/');
    if (what === 'targets') {
      return { items: this.targets, next_cursor: null };
    }
    if (id) {
      const found = what === 'sweeps' ? this.sweeps.get(id) : this.jobs.get(id);
      if (!found) {
        throw new Problem({ type: 'about:blank', title: 'Not found', status: 404 });
      }
      return found;
    }
    const all = what === 'sweeps' ? [...this.sweeps.values()] : this.matching(query);
    const start = Number(query.cursor ?? 0);
    const limit = Number(query.limit);
    return {
      items: all.slice(start, start + limit),
      next_cursor: all.length > start + limit ? String(start + limit) : null,
    };
  }

  private matching(query: Record<string, QueryValue>): Job[] {
    const states = (query.state ?? []) as string[];
    const text = typeof query.q === 'string' ? query.q : '';
    const found = [...this.jobs.values()].filter(
      job =>
        (states.length === 0 || states.includes(job.state)) &&
        job.name.includes(text) &&
        (query.sweep === undefined || (job.sweep ?? 'none') === query.sweep),
    );
    return query.sort === 'sweep_index'
      ? found.sort((a, b) => (a.sweep_index ?? 0) - (b.sweep_index ?? 0))
      : found.sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  panel(): Panel {
    const requests = {
      get: this.get,
      put: this.put,
      post: (path: string, body: unknown) => {
        this.posted.push([path, body]);
        return Promise.resolve({ items: [], next_cursor: null });
      },
    } as unknown as Requests;
    const socket = {
      connected: true,
      connectedChanged: this.connected,
      heardAt: BEGIN,
      read: (reader: Reader) => {
        this.reader = reader;
        return () => undefined;
      },
    } as unknown as Socket;
    const jobs = new Jobs(requests, socket);
    jobs.live.set(true);
    jobs.listen();
    return {
      requests,
      socket,
      jobs,
      status: new Observable<Status | null>(READY),
      refreshStatus: vi.fn(() => Promise.resolve()),
      trans: nullTranslator.load('science-gateway'),
      commands: new CommandRegistry(),
      tabs: [],
      clock: new Observable(BEGIN + 3_600_000),
      skew: () => 0,
    };
  }
}

/** Stands in for a command of another feature; the answer has the arguments of each call. */
export function hear(panel: Panel, name: keyof typeof COMMANDS): unknown[] {
  const calls: unknown[] = [];
  panel.commands.addCommand(COMMANDS[name], {
    execute: args => {
      calls.push({ ...args });
    },
  });
  return calls;
}
