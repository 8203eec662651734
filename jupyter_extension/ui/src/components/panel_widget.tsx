import { ReactWidget } from '@jupyterlab/ui-components';
import type { ReactNode } from 'react';

import { PanelContext, type Panel } from '../panel';

/** A widget that draws a part of the panel. */
export class PanelWidget extends ReactWidget {
  constructor(
    private readonly panel: Panel,
    private readonly draw: () => ReactNode,
    className: string,
  ) {
    super();
    this.addClass('sg-panel');
    this.addClass(className);
    // JupyterLab gives the focus to the widget's node when its tab is chosen.
    this.node.tabIndex = -1;
  }

  protected override render(): React.JSX.Element {
    return <PanelContext.Provider value={this.panel}>{this.draw()}</PanelContext.Provider>;
  }
}
