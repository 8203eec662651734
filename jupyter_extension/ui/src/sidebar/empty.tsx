import { Button } from '@jupyterlab/ui-components';

import { run } from '../commands';
import { usePanel } from '../panel';
import { isNarrowed, NO_FILTER } from '../state/filter';
import { useValue } from '../state/observable';
import type { SidebarModel } from './model';

/** What stands in the place of a list without rows. */
export function Empty({ model }: { model: SidebarModel }): React.JSX.Element {
  const { trans, commands, status: known } = usePanel();
  const filter = useValue(model.list.filter);
  const targets = useValue(model.targets.targets);
  const mayAdd = useValue(known)?.can_add_targets ?? false;
  if (isNarrowed(filter)) {
    return (
      <div className="sg-empty">
        <p>{trans.__('No job is like that.')}</p>
        <Button className="jp-mod-styled" onClick={() => model.list.setFilter(NO_FILTER)}>
          {trans.__('Show all jobs')}
        </Button>
      </div>
    );
  }
  const nowhere = targets?.length === 0;
  return (
    <div className="sg-empty">
      <p>
        {nowhere
          ? trans.__('There is no machine yet that jobs could run on.')
          : trans.__('No jobs yet. Choose a case, set its parameters, and launch it.')}
      </p>
      {!nowhere && (
        <Button className="jp-mod-styled jp-mod-accept" onClick={() => run(commands, 'launch', {})}>
          {trans.__('Launch a job')}
        </Button>
      )}
      {mayAdd && (
        <Button
          className={nowhere ? 'jp-mod-styled jp-mod-accept' : 'jp-mod-styled'}
          onClick={() => run(commands, 'addTarget', {})}
        >
          {nowhere ? trans.__('Add a target, or run here') : trans.__('Add a target')}
        </Button>
      )}
      {nowhere && !mayAdd && <p>{trans.__('Ask whoever runs this gateway for a target.')}</p>}
    </div>
  );
}
