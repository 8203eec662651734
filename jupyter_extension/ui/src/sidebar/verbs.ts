import { Dialog, showDialog } from '@jupyterlab/apputils';

import type { BulkPage, Job, Sweep } from '../api/models';
import { textOf } from '../api/problems';
import { address } from '../api/requests';
import { run } from '../commands';
import { isLive, type SidebarModel } from './model';

/** As many as the gateway takes in one request. */
const MOST = 1000;

export interface Chosen {
  jobs: Job[];
  sweeps: Sweep[];
}

/** What the verbs act on: a job whose sweep is chosen too goes with its sweep. */
export function chosenOf(model: SidebarModel): Chosen {
  const rows = model.chosen();
  const sweeps = rows.flatMap(row => (row.kind === 'sweep' ? [row.sweep] : []));
  const ids = new Set(sweeps.map(sweep => sweep.id));
  const jobs = rows.flatMap(row =>
    row.kind === 'job' && !(row.job.sweep && ids.has(row.job.sweep)) ? [row.job] : [],
  );
  return { jobs, sweeps };
}

const SWEEP_OVER = ['succeeded', 'partly_failed', 'failed', 'cancelled', 'empty'];

export function cancellable({ jobs, sweeps }: Chosen): Chosen {
  return {
    jobs: jobs.filter(job => isLive(job) && !job.cancel_requested_at),
    sweeps: sweeps.filter(sweep => !SWEEP_OVER.includes(sweep.state)),
  };
}

export function deletable({ jobs, sweeps }: Chosen): Chosen {
  return {
    jobs: jobs.filter(job => !isLive(job)),
    sweeps: sweeps.filter(sweep => SWEEP_OVER.includes(sweep.state)),
  };
}

export function countOf({ jobs, sweeps }: Chosen): number {
  return jobs.length + sweeps.reduce((sum, sweep) => sum + sweep.count, 0);
}

/** Ask for the end of what is chosen, after a question. */
export async function cancelChosen(model: SidebarModel): Promise<void> {
  const { trans } = model.panel;
  const chosen = cancellable(chosenOf(model));
  const count = countOf(chosen);
  const [job] = chosen.jobs;
  const sure = await ask(
    count === 1 && job
      ? trans.__('Cancel “%1”?', job.name)
      : trans._n('Cancel %1 job?', 'Cancel %1 jobs?', count),
    trans.__('What has been stored of the outputs stays. A job that was cancelled cannot go on.'),
    trans.__('Cancel job'),
    trans.__('Keep running'),
  );
  if (count > 0 && sure) {
    await act(model, chosen, 'cancel', sweep =>
      model.panel.requests.post(address('sweeps', sweep.id, 'cancel')),
    );
  }
}

/** Forget what is chosen, after a question. */
export async function deleteChosen(model: SidebarModel): Promise<void> {
  const { trans } = model.panel;
  const chosen = deletable(chosenOf(model));
  const count = countOf(chosen);
  const [job] = chosen.jobs;
  const sure = await ask(
    count === 1 && job
      ? trans.__('Delete “%1”?', job.name)
      : trans._n('Delete %1 job?', 'Delete %1 jobs?', count),
    trans.__(
      'It disappears from the list, with its log and its events. Outputs in the stores stay.',
    ),
    trans.__('Delete'),
    trans.__('Keep'),
  );
  if (count > 0 && sure) {
    await act(model, chosen, 'delete', sweep =>
      model.panel.requests.delete(address('sweeps', sweep.id)),
    );
  }
}

export function compareChosen(model: SidebarModel): void {
  const ids = chosenOf(model).jobs.map(job => job.id);
  if (ids.length > 1) {
    run(model.panel.commands, 'compare', { ids });
  }
}

async function ask(title: string, body: string, yes: string, no: string): Promise<boolean> {
  const buttons = [Dialog.cancelButton({ label: no }), Dialog.warnButton({ label: yes })];
  const answer = await showDialog({ title, body, buttons, defaultButton: 0 });
  return answer.button.accept;
}

async function act(
  model: SidebarModel,
  { jobs, sweeps }: Chosen,
  verb: 'cancel' | 'delete',
  onSweep: (sweep: Sweep) => Promise<unknown>,
): Promise<void> {
  const { requests, trans } = model.panel;
  const refused: string[] = [];
  try {
    for (let start = 0; start < jobs.length; start += MOST) {
      const ids = jobs.slice(start, start + MOST).map(job => job.id);
      const page = await requests.post<BulkPage>(address('jobs', verb), { ids });
      for (const item of page.items.filter(found => !found.done)) {
        const name = jobs.find(job => job.id === item.id)?.name ?? item.id;
        refused.push(`${name}: ${item.problem?.detail ?? item.problem?.title ?? ''}`);
      }
    }
    for (const sweep of sweeps) {
      await onSweep(sweep);
    }
  } catch (error) {
    refused.push(textOf(error));
  }
  const more = refused.length > 3 ? ` ${trans.__('(and %1 more)', refused.length - 3)}` : '';
  model.failure.set(refused.length > 0 ? new Error(refused.slice(0, 3).join('; ') + more) : null);
  model.selection.set({ ...model.selection.value, chosen: new Set() });
  model.list.refresh();
}
