import { LabIcon } from '@jupyterlab/ui-components';

import type { Job, OutputFile } from '../api/models';
import { ENDED } from '../api/models';
import { Backlog } from '../components/backlog';
import { bytesText } from '../components/bytes';
import { STATE_ICONS } from '../components/icons';
import { usePanel } from '../panel';

const growingIcon = new LabIcon({
  name: 'science-gateway:growing',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" ' +
    'stroke-width="1.5" stroke-linecap="round"><path d="M3 12.5h1M7.5 12.5h1M12 12.5h1M8 2.5v6M5.5 5L8 2.5 10.5 5"/></svg>',
});

const archivedIcon = new LabIcon({
  name: 'science-gateway:archived',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" ' +
    'stroke-width="1.5" stroke-linecap="round"><path d="M2.5 3h11v3h-11zM3.5 6v7h9V6M6.5 9h3"/></svg>',
});

/** Whether a file is as the job left it, or away, by word and icon. */
export function StateMark({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans } = usePanel();
  if (file.archived) {
    return (
      <span
        className="sg-mark sg-mark-archived"
        title={
          file.restoring
            ? trans.__('The store is bringing it back, which takes hours.')
            : trans.__('It cannot be read before the store has brought it back.')
        }
      >
        <archivedIcon.react tag="span" className="sg-mark-icon" aria-hidden="true" />
        {file.restoring ? trans.__('restoring') : trans.__('archived')}
      </span>
    );
  }
  const final = file.state === 'final';
  const Icon = final ? STATE_ICONS.succeeded : growingIcon;
  return (
    <span
      className={`sg-mark sg-mark-${final ? 'final' : 'partial'}`}
      title={
        final
          ? trans.__('As the job left it: the gateway has compared it with the store.')
          : trans.__('May still grow or change; not yet compared with the store.')
      }
    >
      <Icon.react tag="span" className="sg-mark-icon" aria-hidden="true" />
      {final ? trans.__('final') : trans.__('partial')}
    </span>
  );
}

/** How complete a job's outputs are in one store. */
export function Completeness({ job, store }: { job: Job; store: string }): React.JSX.Element {
  const { trans } = usePanel();
  const known = job.outputs.stores[store];
  const found = known ?? { state: 'none' as const, count: 0, bytes: 0 };
  const ended = ENDED.has(job.state);
  const words = {
    none: ended ? trans.__('nothing stored') : trans.__('nothing stored yet'),
    partial: ended ? trans.__('incomplete') : trans.__('partial so far'),
    complete: trans.__('complete'),
    rescued: trans.__('complete, rescued by the gateway'),
  };
  const good = found.state === 'complete' || found.state === 'rescued';
  const bad = ended && found.state === 'partial';
  const Icon = good ? STATE_ICONS.succeeded : bad ? STATE_ICONS.lost : growingIcon;
  return (
    <span className={`sg-completeness sg-mod-${good ? 'good' : bad ? 'bad' : 'open'}`}>
      <Icon.react tag="span" className="sg-mark-icon" aria-hidden="true" />
      <span>
        {store}: {words[found.state]}
      </span>
      <span className="sg-completeness-size">
        {trans._n('%1 file', '%1 files', found.count)}, {bytesText(found.bytes)}
      </span>
      {known && <Backlog store={known} />}
    </span>
  );
}
