import type { TranslationBundle } from '@jupyterlab/translation';

import { ENDED, type Job, type OutputsState } from '../api/models';
import { Backlog } from '../components/backlog';
import { bytesText } from '../components/bytes';
import { Verified } from '../components/verified';
import { usePanel } from '../panel';

const MARKS: Record<OutputsState, string> = {
  none: '○',
  partial: '◐',
  complete: '●',
  rescued: '◉',
};

/** Where the outputs are, and whether all of them are there. */
export function Stores({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  const stores = Object.entries(job.outputs.stores);
  return (
    <ul className="sg-job-stores">
      {stores.map(([name, store]) => (
        <li key={name}>
          <strong>{name}</strong>
          <span className={`sg-outputs-${store.state}`} title={meaning(store.state, job, trans)}>
            <span aria-hidden="true">{MARKS[store.state]}</span> {word(store.state, trans)}
          </span>
          <span>
            {trans._n('%1 file', '%1 files', store.count)}, {bytesText(store.bytes)}
          </span>
          <Backlog store={store} />
          <Verified store={store} />
        </li>
      ))}
      {stores.length === 0 && <li>{trans.__('No store')}</li>}
    </ul>
  );
}

function word(state: OutputsState, trans: TranslationBundle): string {
  const words: Record<OutputsState, string> = {
    none: trans.__('none'),
    partial: trans.__('partial'),
    complete: trans.__('complete'),
    rescued: trans.__('rescued'),
  };
  return words[state];
}

function meaning(state: OutputsState, job: Job, trans: TranslationBundle): string {
  switch (state) {
    case 'none':
      return trans.__('Nothing is known to be there');
    case 'partial':
      return ENDED.has(job.state)
        ? trans.__('It could not be proved that all outputs are there')
        : trans.__('Some outputs are there; more may come');
    case 'complete':
      return trans.__('All outputs are there, compared with what the job left');
    case 'rescued':
      return trans.__('All outputs are there: the gateway copied what the job could not');
  }
}
