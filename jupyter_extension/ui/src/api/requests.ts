import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { readProblem, Unreachable } from './problems';

export type QueryValue = string | number | boolean | null | undefined | readonly string[];

/** How long a request may take before it counts as lost, in milliseconds. */
const PATIENCE = 60_000;

interface Options {
  query?: Record<string, QueryValue>;
  body?: unknown;
  /** Bytes instead of a JSON body. */
  raw?: Blob;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Milliseconds; 0 waits as long as it takes. */
  patience?: number;
}

/**
 * Requests to the gateway behind the Jupyter server. Credentials, XSRF token and base URL are ServerConnection's;
 * the browser never has a token of the gateway.
 */
export class Requests {
  constructor(
    readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings(),
    private readonly root = 'science-gateway',
  ) {}

  /** The address of something of the gateway's, such as `/api/v1/jobs`, for links and images too. */
  url(path: string, query: Record<string, QueryValue> = {}): string {
    return URLExt.join(this.settings.baseUrl, this.root, path) + queryText(query);
  }

  async get<T>(
    path: string,
    query: Record<string, QueryValue> = {},
    signal?: AbortSignal,
  ): Promise<T> {
    return (await this.json<T>('GET', path, { query, signal })) as T;
  }

  async post<T>(path: string, body?: unknown, options: Omit<Options, 'body'> = {}): Promise<T> {
    return (await this.json<T>('POST', path, { ...options, body })) as T;
  }

  async put<T>(path: string, body: unknown): Promise<T | null> {
    return this.json<T>('PUT', path, { body });
  }

  async patch<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    return (await this.json<T>('PATCH', path, { body, headers })) as T;
  }

  async delete(path: string): Promise<void> {
    await this.json('DELETE', path, {});
  }

  /** Text of a file or log; `range` is in bytes, the end included. */
  async text(
    path: string,
    query: Record<string, QueryValue> = {},
    range?: [number, number],
  ): Promise<string> {
    const headers: Record<string, string> = range ? { Range: `bytes=${range[0]}-${range[1]}` } : {};
    return (await this.send('GET', path, { query, headers })).text();
  }

  async bytes(
    path: string,
    query: Record<string, QueryValue> = {},
    signal?: AbortSignal,
  ): Promise<ArrayBuffer> {
    return (await this.send('GET', path, { query, signal, patience: 0 })).arrayBuffer();
  }

  /** Send a request; every answer but a good one becomes a `Problem`. */
  async send(method: string, path: string, options: Options): Promise<Response> {
    const url = this.url(path, options.query);
    const init: RequestInit = {
      method,
      headers: { ...options.headers },
      signal: withPatience(options),
    };
    if (options.body !== undefined) {
      init.body = JSON.stringify(options.body);
      init.headers = { ...options.headers, 'Content-Type': 'application/json' };
    }
    if (options.raw) {
      init.body = options.raw;
      init.headers = { 'Content-Type': 'application/octet-stream', ...options.headers };
    }
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, init, this.settings);
    } catch (error) {
      if (options.signal?.aborted) {
        throw error;
      }
      throw new Unreachable(error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) {
      throw readProblem(response.status, await response.text());
    }
    return response;
  }

  private async json<T>(method: string, path: string, options: Options): Promise<T | null> {
    const text = await (await this.send(method, path, options)).text();
    return text === '' ? null : (JSON.parse(text) as T);
  }
}

function withPatience(options: Options): AbortSignal | undefined {
  const patience = options.patience ?? PATIENCE;
  if (patience === 0) {
    return options.signal;
  }
  const limit = AbortSignal.timeout(patience);
  return options.signal ? AbortSignal.any([options.signal, limit]) : limit;
}

function queryText(query: Record<string, QueryValue>): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') {
      continue;
    }
    if (Array.isArray(value)) {
      if (value.length > 0) {
        found.set(name, value.join(','));
      }
    } else {
      found.set(name, String(value));
    }
  }
  const text = found.toString();
  return text === '' ? '' : `?${text}`;
}

/** Join parts of an address, each encoded, so that no name leads elsewhere. */
export function address(...parts: string[]): string {
  return (
    '/api/v1/' + parts.map(part => part.split('/').map(encodeURIComponent).join('/')).join('/')
  );
}
