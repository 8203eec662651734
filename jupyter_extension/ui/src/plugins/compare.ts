import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';

import { COMMANDS } from '../commands';
import { CompareWidget } from '../compare/compare_widget';
import { Comparison } from '../compare/model';
import { gatewayIcon } from '../components/icons';
import type { Panel } from '../panel';
import { IPanel } from './panel';

type Tab = MainAreaWidget<CompareWidget>;

export const comparePlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:compare',
  description: 'Jobs side by side.',
  autoStart: true,
  requires: [IPanel],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    panel: Panel,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
  ): void => {
    const { trans } = panel;
    const tracker = new WidgetTracker<Tab>({ namespace: 'science-gateway-compare' });
    app.commands.addCommand(COMMANDS.compare, {
      label: trans.__('Compare Jobs'),
      caption: trans.__('Show values, data series and images of jobs side by side'),
      icon: gatewayIcon,
      execute: args => {
        const ids = idsOf(args.ids);
        const tab =
          tracker.find(open => sameIds(open.content.comparison.ids.value, ids)) ??
          makeTab(panel, ids, typeof args.name === 'string' ? args.name : undefined);
        if (!tab.isAttached) {
          app.shell.add(tab, 'main');
          void tracker.add(tab);
          // What was added or taken away is kept with the layout.
          tab.content.comparison.ids.subscribe(() => void tracker.save(tab));
        }
        app.shell.activateById(tab.id);
        return tab;
      },
    });
    void restorer?.restore(tracker, {
      command: COMMANDS.compare,
      args: ({ content }) => ({ ids: [...content.comparison.ids.value], name: content.name }),
      name: tab => tab.content.name,
    });
    palette?.addItem({
      command: COMMANDS.compare,
      category: trans.__('Science Gateway'),
      args: { ids: [] },
    });
  },
};

function makeTab(panel: Panel, ids: string[], name?: string): Tab {
  const content = new CompareWidget(panel, new Comparison(ids), name);
  const tab = new MainAreaWidget({ content });
  tab.id = `science-gateway-compare-${content.name}`;
  tab.title.label = panel.trans.__('Compare');
  tab.title.caption = panel.trans.__('Comparison of jobs');
  tab.title.icon = gatewayIcon;
  tab.title.closable = true;
  tab.toolbar.hide();
  return tab;
}

/** What a command's caller, or a stored layout, gave: only texts are ids. */
function idsOf(given: unknown): string[] {
  return Array.isArray(given) ? given.filter(id => typeof id === 'string') : [];
}

function sameIds(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(id => b.includes(id));
}
