import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { Signal, type ISignal } from '@lumino/signaling';

import type { ProblemDocument } from './models';
import { Problem } from './problems';

/** What the server sends; see docs/jupyter.md. */
interface Message {
  hello?: { version: string };
  stream?: number;
  event?: { id: string; event: string; data: unknown };
  beat?: boolean;
  text?: string;
  offset?: number;
  end?: boolean;
  problem?: ProblemDocument;
}

export interface StreamEvent {
  id: string;
  event: string;
  data: unknown;
}

/** Somebody who reads one stream. `path` is asked again at every connection, so that it goes on where it was. */
export interface Reader {
  path: () => string;
  onEvent?: (event: StreamEvent) => void;
  onText?: (text: string, offset: number) => void;
  /** The stream is open, and there is nothing new. */
  onBeat?: () => void;
  /** The stream has come to its end: nothing more will be written. */
  onEnd?: () => void;
  /** The gateway refused the stream; it is not asked for again. */
  onProblem?: (problem: Problem) => void;
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
/** Without a word for so long the connection counts as dead: the gateway's own heartbeat is 15 s. */
const SILENCE = 45_000;

/**
 * The one connection of a page for everything that streams. It comes back by itself, with growing pauses, and opens
 * again what is still being read.
 */
export class Socket {
  private socket: WebSocket | null = null;
  private readonly readers = new Map<number, Reader>();
  private last = 0;
  private pause = FIRST_PAUSE;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private disposed = false;
  private open = false;
  private heard = Date.now();
  private readonly changed = new Signal<this, boolean>(this);

  constructor(
    private readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings(),
    private readonly root = 'science-gateway/socket',
  ) {}

  /** Whether streams arrive now. */
  get connected(): boolean {
    return this.open;
  }

  /** When the server last said something (milliseconds of this browser's clock). */
  get heardAt(): number {
    return this.heard;
  }

  get connectedChanged(): ISignal<this, boolean> {
    return this.changed;
  }

  /** Read a stream until the answer is called. */
  read(reader: Reader): () => void {
    const number = ++this.last;
    this.readers.set(number, reader);
    if (this.open) {
      this.send({ open: number, path: reader.path() });
    } else {
      this.connect();
    }
    return () => {
      if (this.readers.delete(number) && this.open) {
        this.send({ close: number });
      }
    };
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.readers.clear();
    this.socket?.close();
  }

  /** Try now instead of after the pause: the page became visible, or the network is back. */
  hurry(): void {
    if (!this.open && !this.disposed) {
      this.pause = FIRST_PAUSE;
      clearTimeout(this.timer);
      this.timer = undefined;
      this.connect();
    }
  }

  private connect(): void {
    if (this.socket || this.disposed || this.timer !== undefined) {
      return;
    }
    let url = URLExt.join(this.settings.wsUrl, this.root);
    if (this.settings.appendToken && this.settings.token !== '') {
      url += `?token=${encodeURIComponent(this.settings.token)}`;
    }
    const socket = new this.settings.WebSocket(url);
    this.socket = socket;
    this.listenForSilence();
    socket.onmessage = message => {
      this.heard = Date.now();
      this.listenForSilence();
      this.take(JSON.parse(String(message.data)) as Message);
    };
    socket.onclose = () => {
      this.lose(socket);
    };
  }

  private lose(socket: WebSocket): void {
    if (this.socket !== socket) {
      return;
    }
    this.socket = null;
    clearTimeout(this.silence);
    this.setOpen(false);
    if (this.disposed) {
      return;
    }
    const pause = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.connect();
    }, pause);
  }

  private listenForSilence(): void {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.silence = setTimeout(() => {
      if (socket) {
        socket.close();
        this.lose(socket);
      }
    }, SILENCE);
  }

  private take(message: Message): void {
    if (message.hello) {
      this.pause = FIRST_PAUSE;
      for (const [number, reader] of this.readers) {
        this.send({ open: number, path: reader.path() });
      }
      this.setOpen(true);
      return;
    }
    const number = message.stream ?? 0;
    const reader = this.readers.get(number);
    if (!reader) {
      return;
    }
    if (message.event) {
      reader.onEvent?.(message.event);
    } else if (message.text !== undefined) {
      reader.onText?.(message.text, message.offset ?? 0);
    } else if (message.beat) {
      reader.onBeat?.();
    } else if (message.end) {
      this.readers.delete(number);
      reader.onEnd?.();
    } else if (message.problem) {
      this.readers.delete(number);
      reader.onProblem?.(new Problem(message.problem));
    }
  }

  private send(content: unknown): void {
    this.socket?.send(JSON.stringify(content));
  }

  private setOpen(open: boolean): void {
    if (this.open !== open) {
      this.open = open;
      this.changed.emit(open);
    }
  }
}
