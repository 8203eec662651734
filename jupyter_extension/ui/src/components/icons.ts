import { LabIcon } from '@jupyterlab/ui-components';

import type { State } from '../api/models';

/** All shapes are drawn in the colour of the text around them, so that they follow the theme. */
function icon(name: string, body: string): LabIcon {
  const svgstr =
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" ' +
    `stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">${body}</svg>`;
  return new LabIcon({ name: `science-gateway:${name}`, svgstr });
}

export const gatewayIcon = new LabIcon({
  name: 'science-gateway:gateway',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16"><g class="jp-icon3" ' +
    'style="fill:none" stroke="#616161" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round">' +
    '<path d="M2.5 13.5V8a5.5 5.5 0 0 1 11 0v5.5"/><path d="M5.5 13.5V8a2.5 2.5 0 0 1 5 0v5.5"/>' +
    '<path d="M1 13.5h14"/></g></svg>',
});

const CIRCLE = '<circle cx="8" cy="8" r="6"/>';

/** Every state has a shape of its own: colour alone says nothing to many people. */
export const STATE_ICONS: Record<State, LabIcon> = {
  draft: icon('draft', '<path d="M3 13l1-3 7-7 2 2-7 7-3 1z"/>'),
  accepted: icon('accepted', '<circle cx="8" cy="8" r="6" stroke-dasharray="2 2.7"/>'),
  staging: icon('staging', '<path d="M8 13V4M4.5 7.5L8 4l3.5 3.5M3 14h10"/>'),
  queued: icon('queued', `${CIRCLE}<path d="M8 4.5V8l2.5 1.5"/>`),
  held: icon('held', '<path d="M5.5 4v8M10.5 4v8"/>'),
  running: icon('running', '<path d="M5 3.5v9l7.5-4.5z" fill="currentColor"/>'),
  finalizing: icon('finalizing', '<path d="M8 3v8M4.5 7.5L8 11l3.5-3.5M3 14h10"/>'),
  succeeded: icon('succeeded', `${CIRCLE}<path d="M5.2 8.2l2 2 3.6-4"/>`),
  failed: icon('failed', `${CIRCLE}<path d="M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4"/>`),
  cancelled: icon('cancelled', `${CIRCLE}<path d="M4 12L12 4"/>`),
  unknown: icon('unknown', '<path d="M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9 8 10M8 12.6v.2"/>'),
  lost: icon('lost', '<path d="M8 2L1.8 13.5h12.4zM8 6.5v3.2M8 11.6v.2"/>'),
};
