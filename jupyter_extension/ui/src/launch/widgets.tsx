import type { FieldProps, WidgetProps } from '@rjsf/utils';
import { useId, useState } from 'react';

import { usePanel } from '../panel';
import { textOf } from '../api/problems';
import { upload } from './upload';
import { fromSlider, sliderScale, SLIDER_STEPS, toSlider } from './schema';

/** A number as text that may be unfinished, with a slider where both ends are known. */
export function NumberWidget(props: WidgetProps): React.JSX.Element {
  const { id, label, required, schema, options, onChange } = props;
  const given = props.value as number | undefined;
  const [text, setText] = useState<string | null>(null);
  const min = schema.minimum;
  const max = schema.maximum;
  const step = typeof options.step === 'number' ? options.step : null;
  const scale = sliderScale(min, max);
  const { trans } = usePanel();
  const take = (written: string): void => {
    setText(written);
    const number = Number(written);
    // What is no number goes on as text: the check names it.
    onChange(written.trim() === '' ? undefined : Number.isNaN(number) ? written : number);
  };
  return (
    <div className="sg-number">
      <input
        id={id}
        className="jp-mod-styled sg-number-text"
        type="text"
        inputMode="decimal"
        autoComplete="off"
        required={required}
        aria-label={label}
        aria-describedby={`${id}__help ${id}__error`}
        value={text ?? (given === undefined ? '' : String(given))}
        onChange={event => take(event.target.value)}
        onBlur={() => setText(null)}
      />
      {scale !== null && min !== undefined && max !== undefined && (
        <input
          className="sg-number-slider"
          type="range"
          aria-label={trans.__('%1, slider', label)}
          aria-valuetext={String(given ?? '')}
          min={0}
          max={SLIDER_STEPS}
          value={toSlider(typeof given === 'number' ? given : min, min, max, scale)}
          onChange={event => {
            setText(null);
            onChange(fromSlider(Number(event.target.value), min, max, scale, step));
          }}
        />
      )}
    </div>
  );
}

/** One of some values; the form component's own names it nowhere for a screen reader. */
export function ChoiceWidget(props: WidgetProps): React.JSX.Element {
  const { id, label, required, options, onChange } = props;
  const choices = options.enumOptions ?? [];
  const chosen = choices.findIndex(choice => choice.value === props.value);
  return (
    <select
      id={id}
      className="jp-mod-styled"
      aria-label={label}
      required={required}
      value={chosen}
      onChange={event => onChange(choices[Number(event.target.value)]?.value)}
    >
      {chosen < 0 && <option value={-1} />}
      {choices.map((choice, index) => (
        <option key={index} value={index}>
          {choice.label}
        </option>
      ))}
    </select>
  );
}

/** A text of one line or of many. */
export function TextWidget(props: WidgetProps): React.JSX.Element {
  const { id, label, required, options, onChange } = props;
  const shared = {
    id,
    'aria-label': label,
    className: 'jp-mod-styled sg-text',
    required,
    value: (props.value as string | undefined) ?? '',
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
  };
  return options.multiline === true ? <textarea rows={5} {...shared} /> : <input {...shared} />;
}

/** A file of the person's: it is sent to the gateway, and the value names what was received. */
export function FileField(props: FieldProps): React.JSX.Element {
  const { requests, trans } = usePanel();
  const id = useId();
  const [sent, setSent] = useState<number | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const given = props.formData as { upload?: string; name?: string } | undefined;
  const send = async (file: File): Promise<void> => {
    setFailure(null);
    setSent(0);
    try {
      const digest = await upload(requests, file, share => setSent(share));
      (props.onChange as (value: unknown) => void)({ upload: digest });
    } catch (error) {
      setFailure(textOf(error));
    }
    setSent(null);
  };
  return (
    <div className="sg-file form-group">
      <label htmlFor={id}>{props.schema.title ?? props.name}</label>
      {props.schema.description && <div className="sg-help">{props.schema.description}</div>}
      <input
        id={id}
        type="file"
        onChange={event => {
          const file = event.target.files?.[0];
          if (file) {
            void send(file);
          }
        }}
      />
      {sent !== null && <progress value={sent} max={1} aria-label={trans.__('Sending the file')} />}
      {given?.upload && sent === null && (
        <code className="sg-digest">{given.upload.slice(0, 19)}…</code>
      )}
      {failure !== null && (
        <div className="sg-field-error" role="alert">
          {failure}
        </div>
      )}
    </div>
  );
}
