import { useMemo, useState } from 'react';

import type { Event, Job } from '../api/models';
import { ErrorNotice } from '../components/notice';
import { localTime } from '../components/times';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { useJobPlace } from './context';
import { eventText } from './event_text';

/** Events that are shown at first, the newest ones. */
const SHOWN = 200;
const OFTEN = new Set(['progress', 'pull']);

/** All that has happened, newest last, each with what the gateway has of it. */
export function EventsTab({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  const { happenings } = useJobPlace();
  const events = useValue(happenings.events);
  const error = useValue(happenings.error);
  const loaded = useValue(happenings.loaded);
  const [all, setAll] = useState(false);
  const [count, setCount] = useState(SHOWN);
  const wanted = useMemo(
    () => (all ? events : events.filter(event => !OFTEN.has(event.kind))),
    [events, all],
  );
  const hidden = Math.max(0, wanted.length - count);
  return (
    <div className="sg-job-events">
      <div className="sg-job-bar">
        <label className="sg-job-check">
          <input type="checkbox" checked={all} onChange={event => setAll(event.target.checked)} />
          {trans.__('Also progress and image')}
        </label>
        {hidden > 0 && (
          <button type="button" className="sg-job-link" onClick={() => setCount(count + 5 * SHOWN)}>
            {trans._n('Show %1 earlier one', 'Show earlier ones (%1 more)', hidden)}
          </button>
        )}
      </div>
      {error && <ErrorNotice error={error} />}
      {!loaded && !error && <p className="sg-job-quiet">{trans.__('Reading…')}</p>}
      <ol aria-label={trans.__('Events of %1', job.name)}>
        {wanted.slice(hidden).map(event => (
          <Item key={event.sequence} event={event} />
        ))}
      </ol>
    </div>
  );
}

function Item({ event }: { event: Event }): React.JSX.Element {
  const { trans } = usePanel();
  const [open, setOpen] = useState(false);
  return (
    <li>
      <details onToggle={toggle => setOpen(toggle.currentTarget.open)}>
        <summary>
          <time dateTime={event.at}>{localTime(event.at)}</time>
          <span className={`sg-job-kind ${kindClass(event)}`}>{event.kind}</span>
          <span>{eventText(event, trans)}</span>
        </summary>
        {open && (
          <>
            <pre>{JSON.stringify(told(event), null, 2)}</pre>
            {event.evidence && <Evidence evidence={event.evidence} />}
          </>
        )}
      </details>
    </li>
  );
}

/** What a change of the state rests on. */
function Evidence({ evidence }: { evidence: Record<string, unknown> }): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <section className="sg-job-evidence" aria-label={trans.__('Evidence')}>
      <h4>{trans.__('What the gateway knows this by')}</h4>
      <pre>{JSON.stringify(evidence, null, 2)}</pre>
    </section>
  );
}

/** The event as it was told. */
function told({ sequence, at, kind, data }: Event): Record<string, unknown> {
  return { sequence, at, kind, data };
}

function kindClass(event: Event): string {
  return event.kind === 'state' ? `sg-state-${String(event.data.to).replace(/[^a-z]/g, '')}` : '';
}
