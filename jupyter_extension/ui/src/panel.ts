import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { createContext, useContext, type ReactNode } from 'react';

import type { Job, Status } from './api/models';
import type { Requests } from './api/requests';
import type { Socket } from './api/socket';
import type { Jobs } from './state/jobs';
import type { Observable } from './state/observable';

/** A tab of the job view; features add theirs in their plugins. */
export interface JobTab {
  id: string;
  rank: number;
  label: (trans: TranslationBundle) => string;
  /** Whether the tab has something to show for this job; default: yes. */
  applies?: (job: Job) => boolean;
  render: (job: Job) => ReactNode;
}

/** What all parts of the panel share. */
export interface Panel {
  requests: Requests;
  socket: Socket;
  jobs: Jobs;
  status: Observable<Status | null>;
  /** Ask the Jupyter server again how the gateway is. */
  refreshStatus: () => Promise<void>;
  trans: TranslationBundle;
  commands: CommandRegistry;
  tabs: JobTab[];
  /** Milliseconds of this browser's clock, every second while somebody looks: ages are made from it. */
  clock: Observable<number>;
  /** The gateway's clock minus this browser's, in milliseconds. */
  skew: () => number;
}

export const PanelContext = createContext<Panel | null>(null);

export function usePanel(): Panel {
  const panel = useContext(PanelContext);
  if (!panel) {
    throw new Error('a component of the panel stands outside of PanelContext');
  }
  return panel;
}
