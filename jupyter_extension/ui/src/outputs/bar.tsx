import { Button, HTMLSelect, InputGroup } from '@jupyterlab/ui-components';
import { useState } from 'react';

import { ENDED, type Job } from '../api/models';
import { address } from '../api/requests';
import { archiveUrl } from '../components/output_files';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';
import { download, downloadAll } from './actions';
import { Care } from './care';
import { Completeness } from './marks';

interface Props {
  job: Job;
  store: string;
  pattern: string;
  selected: ReadonlySet<string>;
  onStore: (store: string) => void;
  onPattern: (pattern: string) => void;
}

/** Above the tree: how complete the outputs are, which store, a filter, and what one can do with many files. */
export function OutputsBar(props: Props): React.JSX.Element {
  const { job, store, selected, onStore } = props;
  const panel = usePanel();
  const { trans, requests } = panel;
  const [error, setError] = useState<Error | null>(null);
  const [asked, setAsked] = useState(false);
  const sync = async (): Promise<void> => {
    setError(null);
    setAsked(true);
    try {
      await requests.post<Job>(`${address('jobs', job.id)}/sync`);
    } catch (problem) {
      setError(problem as Error);
    }
    setAsked(false);
  };
  const running = ['running', 'finalizing'].includes(job.state);
  const empty = (job.outputs.stores[store]?.count ?? 0) === 0;
  return (
    <div className="sg-outputs-bar">
      <div className="sg-outputs-stores" role="group" aria-label={trans.__('Completeness')}>
        {job.stores.map(name => (
          <Completeness key={name} job={job} store={name} />
        ))}
      </div>
      <div className="sg-outputs-tools" role="toolbar" aria-label={trans.__('Outputs')}>
        {job.stores.length > 1 && (
          <label>
            {trans.__('Store')}
            <HTMLSelect
              value={store}
              options={job.stores}
              onChange={event => onStore(event.target.value)}
            />
          </label>
        )}
        <InputGroup
          type="search"
          value={props.pattern}
          placeholder={trans.__('Filter: *.vtk, VTK/**, part of a name')}
          aria-label={trans.__('Filter by a pattern')}
          onChange={event => props.onPattern(event.target.value)}
        />
        {!ENDED.has(job.state) && (
          <Button
            small
            disabled={asked || !running}
            title={running ? undefined : trans.__('Possible while the job runs.')}
            onClick={() => void sync()}
          >
            {trans.__('Sync now')}
          </Button>
        )}
        <Button
          small
          disabled={selected.size === 0}
          onClick={() => downloadAll(panel, job.id, selected, store)}
        >
          {selected.size > 1
            ? trans.__('Download %1 chosen', selected.size)
            : trans.__('Download chosen')}
        </Button>
        <Button
          small
          disabled={empty}
          onClick={() => download(archiveUrl(requests, job.id, '', store), '')}
        >
          {trans.__('Download all')}
        </Button>
      </div>
      {error && <ErrorNotice error={error} />}
      {ENDED.has(job.state) && <Care job={job} store={store} />}
    </div>
  );
}
