import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { UUID } from '@lumino/coreutils';

import { COMMANDS } from '../commands';
import { gatewayIcon } from '../components/icons';
import { PanelWidget } from '../components/panel_widget';
import type { Panel } from '../panel';
import { AddTarget } from '../targets/view';
import { IPanel } from './panel';

export const targetsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:targets',
  description: 'Add machines that jobs run on.',
  autoStart: true,
  requires: [IPanel],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, panel: Panel, palette: ICommandPalette | null): void => {
    const { trans } = panel;
    app.commands.addCommand(COMMANDS.addTarget, {
      label: trans.__('Add a Target…'),
      caption: trans.__('Add a cluster or a cloud machine that jobs can run on'),
      icon: gatewayIcon,
      isVisible: () => panel.status.value?.can_add_targets ?? false,
      execute: () => {
        const content = new PanelWidget(
          panel,
          () => <AddTarget onDone={() => widget.dispose()} />,
          'sg-target-panel',
        );
        const widget = new MainAreaWidget<PanelWidget>({ content });
        widget.id = `science-gateway-target-${UUID.uuid4()}`;
        widget.title.label = trans.__('Add a target');
        widget.title.icon = gatewayIcon;
        widget.title.closable = true;
        app.shell.add(widget, 'main');
        app.shell.activateById(widget.id);
      },
    });
    palette?.addItem({ command: COMMANDS.addTarget, category: trans.__('Science Gateway') });
  },
};
