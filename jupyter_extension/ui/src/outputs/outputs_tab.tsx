import { useCallback, useEffect, useMemo, useState } from 'react';

import type { Job, OutputFile } from '../api/models';
import { ENDED } from '../api/models';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { OutputsBar } from './bar';
import { Divider } from './divider';
import { remembered } from './memory';
import { Preview } from './preview';
import { Results } from './results';
import type { Selection } from './selection';
import type { OutputsTree, Row } from './tree';
import { TreeView } from './tree_view';
import { useOutputsTree } from './use_tree';

/** The outputs of a job: a tree that grows, and a preview beside it. */
export function OutputsTab({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  const memory = remembered(job.id);
  const [store, setStore] = useState(memory.store);
  const chosenStore = store !== null && job.stores.includes(store) ? store : (job.stores[0] ?? '');
  const [pattern, setPattern] = useState(memory.pattern);
  const [selection, setSelection] = useState<Selection>({
    selected: memory.selected,
    focused: memory.focused,
    anchor: null,
  });
  const [shown, setShown] = useState<readonly Row[]>([]);
  const [share, setShare] = useState(0.4);
  const tree = useOutputsTree(job.id, chosenStore, memory.opened);
  useEffect(() => {
    Object.assign(memory, {
      store,
      pattern,
      selected: selection.selected,
      focused: selection.focused,
    });
  });

  const files = useMemo(() => chosenFiles(shown, selection.selected), [shown, selection.selected]);
  const none = useMemo(() => new Set<string>(), []);
  const choose = useCallback((next: Selection) => setSelection(next), []);
  const close = (): void => setSelection({ ...selection, selected: none });
  const listing =
    pattern.trim() !== '' ? (
      <Results
        key={`${chosenStore} ${pattern}`}
        job={job.id}
        store={chosenStore}
        pattern={pattern}
        selection={selection}
        onSelect={choose}
        onRows={setShown}
      />
    ) : (
      tree && (
        <Listing tree={tree} job={job} selection={selection} onSelect={choose} onRows={setShown} />
      )
    );
  return (
    <div className="sg-outputs">
      <OutputsBar
        job={job}
        store={chosenStore}
        pattern={pattern}
        selected={selection.selected}
        onStore={name => {
          setStore(name);
          close();
        }}
        onPattern={setPattern}
      />
      <div className="sg-outputs-split">
        <div
          className="sg-outputs-list"
          style={files.length > 0 ? { flexBasis: `${100 * share}%` } : { flexGrow: 1 }}
        >
          {listing}
        </div>
        {files.length > 0 && (
          <>
            <Divider share={share} onShare={setShare} label={trans.__('Width of the list')} />
            <Preview files={files} onClose={close} />
          </>
        )}
      </div>
    </div>
  );
}

function chosenFiles(rows: readonly Row[], selected: ReadonlySet<string>): OutputFile[] {
  return rows.flatMap(row => (row.kind === 'file' && selected.has(row.name) ? [row.file] : []));
}

interface ListingProps {
  tree: OutputsTree;
  job: Job;
  selection: Selection;
  onSelect: (selection: Selection) => void;
  onRows: (rows: readonly Row[]) => void;
}

function Listing({ tree, job, selection, onSelect, onRows }: ListingProps): React.JSX.Element {
  const { trans } = usePanel();
  const rows = useValue(tree.rows);
  const waiting = useValue(tree.waiting);
  useEffect(() => onRows(rows), [rows, onRows]);
  const open = useCallback((prefix: string) => tree.open(prefix), [tree]);
  const shut = useCallback((prefix: string) => tree.close(prefix), [tree]);
  const more = useCallback((prefix: string) => void tree.more(prefix), [tree]);
  if (waiting) {
    return <p className="sg-look-empty">{trans.__('Loading…')}</p>;
  }
  if (rows.length === 0) {
    return (
      <p className="sg-look-empty" role="status">
        {ENDED.has(job.state)
          ? trans.__('The job left no outputs in this store.')
          : trans.__('No outputs yet. They appear here while the job runs.')}
      </p>
    );
  }
  return (
    <TreeView
      rows={rows}
      label={trans.__('Outputs of %1', job.name)}
      selection={selection}
      onSelect={onSelect}
      onOpen={open}
      onClose={shut}
      onMore={more}
    />
  );
}
