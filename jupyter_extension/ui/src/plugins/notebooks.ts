import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, InputDialog } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';

import type { CaseInfo, CaseSummary } from '../api/models';
import { address } from '../api/requests';
import { COMMANDS, type CommandArguments } from '../commands';
import { gatewayIcon } from '../components/icons';
import { insertCell } from '../notebooks/insert';
import { launchSnippet, readSnippet } from '../notebooks/snippets';
import type { Panel } from '../panel';
import { IPanel } from './panel';

/** Let the person choose a case; null when they leave it. */
async function chooseCase(panel: Panel): Promise<string | null> {
  const { items } = await panel.requests.get<{ items: CaseSummary[] }>('/api/v1/cases');
  const labels = items.map(item => `${item.label} (${item.name})`);
  const chosen = await InputDialog.getItem({
    title: panel.trans.__('Which case?'),
    items: labels,
    okLabel: panel.trans.__('Insert'),
  });
  const index = chosen.button.accept && chosen.value !== null ? labels.indexOf(chosen.value) : -1;
  return items[index]?.name ?? null;
}

/** The values that a cell for a case begins with: its defaults. */
async function defaultsOf(panel: Panel, name: string): Promise<Record<string, unknown>> {
  const info = await panel.requests.get<CaseInfo>(address('cases', name));
  const parameters = info.families.flatMap(family => family.parameters);
  return Object.fromEntries(
    parameters.filter(item => item.default !== null).map(item => [item.name, item.default]),
  );
}

export const notebooksPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:notebooks',
  description: 'Cells that launch cases and read outputs.',
  autoStart: true,
  requires: [IPanel, INotebookTracker],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    panel: Panel,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
  ): void => {
    const { trans } = panel;
    app.commands.addCommand(COMMANDS.insertSnippet, {
      label: args => (args.toolbar === true ? '' : trans.__('Insert a Cell that Launches a Case…')),
      caption: trans.__('Insert a cell that launches a case'),
      icon: gatewayIcon,
      execute: async args => {
        const { case: given, values } = args as CommandArguments['insertSnippet'];
        const name = given ?? (await chooseCase(panel));
        if (name !== null) {
          const filled = values ?? (await defaultsOf(panel, name));
          await insertCell(tracker, app.commands, launchSnippet(name, filled));
        }
      },
    });
    app.commands.addCommand(COMMANDS.openInNotebook, {
      label: trans.__('Open in a Notebook'),
      execute: async args => {
        const { job, path, store } = args as unknown as CommandArguments['openInNotebook'];
        await insertCell(tracker, app.commands, readSnippet(job, path, store));
      },
    });
    palette?.addItem({ command: COMMANDS.insertSnippet, category: trans.__('Science Gateway') });
  },
};
