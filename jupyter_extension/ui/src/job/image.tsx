import { useMemo } from 'react';

import type { Event, Job } from '../api/models';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { useJobPlace } from './context';
import { pullText } from './event_text';

/** How far the image of the current attempt is on its way to the target. */
export function Image({ job }: { job: Job }): React.JSX.Element | null {
  const { trans } = usePanel();
  const events = useValue(useJobPlace().happenings.events);
  const pull = useMemo(() => lastPull(events), [events]);
  if (!pull) {
    return null;
  }
  const bytes = Number(pull.bytes ?? 0);
  const total = Number(pull.total ?? 0);
  const going = bytes < total && (job.state === 'staging' || job.state === 'running');
  return (
    <div className="sg-job-image">
      <span>{pullText(pull, trans)}</span>
      {going && (
        <progress
          max={total}
          value={bytes}
          aria-label={trans.__('Image on its way to the target')}
        />
      )}
    </div>
  );
}

/** What was last said of the image since the newest attempt began. */
function lastPull(events: readonly Event[]): Event['data'] | null {
  for (let place = events.length - 1; place >= 0; place -= 1) {
    const event = events[place];
    if (event?.kind === 'pull') {
      return event.data;
    }
    if (event?.kind === 'attempt' || (event?.kind === 'state' && event.data.to === 'staging')) {
      return null;
    }
  }
  return null;
}
