import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';

import { COMMANDS, type CommandArguments } from '../commands';
import { EventsTab } from '../job/events_tab';
import { LogTab } from '../job/log/tab';
import { Overview } from '../job/overview';
import { ScriptTab } from '../job/script_tab';
import { makeJobWidget, type JobWidget } from '../job/widget';
import type { JobTab, Panel } from '../panel';
import { PlotsTab } from '../plots/tab';
import { IPanel } from './panel';

const FIRST = 'overview';

const TABS: JobTab[] = [
  {
    id: FIRST,
    rank: 100,
    label: trans => trans.__('Overview'),
    render: job => <Overview job={job} />,
  },
  {
    id: 'log',
    rank: 200,
    label: trans => trans.__('Log'),
    applies: job => job.state !== 'draft',
    render: job => <LogTab job={job} />,
  },
  {
    id: 'plots',
    rank: 300,
    label: trans => trans.__('Plots'),
    applies: job => job.state !== 'draft',
    render: job => <PlotsTab job={job} />,
  },
  {
    id: 'events',
    rank: 500,
    label: trans => trans.__('Events'),
    render: job => <EventsTab job={job} />,
  },
  {
    id: 'script',
    rank: 600,
    label: trans => trans.__('Script'),
    applies: job => job.state !== 'draft',
    render: job => <ScriptTab job={job} />,
  },
];

export const jobPlugin: JupyterFrontEndPlugin<void> = {
  id: 'science-gateway-jupyterlab:job',
  description: 'What a job is doing: time line, log, plots, events, script.',
  autoStart: true,
  requires: [IPanel],
  optional: [ILayoutRestorer],
  activate: (app: JupyterFrontEnd, panel: Panel, restorer: ILayoutRestorer | null): void => {
    panel.tabs.push(...TABS);
    const tracker = new WidgetTracker<JobWidget>({ namespace: 'science-gateway-job' });
    const open = (id: string, tab: string | undefined): JobWidget => {
      const found = tracker.find(widget => widget.content.job === id);
      if (found) {
        if (tab) {
          found.content.tab.set(tab);
        }
        return found;
      }
      const widget = makeJobWidget(panel, id, tab ?? FIRST);
      widget.content.tab.subscribe(() => void tracker.save(widget));
      void tracker.add(widget);
      return widget;
    };
    app.commands.addCommand(COMMANDS.openJob, {
      label: panel.trans.__('Open a Job of the Science Gateway'),
      describedBy: {
        args: {
          type: 'object',
          required: ['id'],
          properties: { id: { type: 'string' }, tab: { type: 'string' } },
        },
      },
      execute: args => {
        const { id, tab } = args as CommandArguments['openJob'];
        if (typeof id !== 'string' || id === '') {
          return undefined;
        }
        const widget = open(id, tab);
        if (!widget.isAttached) {
          app.shell.add(widget, 'main', { type: 'Science Gateway job' });
        }
        app.shell.activateById(widget.id);
        return widget;
      },
    });
    if (restorer) {
      void restorer.restore(tracker, {
        command: COMMANDS.openJob,
        args: ({ content }) => ({ id: content.job, tab: content.tab.value }),
        name: ({ content }) => content.job,
      });
    }
  },
};
