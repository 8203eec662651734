import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { IStateDB } from '@jupyterlab/statedb';
import { UUID } from '@lumino/coreutils';

import { COMMANDS } from '../commands';
import { gatewayIcon } from '../components/icons';
import { PanelWidget } from '../components/panel_widget';
import { Memory } from '../launch/memory';
import { LaunchView, type Start } from '../launch/view';
import type { Panel } from '../panel';
import { IPanel } from './panel';

/** A launch form in the main area, which knows what it shows. */
class LaunchWidget extends MainAreaWidget<PanelWidget> {
  shown: Start;

  /** @param id The same again when a layout is restored. */
  constructor(
    panel: Panel,
    start: Start,
    memory: Memory,
    onShow: (widget: LaunchWidget) => void,
    id = `science-gateway-launch-${UUID.uuid4()}`,
  ) {
    const content = new PanelWidget(
      panel,
      () => (
        <LaunchView
          start={start}
          memory={memory}
          onShow={shown => {
            this.shown = shown;
            onShow(this);
          }}
          onDone={() => this.dispose()}
        />
      ),
      'sg-launch-panel',
    );
    super({ content });
    this.shown = start;
    this.id = id;
    this.title.label = panel.trans.__('Launch');
    this.title.caption = panel.trans.__('Launch a simulation');
    this.title.icon = gatewayIcon;
    this.title.closable = true;
  }
}

export const launchPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:launch',
  description: 'Launch cases and containers.',
  autoStart: true,
  requires: [IPanel],
  optional: [ILauncher, ICommandPalette, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    panel: Panel,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
  ): void => {
    const { trans } = panel;
    const memory = new Memory(state);
    const tracker = new WidgetTracker<LaunchWidget>({ namespace: 'science-gateway-launch' });
    app.commands.addCommand(COMMANDS.launch, {
      label: args =>
        args.isLauncher === true ? trans.__('Simulation') : trans.__('Launch a Simulation…'),
      caption: trans.__('Choose a case, set its parameters, run it'),
      icon: gatewayIcon,
      execute: args => {
        const { case: name, from, container, crate, id } = args as Start & { id?: string };
        const save = (shown: LaunchWidget): void => void tracker.save(shown);
        const widget = new LaunchWidget(
          panel,
          { case: name, from, container, crate },
          memory,
          save,
          id,
        );
        void tracker.add(widget);
        app.shell.add(widget, 'main');
        app.shell.activateById(widget.id);
        return widget;
      },
    });
    launcher?.add({
      command: COMMANDS.launch,
      args: { isLauncher: true },
      category: trans.__('Other'),
      rank: 1,
    });
    palette?.addItem({ command: COMMANDS.launch, category: trans.__('Science Gateway') });
    void restorer?.restore(tracker, {
      command: COMMANDS.launch,
      args: widget => ({ ...widget.shown, id: widget.id }),
      name: widget => widget.id,
    });
  },
};
