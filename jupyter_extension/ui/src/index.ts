import { cardPlugin } from './plugins/card';
import { comparePlugin } from './plugins/compare';
import { jobPlugin } from './plugins/job';
import { launchPlugin } from './plugins/launch';
import { notebooksPlugin } from './plugins/notebooks';
import { outputsPlugin } from './plugins/outputs';
import { panelPlugin } from './plugins/panel';
import { sidebarPlugin } from './plugins/sidebar';
import { sweepPlugin } from './plugins/sweep';
import { targetsPlugin } from './plugins/targets';

export default [
  panelPlugin,
  sidebarPlugin,
  launchPlugin,
  jobPlugin,
  outputsPlugin,
  comparePlugin,
  sweepPlugin,
  targetsPlugin,
  notebooksPlugin,
  cardPlugin,
];
