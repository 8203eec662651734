import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ReactWidget } from '@jupyterlab/ui-components';

import { JobCard, readWritten, type Written } from '../card/job_card';
import { PanelContext, type Panel } from '../panel';
import { IPanel } from './panel';

/** As `gateway.client` writes it. */
const JOB_CARD = 'application/vnd.science-gateway.job+json';

class JobCardWidget extends ReactWidget implements IRenderMime.IRenderer {
  private written: Written | null = null;

  constructor(private readonly panel: Panel) {
    super();
    this.addClass('sg-job-card-output');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.written = readWritten(model.data[JOB_CARD]);
    this.update();
    await this.renderPromise;
  }

  protected override render(): React.JSX.Element {
    return (
      <PanelContext.Provider value={this.panel}>
        {this.written ? (
          <JobCard written={this.written} />
        ) : (
          <em>{this.panel.trans.__('This output names no job.')}</em>
        )}
      </PanelContext.Provider>
    );
  }
}

export const cardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:card',
  description: 'Live cards for jobs in notebooks.',
  autoStart: true,
  requires: [IPanel, IRenderMimeRegistry],
  activate: (_app: JupyterFrontEnd, panel: Panel, registry: IRenderMimeRegistry): void => {
    registry.addFactory(
      { safe: true, mimeTypes: [JOB_CARD], createRenderer: () => new JobCardWidget(panel) },
      0,
    );
  },
};
