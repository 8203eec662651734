import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';

import { COMMANDS } from '../commands';
import { gatewayIcon } from '../components/icons';
import type { Panel } from '../panel';
import { addMenu } from '../sidebar/menu';
import { SidebarModel } from '../sidebar/model';
import { Notices } from '../sidebar/notices';
import { remember } from '../sidebar/remembered';
import { SIDEBAR_ID, SidebarWidget } from '../sidebar/widget';
import { IPanel } from './panel';

const ID = 'science-gateway-jupyterlab:sidebar';
const REFRESH = 'science-gateway:refresh';

export const sidebarPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'The list of jobs, in the left sidebar.',
  autoStart: true,
  requires: [IPanel],
  optional: [ILayoutRestorer, ICommandPalette, ISettingRegistry, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    panel: Panel,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null,
    memory: IStateDB | null,
  ): void => {
    let notify = true;
    const notices = new Notices(panel, sweep => {
      if (sweep !== null) {
        model.list.setOpen(sweep, true);
      }
      app.shell.activateById(SIDEBAR_ID);
    });
    const model = new SidebarModel(panel, news => {
      if (notify) {
        notices.tell(news);
      }
    });
    const widget = new SidebarWidget(model);
    restorer?.add(widget, SIDEBAR_ID);
    app.shell.add(widget, 'left', { rank: 150 });
    addCommands(app, panel, model, palette);
    addMenu(app, model);
    if (memory) {
      void remember(memory, `${ID}:list`, model.list);
    }
    settings
      ?.load(ID)
      .then(found => {
        const read = (): void => {
          notify = found.get('notify').composite !== false;
          model.ended.marks = notify;
          model.list.setGrouped(found.get('groupSweeps').composite !== false);
        };
        found.changed.connect(read);
        read();
      })
      .catch((error: unknown) => console.error(error));
  },
};

function addCommands(
  app: JupyterFrontEnd,
  panel: Panel,
  model: SidebarModel,
  palette: ICommandPalette | null,
): void {
  const { trans, commands } = panel;
  commands.addCommand(COMMANDS.openSidebar, {
    label: trans.__('Show Jobs'),
    caption: trans.__('Show the list of jobs in the sidebar'),
    icon: gatewayIcon,
    execute: () => app.shell.activateById(SIDEBAR_ID),
  });
  commands.addCommand(REFRESH, {
    label: trans.__('Refresh Jobs'),
    execute: () => model.refresh(),
  });
  for (const command of [COMMANDS.openSidebar, REFRESH]) {
    palette?.addItem({ command, category: trans.__('Science Gateway') });
  }
}
