import type { TranslationBundle } from '@jupyterlab/translation';

import type { Job, State } from '../api/models';
import { usePanel } from '../panel';
import { STATE_ICONS } from './icons';
import { ageText, useAge } from './times';

/** The word for a state. */
export function stateWord(state: State, trans: TranslationBundle): string {
  const words: Record<State, string> = {
    draft: trans.__('draft'),
    accepted: trans.__('accepted'),
    staging: trans.__('staging'),
    queued: trans.__('queued'),
    held: trans.__('held'),
    running: trans.__('running'),
    finalizing: trans.__('finalizing'),
    succeeded: trans.__('succeeded'),
    failed: trans.__('failed'),
    cancelled: trans.__('cancelled'),
    unknown: trans.__('unknown'),
    lost: trans.__('lost'),
  };
  return words[state];
}

/** What is known of a job's state, in words: `stopping` once its end was asked for, `unknown` with its age. */
export function useStateText(job: Job): string {
  const { trans } = usePanel();
  const age = useAge(job.state === 'unknown' ? (job.observed_at ?? null) : null);
  if (job.state === 'unknown') {
    const last = job.last_state ? stateWord(job.last_state, trans) : null;
    const seen = age === null ? null : ageText(age, trans);
    if (last && seen) {
      return trans.__('unknown (%1 when last seen, %2)', last, seen);
    }
    return last ? trans.__('unknown (last seen %1)', last) : trans.__('unknown');
  }
  const live = !['succeeded', 'failed', 'cancelled', 'lost', 'draft'].includes(job.state);
  return live && job.cancel_requested_at ? trans.__('stopping') : stateWord(job.state, trans);
}

/** State by colour, icon and word. */
export function StateBadge({ job }: { job: Job }): React.JSX.Element {
  const text = useStateText(job);
  const Icon = STATE_ICONS[job.state];
  return (
    <span className={`sg-state sg-state-${job.state}`}>
      <Icon.react tag="span" className="sg-state-icon" aria-hidden="true" />
      <span>{text}</span>
    </span>
  );
}
