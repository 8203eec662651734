import { useRef } from 'react';

interface Props {
  /** Share of the width that stands before the divider. */
  share: number;
  onShare: (share: number) => void;
  label: string;
}

const LEAST = 0.15;
const MOST = 0.85;

function within(share: number): number {
  return Math.min(MOST, Math.max(LEAST, share));
}

/** A border that mouse and arrow keys move. */
export function Divider({ share, onShare, label }: Props): React.JSX.Element {
  const bar = useRef<HTMLDivElement>(null);
  const move = (event: React.PointerEvent): void => {
    const frame = bar.current?.parentElement?.getBoundingClientRect();
    if (frame && bar.current?.hasPointerCapture(event.pointerId)) {
      onShare(within((event.clientX - frame.left) / frame.width));
    }
  };
  return (
    <div
      ref={bar}
      className="sg-divider"
      role="separator"
      aria-orientation="vertical"
      aria-label={label}
      aria-valuemin={100 * LEAST}
      aria-valuemax={100 * MOST}
      aria-valuenow={Math.round(100 * share)}
      tabIndex={0}
      onPointerDown={event => bar.current?.setPointerCapture(event.pointerId)}
      onPointerMove={move}
      onKeyDown={event => {
        const step = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
        if (step !== undefined) {
          event.preventDefault();
          onShare(within(share + step));
        }
      }}
    />
  );
}
