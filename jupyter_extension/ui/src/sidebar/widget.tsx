import type { Message } from '@lumino/messaging';

import { gatewayIcon } from '../components/icons';
import { PanelWidget } from '../components/panel_widget';
import type { SidebarModel } from './model';
import { Sidebar } from './sidebar';

export const SIDEBAR_ID = 'science-gateway-sidebar';

/** The left sidebar. Its icon has a mark while jobs have ended that nobody has looked at. */
export class SidebarWidget extends PanelWidget {
  private readonly stop: () => void;

  constructor(private readonly model: SidebarModel) {
    super(model.panel, () => <Sidebar model={model} />, 'sg-sidebar');
    this.id = SIDEBAR_ID;
    this.title.icon = gatewayIcon;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', model.panel.trans.__('Science Gateway'));
    this.stop = model.ended.unseen.subscribe(() => this.mark());
    document.addEventListener('visibilitychange', this.onVisibility);
    this.mark();
  }

  override dispose(): void {
    this.stop();
    document.removeEventListener('visibilitychange', this.onVisibility);
    super.dispose();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.mark();
  }

  protected override onActivateRequest(): void {
    const places = ['.sg-list', '.sg-token input', '.sg-empty button', '.sg-head button'];
    const found = places.map(place => this.node.querySelector<HTMLElement>(place));
    found.find(node => node !== null)?.focus();
  }

  private readonly onVisibility = (): void => this.mark();

  private mark(): void {
    if (this.isVisible && !document.hidden) {
      this.model.ended.see();
    }
    const { trans } = this.model.panel;
    const count = this.model.ended.unseen.value.size;
    this.title.caption =
      count === 0
        ? trans.__('Science Gateway')
        : trans._n(
            'Science Gateway: %1 job has ended',
            'Science Gateway: %1 jobs have ended',
            count,
          );
    const dataset: Record<string, string> = { ...this.title.dataset };
    delete dataset['sg-ended'];
    if (count > 0) {
      dataset['sg-ended'] = count > 99 ? '99+' : String(count);
    }
    this.title.dataset = dataset;
  }
}
