import { UUID } from '@lumino/coreutils';
import { createElement } from 'react';

import { PanelWidget } from '../components/panel_widget';
import type { Panel } from '../panel';
import { CompareView } from './compare_view';
import { Comparison } from './model';

/** The content of a main-area tab that compares jobs. */
export class CompareWidget extends PanelWidget {
  /**
   * @param name Tells this comparison from others when a layout is restored: it must be the same again then.
   */
  constructor(
    panel: Panel,
    readonly comparison: Comparison,
    readonly name: string = UUID.uuid4(),
  ) {
    super(panel, () => createElement(CompareView, { comparison }), 'sg-compare-panel');
  }
}
