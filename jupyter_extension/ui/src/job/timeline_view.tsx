import type { TranslationBundle } from '@jupyterlab/translation';
import { useMemo } from 'react';

import type { Job } from '../api/models';
import { clockDuration, localTime } from '../components/times';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { useJobPlace } from './context';
import { secondsOf, timeline, type Phase } from './timeline';

/** What the job spent its time on: a bar, and the same as a list. */
export function TimelineView({ job }: { job: Job }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const events = useValue(useJobPlace().happenings.events);
  const segments = useMemo(() => timeline(job, events), [job, events]);
  const open = segments.at(-1)?.end === null;
  const clock = useValue(panel.clock);
  const now = clock + panel.skew();
  const attempts = new Set(segments.map(one => one.attempt)).size > 1;
  const total = segments.reduce((sum, one) => sum + secondsOf(one, now), 0);
  return (
    <>
      <div className="sg-timeline" aria-hidden="true">
        {segments.map(one => (
          <span
            key={`${one.attempt} ${one.start} ${one.phase}`}
            className={`sg-phase-${one.phase}`}
            style={{ flexGrow: total > 0 ? secondsOf(one, now) / total : 1 }}
            title={`${phaseWord(one.phase, trans)} ${clockDuration(secondsOf(one, now))}`}
          />
        ))}
      </div>
      <ol className="sg-timeline-list" aria-label={trans.__('Time line of %1', job.name)}>
        {segments.map(one => (
          <li
            key={`${one.attempt} ${one.start} ${one.phase}`}
            title={localTime(new Date(one.start).toISOString())}
          >
            <span className={`sg-timeline-mark sg-phase-${one.phase}`} aria-hidden="true" />
            <span>
              {phaseWord(one.phase, trans)}
              {attempts && <small> {trans.__('attempt %1', one.attempt)}</small>}
            </span>
            <span className="sg-timeline-time">{durationText(secondsOf(one, now), trans)}</span>
            {one.end === null && <small>{trans.__('so far')}</small>}
          </li>
        ))}
        {segments.length > 1 && (
          <li className="sg-timeline-total">
            <span className="sg-timeline-mark" aria-hidden="true" />
            <span>{open ? trans.__('together so far') : trans.__('together')}</span>
            <span className="sg-timeline-time">{durationText(total, trans)}</span>
          </li>
        )}
      </ol>
    </>
  );
}

/** `0.4 s`, `12 s`, `1:05`. */
function durationText(seconds: number, trans: TranslationBundle): string {
  if (seconds < 10) {
    return trans.__('%1 s', seconds.toFixed(1));
  }
  return seconds < 60 ? trans.__('%1 s', Math.floor(seconds)) : clockDuration(seconds);
}

export function phaseWord(phase: Phase, trans: TranslationBundle): string {
  const words: Record<Phase, string> = {
    draft: trans.__('draft'),
    accepted: trans.__('accepted'),
    staging: trans.__('staging'),
    queued: trans.__('queued'),
    held: trans.__('held'),
    starting: trans.__('starting'),
    image: trans.__('image'),
    running: trans.__('running'),
    stopping: trans.__('stopping'),
    sync: trans.__('last copy of outputs'),
    finalizing: trans.__('checking outputs'),
    unknown: trans.__('not seen'),
  };
  return words[phase];
}
