import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import { memo } from 'react';

import { ENDED, type State, type Sweep } from '../api/models';
import { run } from '../commands';
import { STATE_ICONS } from '../components/icons';
import { stateWord } from '../components/state';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { Age, CheckedSince } from './age';
import type { SidebarModel } from './model';

const ORDER = Object.keys(STATE_ICONS) as State[];

/** Jobs of a sweep by state, such as `3 running, 1 failed`. */
function Counts({ sweep }: { sweep: Sweep }): React.JSX.Element {
  const { trans } = usePanel();
  const there = ORDER.filter(state => (sweep.counts[state] ?? 0) > 0);
  return (
    <span className="sg-sweep-counts">
      {there.map(state => {
        const Icon = STATE_ICONS[state];
        const text = `${sweep.counts[state] ?? 0} ${stateWord(state, trans)}`;
        return (
          <span key={state} className={`sg-state sg-state-${state}`} title={text}>
            <Icon.react tag="span" className="sg-state-icon" aria-hidden="true" />
            <span aria-hidden="true">{sweep.counts[state]}</span>
            <span className="sg-unseen">{text}, </span>
          </span>
        );
      })}
      {there.length === 0 && trans.__('no jobs')}
    </span>
  );
}

function shareEnded(sweep: Sweep): number {
  const counted = ORDER.reduce((sum, state) => sum + (sweep.counts[state] ?? 0), 0);
  const ended = [...ENDED].reduce((sum, state) => sum + (sweep.counts[state] ?? 0), 0);
  return counted === 0 ? 1 : ended / counted;
}

/** What the row of a sweep shows. */
export const SweepItem = memo(function SweepItem({
  sweep,
  open,
  model,
  onToggle,
}: {
  sweep: Sweep;
  open: boolean;
  model: SidebarModel;
  onToggle: () => void;
}): React.JSX.Element {
  const { trans, commands } = usePanel();
  const since = useValue(model.staleSince);
  const share = shareEnded(sweep);
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <>
      <span
        className="sg-caret"
        aria-hidden="true"
        onClick={event => {
          event.stopPropagation();
          onToggle();
        }}
      >
        <Caret.react tag="span" />
      </span>
      <div className="sg-item">
        <div className="sg-item-line">
          <span className="sg-item-name" title={sweep.name}>
            {sweep.name}
          </span>
          <span
            className="sg-sweep-size sg-sweep-open"
            title={trans.__('Open the table of %1', sweep.name)}
            onClick={event => {
              event.stopPropagation();
              run(commands, 'openSweep', { id: sweep.id });
            }}
          >
            {trans._n('sweep of %1 job', 'sweep of %1 jobs', sweep.count)}
          </span>
        </div>
        <div className="sg-item-line sg-item-more">
          <Counts sweep={sweep} />
          {since !== null && share < 1 ? (
            <CheckedSince since={since} />
          ) : (
            <Age time={sweep.created_at} />
          )}
        </div>
        {share < 1 && (
          <div
            className="sg-progress sg-state-running"
            role="progressbar"
            aria-label={trans.__('Ended jobs of %1', sweep.name)}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={Math.floor(100 * share)}
          >
            <div className="sg-progress-done" style={{ width: `${Math.floor(100 * share)}%` }} />
          </div>
        )}
      </div>
    </>
  );
});
