import { memo } from 'react';

import { usePanel } from '../panel';
import type { Row } from '../state/job_rows';
import { choose } from '../state/selection';
import { JobItem } from './job_item';
import { openRow } from './keys';
import type { SidebarModel } from './model';
import { SweepItem } from './sweep_item';

interface Props {
  id: string;
  row: Row;
  model: SidebarModel;
  top: number;
  number: number;
  /** -1: not known. */
  count: number;
  chosen: boolean;
  active: boolean;
}

export const ListRow = memo(function ListRow(props: Props): React.JSX.Element {
  const { trans } = usePanel();
  const { row, model, chosen, active } = props;
  const style = { transform: `translateY(${props.top}px)` };
  if (row.kind === 'more') {
    return (
      <div
        id={props.id}
        className="sg-row sg-row-loading"
        style={style}
        role="treeitem"
        aria-selected={false}
        aria-disabled="true"
        aria-level={row.of === null ? 1 : 2}
      >
        {trans.__('Loading…')}
      </div>
    );
  }
  const below = row.kind === 'job' && row.below !== null;
  const classes = [
    'sg-row',
    `sg-row-${row.kind}`,
    below ? 'sg-row-below' : '',
    chosen ? 'sg-row-chosen' : '',
    active ? 'sg-row-active' : '',
  ];
  return (
    <div
      id={props.id}
      className={classes.filter(Boolean).join(' ')}
      style={style}
      role="treeitem"
      aria-level={below ? 2 : 1}
      aria-posinset={props.number}
      aria-setsize={props.count}
      aria-selected={chosen}
      aria-expanded={row.kind === 'sweep' ? row.open : undefined}
      onClick={event => click(model, row, event)}
      onContextMenu={() => {
        if (!model.selection.value.chosen.has(row.key)) {
          pick(model, row.key, false, false);
        }
      }}
    >
      {row.kind === 'job' ? (
        <JobItem job={row.job} model={model} />
      ) : (
        <SweepItem
          sweep={row.sweep}
          open={row.open}
          model={model}
          onToggle={() => openRow(model, row)}
        />
      )}
    </div>
  );
});

function pick(model: SidebarModel, key: string, extend: boolean, toggle: boolean): void {
  const keys = model.list.rows.value.filter(row => row.kind !== 'more').map(row => row.key);
  model.selection.set(choose(model.selection.value, keys, key, { extend, toggle }));
}

/** A plain click opens; with Ctrl or Shift it chooses. */
function click(model: SidebarModel, row: Row, event: React.MouseEvent): void {
  const toggle = event.ctrlKey || event.metaKey;
  if (event.shiftKey || toggle) {
    pick(model, row.key, event.shiftKey, toggle);
    return;
  }
  model.selection.set({ active: row.key, anchor: row.key, chosen: new Set() });
  openRow(model, row);
}
