import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard } from '@jupyterlab/apputils';

import { run } from '../commands';
import type { SidebarModel } from './model';
import {
  cancelChosen,
  cancellable,
  chosenOf,
  compareChosen,
  countOf,
  deletable,
  deleteChosen,
} from './verbs';

const ROW = '.sg-sidebar .sg-row';

/** The menu of the chosen rows. */
export function addMenu(app: JupyterFrontEnd, model: SidebarModel): void {
  const { trans, commands } = model.panel;
  const mayWrite = (): boolean => model.panel.status.value?.role !== 'viewer';
  const single = (): string | null => {
    const { jobs, sweeps } = chosenOf(model);
    return jobs.length === 1 && sweeps.length === 0 ? (jobs[0]?.id ?? null) : null;
  };
  const singleSweep = (): string | null => {
    const { jobs, sweeps } = chosenOf(model);
    return sweeps.length === 1 && jobs.length === 0 ? (sweeps[0]?.id ?? null) : null;
  };
  const withOne = (act: (id: string) => void) => () => {
    const id = single();
    if (id !== null) {
      act(id);
    }
  };
  const entries = [
    {
      id: 'science-gateway:job-open',
      label: trans.__('Open'),
      isEnabled: () => single() !== null || singleSweep() !== null,
      execute: () => {
        const [job, sweep] = [single(), singleSweep()];
        if (job !== null) {
          run(commands, 'openJob', { id: job });
        } else if (sweep !== null) {
          run(commands, 'openSweep', { id: sweep });
        }
      },
    },
    {
      id: 'science-gateway:job-launch-again',
      label: trans.__('Launch Again with Changes'),
      isEnabled: () => mayWrite() && single() !== null,
      execute: withOne(from => run(commands, 'launch', { from })),
    },
    {
      id: 'science-gateway:jobs-compare',
      label: trans.__('Compare'),
      isEnabled: () => chosenOf(model).jobs.length > 1,
      execute: () => compareChosen(model),
    },
    {
      id: 'science-gateway:job-copy-id',
      label: trans.__('Copy Id'),
      isEnabled: () => single() !== null,
      execute: withOne(id => Clipboard.copyToSystem(id)),
    },
    {
      id: 'science-gateway:jobs-cancel',
      label: trans.__('Cancel…'),
      isEnabled: () => mayWrite() && countOf(cancellable(chosenOf(model))) > 0,
      execute: () => cancelChosen(model),
    },
    {
      id: 'science-gateway:jobs-delete',
      label: trans.__('Delete…'),
      isEnabled: () => mayWrite() && countOf(deletable(chosenOf(model))) > 0,
      execute: () => deleteChosen(model),
    },
  ];
  entries.forEach(({ id, ...options }, rank) => {
    commands.addCommand(id, options);
    app.contextMenu.addItem({ command: id, selector: ROW, rank });
  });
}
