import type { StoreInfo, TargetInfo } from '../api/models';
import { run } from '../commands';
import { Notice } from '../components/notice';
import { ageText, useAge } from '../components/times';
import { usePanel } from '../panel';
import type { Place } from './request';

interface Props {
  place: Place;
  targets: TargetInfo[];
  stores: StoreInfo[];
  /** What the case or the gateway takes where nothing is given. */
  defaults: Record<string, unknown>;
  onChange: (place: Place) => void;
}

/** Where a job runs, what it needs there, and where its outputs go. */
export function PlaceEditor({
  place,
  targets,
  stores,
  defaults,
  onChange,
}: Props): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const chosen = targets.find(target => target.name === place.target);
  const text = (key: keyof Place, label: string, hint: string): React.JSX.Element => (
    <label className="sg-resource">
      <span>{label}</span>
      <input
        className="jp-mod-styled"
        placeholder={hint}
        value={place[key]}
        onChange={event => onChange({ ...place, [key]: event.target.value })}
      />
    </label>
  );
  const shown = (name: string): string => {
    const value = defaults[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  return (
    <>
      <label className="sg-resource">
        <span>{trans.__('Target')}</span>
        <select
          className="jp-mod-styled"
          value={place.target}
          onChange={event => onChange({ ...place, target: event.target.value })}
        >
          <option value="">{trans.__('the gateway’s default')}</option>
          {targets.map(target => (
            <option key={target.name} value={target.name}>
              {`${target.name} (${target.scheduler}, ${target.state})`}
            </option>
          ))}
        </select>
      </label>
      {chosen && <TargetHealth target={chosen} />}
      {panel.status.value?.can_add_targets && (
        <button
          type="button"
          className="sg-link"
          onClick={() => run(panel.commands, 'addTarget', {})}
        >
          {trans.__('Add a target…')}
        </button>
      )}
      <Stores place={place} stores={stores} onChange={onChange} />
      <div className="sg-resources">
        {text('cpus', trans.__('CPUs on each node'), shown('cpus') || '1')}
        {text('memory', trans.__('Memory on each node'), shown('memory') || trans.__('e.g. 4G'))}
        {text('walltime', trans.__('Walltime'), shown('walltime') || '01:00:00')}
        {text('nodes', trans.__('Nodes'), shown('nodes') || '1')}
        {text('gpus', trans.__('GPUs on each node'), shown('gpus') || '0')}
        {text('queue', trans.__('Queue'), trans.__('the target’s'))}
        {text('account', trans.__('Account'), trans.__('the target’s'))}
      </div>
    </>
  );
}

function TargetHealth({ target }: { target: TargetInfo }): React.JSX.Element {
  const { trans } = usePanel();
  const age = useAge(target.observed_at);
  const seen = age === null ? trans.__('not seen yet') : trans.__('seen %1', ageText(age, trans));
  if (target.state === 'ok') {
    return (
      <div className="sg-help">
        {trans.__('%1, %2, %3', target.scheduler, target.runtime, seen)}
        {' · '}
        {trans._n('%1 live job', '%1 live jobs', target.live_jobs)}
      </div>
    );
  }
  return (
    <Notice kind={target.state === 'unknown' ? 'info' : 'warning'}>
      {trans.__('%1 is %2 (%3).', target.name, target.state, seen)} {target.message ?? ''}
    </Notice>
  );
}

interface StoresProps {
  place: Place;
  stores: StoreInfo[];
  onChange: (place: Place) => void;
}

function Stores({ place, stores, onChange }: StoresProps): React.JSX.Element {
  const { trans } = usePanel();
  const toggle = (name: string, on: boolean): void =>
    onChange({
      ...place,
      stores: on ? [...place.stores, name] : place.stores.filter(store => store !== name),
    });
  return (
    <>
      <fieldset className="sg-stores">
        <legend>{trans.__('Stores (none: the gateway’s default)')}</legend>
        {stores.map(store => (
          <label key={store.name}>
            <input
              type="checkbox"
              checked={place.stores.includes(store.name)}
              onChange={event => toggle(store.name, event.target.checked)}
            />{' '}
            {store.name} <span className="sg-help">{store.kind}</span>
          </label>
        ))}
      </fieldset>
      <label className="sg-resource">
        <span>{trans.__('Long-term copy in')}</span>
        <select
          className="jp-mod-styled"
          value={place.longTermStore}
          onChange={event => onChange({ ...place, longTermStore: event.target.value })}
        >
          <option value="">{trans.__('no further copy')}</option>
          {stores.map(store => (
            <option key={store.name} value={store.name}>
              {store.name}
            </option>
          ))}
        </select>
      </label>
      {place.longTermStore !== '' && (
        <label className="sg-resource">
          <span>{trans.__('Folder there')}</span>
          <input
            className="jp-mod-styled"
            placeholder={trans.__('the job’s id')}
            value={place.longTermPath}
            onChange={event => onChange({ ...place, longTermPath: event.target.value })}
          />
        </label>
      )}
    </>
  );
}
