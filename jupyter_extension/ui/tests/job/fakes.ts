import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { vi } from 'vitest';

import type { Event, Job, Status, StoreOutputs } from '../../src/api/models';
import type { Requests } from '../../src/api/requests';
import type { Reader, Socket } from '../../src/api/socket';
import type { Panel } from '../../src/panel';
import { Jobs } from '../../src/state/jobs';
import { Observable } from '../../src/state/observable';

/** A store of which nothing is known. */
export const NOTHING_STORED: StoreOutputs = {
  state: 'none',
  count: 0,
  bytes: 0,
  backlog: null,
  backlog_files: null,
  oldest: null,
  lag: null,
  behind: false,
  problem: null,
  rescue_at: null,
  verdict: null,
  verified_at: null,
};

export function makeJob(changes: Partial<Job> = {}): Job {
  return {
    id: '11111111-2222-3333-4444-555555555555',
    version: 3,
    name: 'cavity Re=100',
    state: 'running',
    last_state: null,
    reason: null,
    message: null,
    owner: 'alice',
    project: null,
    case: null,
    case_version: null,
    values: {},
    sweep: null,
    sweep_index: null,
    rerun_of: null,
    after_success: [],
    after_end: [],
    hold: false,
    tags: {},
    notes: null,
    target: 'cluster',
    stores: ['blobs'],
    scheduler_id: '17',
    attempt: 1,
    created_at: '2026-01-01T10:00:00Z',
    queued_at: null,
    started_at: null,
    ended_at: null,
    observed_at: null,
    cancel_requested_at: null,
    exit_code: null,
    progress: null,
    outputs: { ...NOTHING_STORED, stores: {} },
    spec: null,
    links: { self: '', events: '', outputs: '', logs: '', script: '' },
    ...changes,
  } as Job;
}

export function makeEvent(
  sequence: number,
  at: string,
  kind: string,
  data: Record<string, unknown>,
): Event {
  const evidence = null;
  return { sequence, job_id: makeJob().id, at: `2026-01-01T${at}Z`, kind, data, evidence };
}

/** Requests that answer by method and path; what was asked stands in `asked`. */
export class FakeRequests {
  readonly asked: { method: string; path: string; options: Record<string, unknown> }[] = [];
  readonly answers = new Map<string, (options: Record<string, unknown>) => unknown>();

  on(method: string, path: string, answer: (options: Record<string, unknown>) => unknown): void {
    this.answers.set(`${method} ${path}`, answer);
  }

  url = (path: string): string => `/base/science-gateway${path}`;
  get = async (path: string, query: unknown = {}): Promise<unknown> =>
    this.answer('GET', path, { query });
  text = async (path: string, query: unknown = {}): Promise<unknown> =>
    this.answer('GET', path, { query });
  post = async (path: string, body?: unknown, options: object = {}): Promise<unknown> =>
    this.answer('POST', path, { ...options, body });
  patch = async (path: string, body: unknown, headers: unknown): Promise<unknown> =>
    this.answer('PATCH', path, { body, headers });
  delete = async (path: string): Promise<unknown> => this.answer('DELETE', path, {});
  send = async (method: string, path: string, options: Record<string, unknown>): Promise<unknown> =>
    this.answer(method, path, options);

  private async answer(
    method: string,
    path: string,
    options: Record<string, unknown>,
  ): Promise<unknown> {
    this.asked.push({ method, path, options });
    const found = this.answers.get(`${method} ${path}`);
    if (!found) {
      throw new Error(`nobody answers ${method} ${path}`);
    }
    return Promise.resolve(found(options));
  }
}

export class FakeSocket {
  readonly readers: Reader[] = [];
  connected = true;
  connectedChanged = { connect: vi.fn() };

  read(reader: Reader): () => void {
    this.readers.push(reader);
    return () => {
      const place = this.readers.indexOf(reader);
      if (place >= 0) {
        this.readers.splice(place, 1);
      }
    };
  }
}

export interface Fake {
  panel: Panel;
  requests: FakeRequests;
  socket: FakeSocket;
}

export function makePanel(): Fake {
  const requests = new FakeRequests();
  const socket = new FakeSocket();
  const jobs = new Jobs(requests as unknown as Requests, socket as unknown as Socket);
  jobs.live.set(true);
  const status: Status = {
    mode: 'embedded',
    state: 'ready',
    message: null,
    hint: null,
    url: null,
    lease: 'held',
    person: 'alice',
    role: 'admin',
    version: '1',
    can_add_targets: true,
  };
  const panel: Panel = {
    requests: requests as unknown as Requests,
    socket: socket as unknown as Socket,
    jobs,
    status: new Observable<Status | null>(status),
    refreshStatus: async () => Promise.resolve(),
    trans: nullTranslator.load('science-gateway'),
    commands: new CommandRegistry(),
    tabs: [],
    clock: new Observable(Date.parse('2026-01-01T11:00:00Z')),
    skew: () => 0,
  };
  return { panel, requests, socket };
}
