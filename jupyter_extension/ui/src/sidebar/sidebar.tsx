import { addIcon, Button, closeIcon, refreshIcon } from '@jupyterlab/ui-components';

import { ErrorNotice } from '../components/notice';
import { run } from '../commands';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { Banner } from './banner';
import { Empty } from './empty';
import { Filters } from './filters';
import { JobTree } from './list';
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

/** The person's jobs. */
export function Sidebar({ model }: { model: SidebarModel }): React.JSX.Element {
  const { trans, commands, status: known } = usePanel();
  const status = useValue(known);
  const rows = useValue(model.list.rows);
  const loading = useValue(model.list.loading);
  const failure = useValue(model.failure);
  const mayWrite = status?.role !== 'viewer';
  const asked = loading.known || rows.some(row => row.kind !== 'more');
  return (
    <>
      <div className="sg-head" role="toolbar" aria-label={trans.__('Jobs')}>
        {mayWrite && (
          <Button
            small
            className="jp-mod-styled jp-mod-accept sg-new"
            onClick={() => run(commands, 'launch', {})}
          >
            <addIcon.react tag="span" aria-hidden="true" />
            {trans.__('New')}
          </Button>
        )}
        <span className="sg-person">
          {status?.mode === 'remote' && status.person ? status.person : ''}
        </span>
        <Button
          minimal
          small
          aria-label={trans.__('Refresh')}
          title={trans.__('Refresh')}
          onClick={() => model.refresh()}
        >
          <refreshIcon.react tag="span" className={loading.busy ? 'sg-busy' : ''} />
        </Button>
      </div>
      <Banner model={model} />
      {asked && <Filters model={model} />}
      {failure && (
        <div className="sg-dismissible">
          <ErrorNotice error={failure} />
          <Button
            minimal
            small
            aria-label={trans.__('Dismiss')}
            onClick={() => model.failure.set(null)}
          >
            <closeIcon.react tag="span" />
          </Button>
        </div>
      )}
      {asked &&
        (loading.known && rows.length === 0 ? <Empty model={model} /> : <JobTree model={model} />)}
      {mayWrite && <Chosen model={model} />}
    </>
  );
}

/** What can be done with the rows that are chosen. */
function Chosen({ model }: { model: SidebarModel }): React.JSX.Element | null {
  const { trans } = usePanel();
  const { chosen } = useValue(model.selection);
  useValue(model.list.rows);
  if (chosen.size === 0) {
    return null;
  }
  const all = chosenOf(model);
  return (
    <div className="sg-chosen" role="toolbar" aria-label={trans.__('Chosen jobs')}>
      <span role="status">{trans.__('%1 chosen', countOf(all))}</span>
      <Button
        minimal
        small
        aria-label={trans.__('Choose nothing')}
        title={trans.__('Choose nothing')}
        onClick={() => model.selection.set({ ...model.selection.value, chosen: new Set() })}
      >
        <closeIcon.react tag="span" />
      </Button>
      <Button small disabled={all.jobs.length < 2} onClick={() => compareChosen(model)}>
        {trans.__('Compare')}
      </Button>
      <Button
        small
        disabled={countOf(cancellable(all)) === 0}
        onClick={() => void cancelChosen(model)}
      >
        {trans.__('Cancel…')}
      </Button>
      <Button
        small
        disabled={countOf(deletable(all)) === 0}
        onClick={() => void deleteChosen(model)}
      >
        {trans.__('Delete…')}
      </Button>
    </div>
  );
}
