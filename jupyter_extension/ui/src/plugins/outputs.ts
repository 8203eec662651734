import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { createElement } from 'react';

import { OutputsTab } from '../outputs/outputs_tab';
import type { Panel } from '../panel';
import { IPanel } from './panel';

export const outputsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:outputs',
  description: 'The tab of a job with its outputs.',
  autoStart: true,
  requires: [IPanel],
  activate: (_app: JupyterFrontEnd, panel: Panel): void => {
    panel.tabs.push({
      id: 'outputs',
      rank: 400,
      label: trans => trans.__('Outputs'),
      applies: job => job.stores.length > 0,
      // Another job is another tab: nothing of one job's choice stays for the next.
      render: job => createElement(OutputsTab, { key: job.id, job }),
    });
  },
};
