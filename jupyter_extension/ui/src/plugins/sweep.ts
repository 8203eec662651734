import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { createElement } from 'react';

import { COMMANDS } from '../commands';
import { gatewayIcon } from '../components/icons';
import { PanelWidget } from '../components/panel_widget';
import type { Panel } from '../panel';
import { SweepView } from '../sweep/sweep_view';
import { IPanel } from './panel';

/** The content of a main-area tab that shows a sweep. */
class SweepWidget extends PanelWidget {
  constructor(
    panel: Panel,
    readonly sweep: string,
  ) {
    super(panel, () => createElement(SweepView, { id: sweep }), 'sg-compare-panel');
  }
}

type Tab = MainAreaWidget<SweepWidget>;

export const sweepPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:sweep',
  description: 'The table of a sweep.',
  autoStart: true,
  requires: [IPanel],
  optional: [ILayoutRestorer],
  activate: (app: JupyterFrontEnd, panel: Panel, restorer: ILayoutRestorer | null): void => {
    const tracker = new WidgetTracker<Tab>({ namespace: 'science-gateway-sweep' });
    app.commands.addCommand(COMMANDS.openSweep, {
      label: panel.trans.__('Open Sweep'),
      icon: gatewayIcon,
      execute: args => {
        if (typeof args.id !== 'string') {
          return null;
        }
        const { id } = args;
        const tab = tracker.find(open => open.content.sweep === id) ?? makeTab(panel, id);
        if (!tab.isAttached) {
          app.shell.add(tab, 'main');
          void tracker.add(tab);
        }
        app.shell.activateById(tab.id);
        return tab;
      },
    });
    void restorer?.restore(tracker, {
      command: COMMANDS.openSweep,
      args: ({ content }) => ({ id: content.sweep }),
      name: ({ content }) => content.sweep,
    });
  },
};

function makeTab(panel: Panel, id: string): Tab {
  const tab = new MainAreaWidget({ content: new SweepWidget(panel, id) });
  tab.id = `science-gateway-sweep-${id}`;
  tab.title.label = panel.trans.__('Sweep');
  tab.title.caption = panel.trans.__('Jobs of a sweep');
  tab.title.icon = gatewayIcon;
  tab.title.closable = true;
  tab.toolbar.hide();
  return tab;
}
