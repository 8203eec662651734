import { Button } from '@jupyterlab/ui-components';
import { useEffect, useMemo, useState } from 'react';

import type { OutputPage } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';
import { Observable, useValue } from '../state/observable';
import { Search, type Found } from './search';
import type { Selection } from './selection';
import type { Row } from './tree';
import { TreeView } from './tree_view';
import { changesOf } from './use_tree';

interface Props {
  job: string;
  store: string;
  pattern: string;
  selection: Selection;
  onSelect: (selection: Selection) => void;
  onRows: (rows: readonly Row[]) => void;
}

const DEBOUNCE = 300;
const EMPTY: Found = { files: [], seen: 0, busy: true, more: false, error: null };
const nothing = (): void => undefined;

/** The files that match a pattern, as one list of whole paths. */
export function Results({
  job,
  store,
  pattern,
  selection,
  onSelect,
  onRows,
}: Props): React.JSX.Element {
  const { trans } = usePanel();
  const { found, search } = useSearch(job, store, pattern);
  const rows = useMemo(
    () =>
      found.files.map((file, index): Row => {
        const of = found.busy || found.more ? -1 : found.files.length;
        return { kind: 'file', name: file.path, depth: 0, file, at: { index: index + 1, of } };
      }),
    [found],
  );
  useEffect(() => onRows(rows), [rows, onRows]);
  return (
    <>
      <p className="sg-results-said" role="status">
        {found.busy
          ? trans.__('Looking… %1 of %2 files match', found.files.length, found.seen)
          : trans.__('%1 of %2 files match', found.files.length, found.seen)}
        {found.more && !found.busy && (
          <Button small minimal onClick={() => void search?.run()}>
            {trans.__('Look further')}
          </Button>
        )}
      </p>
      {found.error && <ErrorNotice error={found.error} />}
      {rows.length > 0 && (
        <TreeView
          rows={rows}
          label={trans.__('Matching files')}
          selection={selection}
          flat
          onSelect={onSelect}
          onOpen={nothing}
          onClose={nothing}
          onMore={nothing}
        />
      )}
    </>
  );
}

/** Look for a pattern once the person has stopped typing, and again when files came. */
function useSearch(
  job: string,
  store: string,
  pattern: string,
): { found: Found; search: Search | null } {
  const { requests, jobs } = usePanel();
  const [search, setSearch] = useState<Search | null>(null);
  const [before, setBefore] = useState<Found | null>(null);
  useEffect(() => {
    let current: Search | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const plan = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (current && !current.found.value.busy) {
          setBefore(current.found.value);
        }
        current?.dispose();
        current = new Search(
          (prefix, cursor, signal) =>
            requests.get<OutputPage>(
              address('jobs', job, 'outputs'),
              { prefix, store, limit: 5000, cursor },
              signal,
            ),
          pattern,
        );
        setSearch(current);
        void current.run();
      }, DEBOUNCE);
    };
    plan();
    const leave = jobs.onEvent(event => {
      if (event.job_id === job && changesOf(event.kind, event.data, store) !== null) {
        plan();
      }
    });
    return () => {
      leave();
      clearTimeout(timer);
      current?.dispose();
    };
  }, [requests, jobs, job, store, pattern]);
  const waiting = useMemo(() => new Observable(EMPTY), []);
  const found = useValue(search?.found ?? waiting);
  // What was found before stays until the new answer is there.
  return { found: found.busy && before ? before : found, search };
}
