import { Button, HTMLSelect } from '@jupyterlab/ui-components';
import { useEffect, useMemo, useState } from 'react';

import { ErrorNotice } from '../../components/notice';
import { usePanel } from '../../panel';
import { CutControls, type CutChoice } from './cut_controls';
import { COLOUR_MAPS } from './colours';
import { cutMesh } from './cut';
import { Legend } from './legend';
import { Summary } from './summary';
import { gridSlice, surfaceOf, type Surface } from './surface';
import type { DataSet } from './types';
import { useScene } from './use_scene';
import {
  arrayOf,
  boundsOf,
  choicesOf,
  componentWord,
  keyOf,
  rangeOf,
  valuesOn,
  type Choice,
} from './values';

/** A data set as a picture that one can turn, with what it takes to read it. */
export function VtkView({ data, label }: { data: DataSet; label: string }): React.JSX.Element {
  const { trans } = usePanel();
  const choices = useMemo(() => choicesOf(data), [data]);
  const [wanted, setWanted] = useState<string | null>(null);
  const choice = choices.find(one => keyOf(one) === wanted) ?? choices[0] ?? null;
  const [colours, setColours] = useState('viridis');
  const [edges, setEdges] = useState(false);
  const [cut, setCut] = useState<CutChoice | null>(null);
  const [held, setHeld] = useState<[number, number] | null>(null);

  const own = useMemo(() => (choice ? rangeOf(data, choice) : null), [data, choice]);
  const range = held ?? own;
  const drawn = useMemo(() => attempt(() => surfaceFor(data, cut)), [data, cut]);
  const drawing = useMemo(() => {
    if (!drawn.surface) {
      return null;
    }
    const values = choice && range ? valuesOn(data, drawn.surface, choice) : null;
    const on = choice?.on ?? ('points' as const);
    return {
      surface: drawn.surface,
      values,
      on,
      range: range ?? ([0, 1] as [number, number]),
      colours,
      edges,
    };
  }, [data, drawn, choice, range, colours, edges]);
  const scene = useScene(drawing);
  // A slice is looked at from its front.
  const { resetView } = scene;
  useEffect(resetView, [cut?.axis, resetView]);
  // Another array has another range.
  useEffect(() => setHeld(null), [wanted]);

  return (
    <div className="sg-vtk">
      <div className="sg-look-bar" role="toolbar" aria-label={trans.__('Drawing')}>
        <label>
          {trans.__('Colour by')}
          <HTMLSelect
            value={choice ? keyOf(choice) : ''}
            onChange={event => setWanted(event.target.value)}
          >
            {choices.length === 0 && <option value="">{trans.__('nothing')}</option>}
            {choices.map(one => (
              <option key={keyOf(one)} value={keyOf(one)}>
                {choiceText(data, one)}
              </option>
            ))}
          </HTMLSelect>
        </label>
        <label>
          {trans.__('Colours')}
          <HTMLSelect
            value={colours}
            options={Object.keys(COLOUR_MAPS)}
            onChange={event => setColours(event.target.value)}
          />
        </label>
        <CutControls data={data} cut={cut} onCut={setCut} />
        <label>
          <input
            type="checkbox"
            checked={held !== null}
            disabled={!own}
            onChange={event => setHeld(event.target.checked ? own : null)}
          />
          {trans.__('Keep range')}
        </label>
        <label>
          <input
            type="checkbox"
            checked={edges}
            onChange={event => setEdges(event.target.checked)}
          />
          {trans.__('Edges')}
        </label>
        <Button small minimal disabled={!scene.ready} onClick={scene.resetView}>
          {trans.__('Reset view')}
        </Button>
      </div>
      {drawn.error && <ErrorNotice error={drawn.error} />}
      {scene.missing ? (
        <p className="sg-look-empty" role="status">
          {trans.__(
            'This browser has no WebGL, so nothing can be drawn. This is what the file contains:',
          )}
        </p>
      ) : (
        <div
          ref={scene.host}
          className="sg-vtk-canvas"
          role="img"
          tabIndex={0}
          aria-label={trans.__(
            '%1, drawn. Arrow keys turn it, plus and minus zoom, 0 resets.',
            label,
          )}
          onKeyDown={scene.press}
        />
      )}
      {choice && range && (
        <Legend range={range} colours={colours} title={choiceText(data, choice)} />
      )}
      <Summary data={data} open={scene.missing} />
    </div>
  );
}

function choiceText(data: DataSet, choice: Choice): string {
  const array = arrayOf(data, choice);
  return array && array.components > 1
    ? `${choice.name} ${componentWord(array, choice.component)}`
    : choice.name;
}

function surfaceFor(data: DataSet, cut: CutChoice | null): Surface {
  const { geometry } = data;
  if (cut && geometry.shape === 'grid') {
    const size = geometry.dimensions[cut.axis] ?? 1;
    return gridSlice(geometry, cut.axis, Math.round(cut.share * (size - 1)));
  }
  if (cut && geometry.shape === 'mesh') {
    const [low, high] = boundsOf(geometry.points)[cut.axis] ?? [0, 0];
    return cutMesh(geometry, cut.axis, low + cut.share * (high - low));
  }
  return surfaceOf(data);
}

function attempt(make: () => Surface): { surface: Surface | null; error: Error | null } {
  try {
    return { surface: make(), error: null };
  } catch (error) {
    return { surface: null, error: error as Error };
  }
}
