/** Ids of the commands by which features open each other, with the types of their arguments. */
import type { CommandRegistry } from '@lumino/commands';

export const COMMANDS = {
  openSidebar: 'science-gateway:open-sidebar',
  launch: 'science-gateway:launch',
  openJob: 'science-gateway:open-job',
  openSweep: 'science-gateway:open-sweep',
  compare: 'science-gateway:compare',
  addTarget: 'science-gateway:add-target',
  insertSnippet: 'science-gateway:insert-snippet',
  openInNotebook: 'science-gateway:open-in-notebook',
} as const;

export interface CommandArguments {
  openSidebar: Record<string, never>;
  /**
   * Nothing: the gallery. `case`: its form. `from`: the form filled with a job's values. `container`: bring your own.
   * `crate`: choose an RO-Crate.
   */
  launch: { case?: string; from?: string; container?: boolean; crate?: boolean };
  /** `tab` is the id of one of the job view's tabs. */
  openJob: { id: string; tab?: string };
  /** The table of a sweep. */
  openSweep: { id: string };
  compare: { ids: string[] };
  addTarget: Record<string, never>;
  /** Insert a cell that launches a case, into the current notebook or a new one. */
  insertSnippet: { case?: string; values?: Record<string, unknown> };
  /** Insert a cell that reads an output, into the current notebook or a new one. */
  openInNotebook: { job: string; path: string; store?: string };
}

export function run<K extends keyof CommandArguments>(
  commands: CommandRegistry,
  name: K,
  args: CommandArguments[K],
): void {
  commands.execute(COMMANDS[name], args as never).catch((error: unknown) => {
    console.error(error);
  });
}
