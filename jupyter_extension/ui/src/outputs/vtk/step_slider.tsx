import {
  Button,
  caretLeftIcon,
  caretRightIcon,
  runIcon,
  stopIcon,
} from '@jupyterlab/ui-components';
import { useEffect, useState } from 'react';

import { usePanel } from '../../panel';
import type { Step } from './steps';

const PAUSE = 400;

interface Props {
  steps: readonly Step[];
  shown: string;
  busy: boolean;
  onStep: (path: string) => void;
}

/** Time steps, one after the other or any of them. */
export function StepSlider({ steps, shown, busy, onStep }: Props): React.JSX.Element {
  const { trans } = usePanel();
  const [playing, setPlaying] = useState(false);
  const at = steps.findIndex(step => step.file.path === shown);
  const go = (to: number): void => {
    const step = steps[(to + steps.length) % steps.length];
    if (step) {
      onStep(step.file.path);
    }
  };
  useEffect(() => {
    // The next step only when this one is drawn.
    if (playing && !busy) {
      const timer = setTimeout(() => go(at + 1), PAUSE);
      return () => clearTimeout(timer);
    }
    return undefined;
  });
  const Play = playing ? stopIcon : runIcon;
  return (
    <div className="sg-look-bar sg-steps" role="group" aria-label={trans.__('Time steps')}>
      <Button
        small
        minimal
        title={playing ? trans.__('Stop') : trans.__('Play')}
        aria-label={playing ? trans.__('Stop') : trans.__('Play the time steps')}
        onClick={() => setPlaying(!playing)}
      >
        <Play.react tag="span" className="sg-tree-icon" />
      </Button>
      <Button
        small
        minimal
        aria-label={trans.__('Step before')}
        disabled={at <= 0}
        onClick={() => go(at - 1)}
      >
        <caretLeftIcon.react tag="span" className="sg-tree-icon" />
      </Button>
      <input
        type="range"
        min={0}
        max={steps.length - 1}
        value={Math.max(0, at)}
        aria-label={trans.__('Time step')}
        aria-valuetext={String(steps[at]?.number ?? '')}
        onChange={event => go(Number(event.target.value))}
      />
      <Button
        small
        minimal
        aria-label={trans.__('Next step')}
        disabled={at >= steps.length - 1}
        onClick={() => go(at + 1)}
      >
        <caretRightIcon.react tag="span" className="sg-tree-icon" />
      </Button>
      <span className="sg-look-where">
        {trans.__('step %1 (%2 of %3)', steps[at]?.number ?? '', at + 1, steps.length)}
      </span>
    </div>
  );
}
