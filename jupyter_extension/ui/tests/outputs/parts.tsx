/** A panel on a gateway that exists in memory only, for outputs and comparisons. */
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { render, type RenderResult } from '@testing-library/react';
import type { ReactNode } from 'react';
import { vi } from 'vitest';

import type { Event, Job } from '../../src/api/models';
import { Problem } from '../../src/api/problems';
import type { QueryValue, Requests } from '../../src/api/requests';
import type { Reader, Socket } from '../../src/api/socket';
import { COMMANDS } from '../../src/commands';
import { PanelContext, type Panel } from '../../src/panel';
import { Jobs } from '../../src/state/jobs';
import { Observable } from '../../src/state/observable';
import { FakeListing, outputFile } from './gateway';

const ROOT = 'http://127.0.0.1:1/lab-root/science-gateway';

export function makeJob(change: Partial<Job> = {}): Job {
  return {
    id: 'job',
    version: 1,
    name: 'cavity',
    state: 'running',
    target: 'here',
    stores: ['results'],
    values: {},
    tags: {},
    attempt: 1,
    outputs: {
      state: 'partial',
      count: 3,
      bytes: 30,
      stores: { results: { state: 'partial', count: 3, bytes: 30 } },
    },
    ...change,
  } as Job;
}

export class FakeOutputs {
  readonly listing = new FakeListing();
  readonly contents = new Map<string, string | Uint8Array>();
  readonly jobs = new Map<string, Job>();
  /** Answers to whatever else is asked, by path. */
  readonly answers = new Map<string, unknown>();
  readonly ranges: string[] = [];
  readonly posted: string[] = [];
  readonly bodies: unknown[] = [];
  readonly sent: string[] = [];
  /** Answers to what is posted, by path; a job where there is none. */
  readonly replies = new Map<string, unknown>();
  readonly run = vi.fn();
  private reader: Reader | null = null;
  private sequence = 0;

  put(path: string, content: string | Uint8Array): void {
    this.contents.set(path, content);
    this.listing.files.set(path, outputFile({ path, size: this.bytes(path).length }));
  }

  say(kind: string, data: Record<string, unknown>): void {
    this.sequence += 1;
    const event = {
      sequence: this.sequence,
      at: '',
      kind,
      data,
      job_id: 'job',
    } as unknown as Event;
    this.reader?.onEvent?.({ id: String(this.sequence), event: kind, data: event });
  }

  panel(): Panel {
    const requests = this.requests();
    const socket = {
      connectedChanged: new Signal<object, boolean>({}),
      read: (reader: Reader) => {
        this.reader = reader;
        return () => undefined;
      },
    } as unknown as Socket;
    const commands = new CommandRegistry();
    for (const id of Object.values(COMMANDS)) {
      commands.addCommand(id, { execute: args => this.run(id, args) as unknown });
    }
    const jobs = new Jobs(requests, socket);
    jobs.listen();
    return {
      requests,
      socket,
      jobs,
      status: new Observable(null),
      refreshStatus: () => Promise.resolve(),
      trans: nullTranslator.load('science-gateway'),
      commands,
      tabs: [],
      clock: new Observable(0),
      skew: () => 0,
    };
  }

  private bytes(path: string): Uint8Array {
    const content = this.contents.get(path) ?? '';
    return typeof content === 'string' ? new TextEncoder().encode(content) : content;
  }

  private requests(): Requests {
    const url = (path: string, query: Record<string, QueryValue> = {}): string => {
      const given = Object.entries(query).filter(
        ([, value]) => value !== undefined && value !== '',
      );
      const text = given
        .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
        .join('&');
      return ROOT + path + (text === '' ? '' : `?${text}`);
    };
    return {
      url,
      get: (path: string, query: Record<string, QueryValue> = {}) => this.get(path, query),
      post: (path: string, body?: unknown) => {
        this.posted.push(path);
        if (body !== undefined) {
          this.bodies.push(body);
        }
        return Promise.resolve(this.replies.get(path) ?? makeJob());
      },
      send: (method: string, path: string, options: { headers?: Record<string, string> }) => {
        this.sent.push(`${method} ${path}`);
        return this.send(path, options.headers?.Range ?? '');
      },
    } as unknown as Requests;
  }

  private get(path: string, query: Record<string, QueryValue>): Promise<unknown> {
    const [, id, what] = /^\/api\/v1\/jobs\/([^/]+)(?:\/(outputs))?$/.exec(path) ?? [];
    if (what === 'outputs') {
      const cursor = typeof query.cursor === 'string' ? query.cursor : null;
      const prefix = typeof query.prefix === 'string' ? query.prefix : '';
      return Promise.resolve(
        query.delimiter === '/'
          ? this.listing.page(prefix, cursor, Number(query.limit))
          : this.flat(prefix, id ?? ''),
      );
    }
    const found = this.answers.get(path) ?? (id && this.jobs.get(id));
    return found
      ? Promise.resolve(found)
      : Promise.reject(new Problem({ type: 'about:blank', title: 'not found', status: 404 }));
  }

  private flat(prefix: string, job: string): unknown {
    const files = [...this.listing.files.values()]
      .filter(file => file.path.startsWith(prefix))
      .map(file => ({ ...file, job_id: job }));
    return { prefix, folders: [], files, next_cursor: null };
  }

  private send(path: string, range: string): Promise<Response> {
    const name = decodeURIComponent(path.replace(/^.*\/outputs\//, ''));
    if (!path.includes('/outputs/')) {
      return Promise.resolve(new Response('{}'));
    }
    this.ranges.push(`${name} ${range}`);
    const bytes = this.bytes(name);
    const [, first, last] = (/bytes=(\d+)-(\d+)/.exec(range) ?? []).map(Number);
    const part = bytes.slice(first ?? 0, (last ?? bytes.length) + 1);
    if (part.length === 0) {
      return Promise.reject(new Problem({ type: 'about:blank', title: 'range', status: 416 }));
    }
    const headers = {
      'Content-Range': `bytes ${first ?? 0}-${(first ?? 0) + part.length - 1}/${bytes.length}`,
    };
    return Promise.resolve(new Response(part, { status: 206, headers }));
  }
}

/** Elements have a size, so that virtual lists draw something. */
export function layOut(): void {
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(480);
  vi.spyOn(Element.prototype, 'clientWidth', 'get').mockReturnValue(640);
}

export function show(panel: Panel, what: ReactNode): RenderResult {
  return render(<PanelContext.Provider value={panel}>{what}</PanelContext.Provider>);
}
