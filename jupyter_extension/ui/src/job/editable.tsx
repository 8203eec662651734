import { useEffect, useId, useRef, useState } from 'react';

import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';

interface EditableProps {
  value: string;
  /** What it is, for the names of button and field. */
  label: string;
  /** Shown where there is no value. */
  empty?: string;
  lines?: boolean;
  allowed: boolean;
  onSave: (value: string) => Promise<void>;
}

/** Text that becomes a field when its button is pressed. Enter saves, Escape leaves it as it was. */
export function Editable(props: EditableProps): React.JSX.Element {
  const { value, label, empty, allowed } = props;
  const { trans } = usePanel();
  const [editing, setEditing] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const back = useRef(false);
  useEffect(() => {
    if (!editing && back.current) {
      back.current = false;
      button.current?.focus();
    }
  }, [editing]);
  const end = (): void => {
    back.current = true;
    setEditing(false);
  };
  if (editing) {
    return <Field {...props} onEnd={end} />;
  }
  return (
    <span className="sg-job-editable">
      <span className={value === '' ? 'sg-job-quiet' : 'sg-job-text'}>{value || empty}</span>
      {allowed && (
        <button
          ref={button}
          type="button"
          className="sg-job-link"
          aria-label={trans.__('Edit %1', label)}
          onClick={() => setEditing(true)}
        >
          {trans.__('Edit')}
        </button>
      )}
    </span>
  );
}

function Field(props: EditableProps & { onEnd: () => void }): React.JSX.Element {
  const { value, label, lines, onSave, onEnd } = props;
  const { trans } = usePanel();
  const [text, setText] = useState(value);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const id = useId();
  const save = async (): Promise<void> => {
    if (text === value) {
      onEnd();
      return;
    }
    setBusy(true);
    try {
      await onSave(text);
      onEnd();
    } catch (found) {
      setError(found instanceof Error ? found : new Error(String(found)));
      setBusy(false);
    }
  };
  const common = {
    id,
    value: text,
    disabled: busy,
    autoFocus: true,
    className: 'jp-mod-styled',
    'aria-label': label,
    onKeyDown: (event: React.KeyboardEvent): void => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        onEnd();
      } else if (event.key === 'Enter' && (!lines || event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        void save();
      }
    },
  };
  return (
    <span className="sg-job-editing">
      {lines ? (
        <textarea {...common} rows={4} onChange={event => setText(event.target.value)} />
      ) : (
        <input {...common} type="text" onChange={event => setText(event.target.value)} />
      )}
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept"
        disabled={busy}
        onClick={() => void save()}
      >
        {trans.__('Save')}
      </button>
      <button type="button" className="jp-mod-styled" disabled={busy} onClick={onEnd}>
        {trans.__('Leave')}
      </button>
      {error && <ErrorNotice error={error} />}
    </span>
  );
}
