import { memo } from 'react';

import { ageText, localTime, useAge } from '../components/times';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';

/** How long ago something was, kept current. */
export const Age = memo(function Age({ time }: { time: string }): React.JSX.Element {
  const { trans } = usePanel();
  const seconds = useAge(time) ?? 0;
  return (
    <time dateTime={time} title={localTime(time)}>
      {ageText(seconds, trans)}
    </time>
  );
});

/** `checked 12 s ago`, by a time of the gateway's. */
export function CheckedAge({ time }: { time: string }): React.JSX.Element {
  const { trans } = usePanel();
  const seconds = useAge(time) ?? 0;
  return (
    <span className="sg-stale" title={localTime(time)}>
      {trans.__('checked %1', ageText(seconds, trans))}
    </span>
  );
}

/** `checked 12 s ago`, by this browser's own clock. */
export function CheckedSince({ since }: { since: number }): React.JSX.Element {
  const { trans, clock } = usePanel();
  const seconds = Math.max(0, (useValue(clock) - since) / 1000);
  return <span className="sg-stale">{trans.__('checked %1', ageText(seconds, trans))}</span>;
}
