import { HTMLSelect } from '@jupyterlab/ui-components';

import { usePanel } from '../../panel';
import { hasSolids } from './cut';
import { extended } from './surface';
import type { DataSet } from './types';

/** A plane across an axis, from 0 (its lowest place) to 1. */
export interface CutChoice {
  axis: number;
  share: number;
}

interface Props {
  data: DataSet;
  cut: CutChoice | null;
  onCut: (cut: CutChoice | null) => void;
}

/** The outside, or a slice; only where there is something inside. */
export function CutControls({ data, cut, onCut }: Props): React.JSX.Element | null {
  const { trans } = usePanel();
  const { geometry } = data;
  const solid =
    geometry.shape === 'grid'
      ? extended(geometry).length === 3
      : geometry.shape === 'mesh' && hasSolids(geometry);
  if (!solid) {
    return null;
  }
  const size = geometry.shape === 'grid' && cut ? (geometry.dimensions[cut.axis] ?? 2) : 101;
  const step = 1 / Math.max(1, size - 1);
  return (
    <>
      <label>
        {trans.__('Show')}
        <HTMLSelect
          value={cut?.axis ?? -1}
          onChange={event => {
            const axis = Number(event.target.value);
            onCut(axis < 0 ? null : { axis, share: cut?.share ?? 0.5 });
          }}
          options={[
            { value: -1, label: trans.__('surface') },
            ...['x', 'y', 'z'].map((name, axis) => ({
              value: axis,
              label: trans.__('slice across %1', name),
            })),
          ]}
        />
      </label>
      {cut && (
        <input
          type="range"
          min={0}
          max={1}
          step={step}
          value={cut.share}
          aria-label={trans.__('Place of the slice')}
          onChange={event => onCut({ axis: cut.axis, share: Number(event.target.value) })}
        />
      )}
    </>
  );
}
