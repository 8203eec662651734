import type { TranslationBundle } from '@jupyterlab/translation';
import { Button } from '@jupyterlab/ui-components';

import type { ParameterInfo } from '../api/models';
import { usePanel } from '../panel';
import { parseValues, type Axis, type Words } from './sweep';

export function sweepWords(trans: TranslationBundle): Words {
  return {
    number: text => trans.__('"%1" is no number', text),
    whole: text => trans.__('%1 is not a whole number', text),
    choice: text => trans.__('"%1" is none of the choices', text),
    truth: text => trans.__('"%1" is neither true nor false', text),
    range: text => trans.__('"%1" is no range: start:stop:step', text),
    many: count => trans.__('more than %1 values', count),
    twice: text => trans.__('%1 stands twice', text),
  };
}

interface Props {
  parameters: ParameterInfo[];
  axes: Axis[];
  count: number | null;
  limit: string;
  onAxes: (axes: Axis[]) => void;
  onLimit: (limit: string) => void;
}

/** Which parameters a sweep goes over, with which values, and how many jobs that makes. */
export function SweepEditor(props: Props): React.JSX.Element {
  const { trans } = usePanel();
  const { parameters, axes, count, limit, onAxes, onLimit } = props;
  const possible = parameters.filter(item => item.type !== 'file');
  const free = possible.filter(item => !axes.some(axis => axis.parameter === item.name));
  const change = (index: number, axis: Axis): void =>
    onAxes(axes.map((item, number) => (number === index ? axis : item)));
  return (
    <div className="sg-sweep">
      {axes.map((axis, index) => (
        <AxisRow
          key={axis.parameter}
          axis={axis}
          parameter={possible.find(item => item.name === axis.parameter)}
          onChange={changed => change(index, changed)}
          onRemove={() => onAxes(axes.filter((_, number) => number !== index))}
        />
      ))}
      {free.length > 0 && (
        <label>
          {trans.__('Vary a parameter')}{' '}
          <select
            className="jp-mod-styled"
            value=""
            onChange={event => {
              if (event.target.value !== '') {
                onAxes([...axes, { parameter: event.target.value, text: '' }]);
              }
            }}
          >
            <option value="">{trans.__('choose…')}</option>
            {free.map(item => (
              <option key={item.name} value={item.name}>
                {item.label}
              </option>
            ))}
          </select>
        </label>
      )}
      {axes.length > 0 && (
        <>
          <label>
            {trans.__('Jobs at the same time')}{' '}
            <input
              className="jp-mod-styled sg-short"
              inputMode="numeric"
              placeholder={trans.__('no limit')}
              value={limit}
              onChange={event => onLimit(event.target.value)}
            />
          </label>
          <div className="sg-sweep-count" role="status">
            {count === null
              ? trans.__('Give each parameter its values: 100, 200, 400 or 100:500:100')
              : trans._n('%1 job', '%1 jobs', count)}
          </div>
        </>
      )}
    </div>
  );
}

interface RowProps {
  axis: Axis;
  parameter: ParameterInfo | undefined;
  onChange: (axis: Axis) => void;
  onRemove: () => void;
}

function AxisRow({ axis, parameter, onChange, onRemove }: RowProps): React.JSX.Element | null {
  const { trans } = usePanel();
  if (!parameter) {
    return null;
  }
  const parsed = parseValues(axis.text, parameter, sweepWords(trans));
  return (
    <div className="sg-sweep-axis">
      <label>
        <span>{parameter.unit ? `${parameter.label} [${parameter.unit}]` : parameter.label}</span>
        <input
          className="jp-mod-styled"
          value={axis.text}
          placeholder={placeholder(parameter)}
          aria-invalid={'error' in parsed}
          onChange={event => onChange({ ...axis, text: event.target.value })}
        />
      </label>
      <span className={'error' in parsed ? 'sg-field-error' : 'sg-help'}>
        {'error' in parsed ? parsed.error : trans._n('%1 value', '%1 values', parsed.values.length)}
      </span>
      <Button minimal onClick={onRemove} title={trans.__('Do not vary %1', parameter.label)}>
        {trans.__('Remove')}
      </Button>
    </div>
  );
}

function placeholder(parameter: ParameterInfo): string {
  if (parameter.type === 'choice') {
    return parameter.choices.map(choice => String(choice.value)).join(', ');
  }
  return parameter.type === 'bool' ? 'true, false' : '100, 200, 400';
}
