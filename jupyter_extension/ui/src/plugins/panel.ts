import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';

import type { Status } from '../api/models';
import { Requests } from '../api/requests';
import { Socket } from '../api/socket';
import type { Panel } from '../panel';
import { Jobs } from '../state/jobs';
import { Observable } from '../state/observable';

/** What the plugins of the features share. */
export const IPanel = new Token<Panel>(
  'science-gateway-jupyterlab:IPanel',
  'Requests, streams, jobs and clock of the Science Gateway panel.',
);

const TICK = 1000;
/** How often a gateway that is not ready is asked about again. */
const ASK_AGAIN = 3000;

export const panelPlugin: JupyterFrontEndPlugin<Panel> = {
  id: 'science-gateway-jupyterlab:shared',
  description: 'What the parts of the Science Gateway panel share.',
  autoStart: true,
  optional: [ITranslator],
  provides: IPanel,
  activate: (app: JupyterFrontEnd, translator: ITranslator | null): Panel => {
    const settings = app.serviceManager.serverSettings;
    const requests = new Requests(settings);
    const socket = new Socket(settings);
    const clock = new Observable(Date.now());
    let skew = 0;
    const status = new Observable<Status | null>(null);
    const panel: Panel = {
      requests,
      socket,
      jobs: new Jobs(requests, socket),
      status,
      refreshStatus: async () => {
        try {
          const response = await requests.send('GET', 'status', {});
          const date = response.headers.get('Date');
          skew = date === null ? 0 : Date.parse(date) - Date.now();
          status.set((await response.json()) as Status);
        } catch (error) {
          status.set(unreachable(error));
        }
      },
      trans: (translator ?? nullTranslator).load('science-gateway'),
      commands: app.commands,
      tabs: [],
      clock,
      // Below two seconds it is the resolution of the header, not a difference of clocks.
      skew: () => (Math.abs(skew) < 2000 ? 0 : skew),
    };
    setInterval(() => {
      if (!document.hidden) {
        clock.set(Date.now());
      }
    }, TICK);
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        clock.set(Date.now());
        socket.hurry();
      }
    });
    window.addEventListener('online', () => {
      socket.hurry();
    });
    keepAsking(panel);
    return panel;
  },
};

function unreachable(error: unknown): Status {
  return {
    mode: 'embedded',
    state: 'unreachable',
    message: error instanceof Error ? error.message : String(error),
    hint: null,
    url: null,
    lease: null,
    person: null,
    role: null,
    version: '',
    can_add_targets: false,
  };
}

/** Ask for the status until the gateway is ready; then again whenever the stream was away. */
function keepAsking(panel: Panel): void {
  let asking = false;
  const ask = async (): Promise<void> => {
    if (asking) {
      return;
    }
    asking = true;
    await panel.refreshStatus();
    asking = false;
    if (panel.status.value?.state === 'ready') {
      panel.jobs.listen();
    } else {
      setTimeout(() => void ask(), ASK_AGAIN);
    }
  };
  panel.socket.connectedChanged.connect(() => void ask());
  void ask();
}
