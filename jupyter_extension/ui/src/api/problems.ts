import type { FieldProblem, ProblemDocument } from './models';

const PREFIX = 'urn:science-gateway:problem:';

/** What the gateway, or the way to it, answered instead of what was asked for. */
export class Problem extends Error {
  constructor(readonly document: ProblemDocument) {
    super(document.detail ?? document.title);
    this.name = 'Problem';
  }

  /** The word of the problem's type, such as `validation`. */
  get word(): string {
    return this.document.type.startsWith(PREFIX)
      ? this.document.type.slice(PREFIX.length)
      : this.document.type;
  }

  get status(): number {
    return this.document.status;
  }

  get hint(): string | null {
    return this.document.hint ?? null;
  }

  get errors(): FieldProblem[] {
    return this.document.errors ?? [];
  }
}

/** The way to the Jupyter server is broken: nothing is known about the request. */
export class Unreachable extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = 'Unreachable';
  }
}

/** Read a problem document out of an answer's text; whatever came, something that can be shown comes out. */
export function readProblem(status: number, text: string): Problem {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found === 'object' && found !== null) {
      const given = found as Partial<ProblemDocument> & { message?: unknown };
      const detail =
        given.detail ?? (typeof given.message === 'string' ? given.message : undefined);
      return new Problem({
        ...given,
        type: typeof given.type === 'string' ? given.type : 'about:blank',
        title: typeof given.title === 'string' ? given.title : `status ${status}`,
        status,
        detail,
      });
    }
  } catch {
    // Not JSON: a proxy's page, most likely. Its text is not shown.
  }
  return new Problem({ type: 'about:blank', title: `The server answered with ${status}`, status });
}

/** One sentence for any error, for people. */
export function textOf(error: unknown): string {
  if (error instanceof Problem) {
    return error.hint ? `${error.message} (${error.hint})` : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}
