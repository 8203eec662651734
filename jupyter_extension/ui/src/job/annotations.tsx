import { useState } from 'react';

import type { Job } from '../api/models';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';
import { Editable } from './editable';
import { useMayWrite } from '../components/may_write';
import { change } from './requests';

/** Tags and notes, which a person may change at any time. */
export function Annotations({ job }: { job: Job }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const allowed = useMayWrite();
  return (
    <>
      <Tags job={job} allowed={allowed} />
      <Editable
        value={job.notes ?? ''}
        label={trans.__('Notes')}
        empty={trans.__('No notes')}
        lines
        allowed={allowed}
        onSave={notes => change(panel, job, { notes: notes === '' ? null : notes })}
      />
    </>
  );
}

function Tags({ job, allowed }: { job: Job; allowed: boolean }): React.JSX.Element {
  const panel = usePanel();
  const { trans } = panel;
  const [text, setText] = useState('');
  const [error, setError] = useState<Error | null>(null);
  const tags = Object.entries(job.tags);
  const save = async (patch: Record<string, string | null>): Promise<void> => {
    try {
      await change(panel, job, { tags: patch });
      setText('');
      setError(null);
    } catch (found) {
      setError(found instanceof Error ? found : new Error(String(found)));
    }
  };
  const add = (): void => {
    const [name, ...rest] = text.split(':');
    if (name?.trim()) {
      void save({ [name.trim()]: rest.join(':').trim() });
    }
  };
  return (
    <div className="sg-job-tags">
      <ul aria-label={trans.__('Tags')}>
        {tags.map(([name, value]) => (
          <li key={name} className="sg-job-chip">
            {value === '' ? name : `${name}: ${value}`}
            {allowed && (
              <button
                type="button"
                className="sg-job-link"
                aria-label={trans.__('Remove tag %1', name)}
                onClick={() => void save({ [name]: null })}
              >
                ×
              </button>
            )}
          </li>
        ))}
        {tags.length === 0 && <li className="sg-job-quiet">{trans.__('No tags')}</li>}
      </ul>
      {allowed && (
        <form
          className="sg-job-addtag"
          onSubmit={event => {
            event.preventDefault();
            add();
          }}
        >
          <input
            type="text"
            className="jp-mod-styled"
            value={text}
            placeholder={trans.__('name: value')}
            aria-label={trans.__('New tag, as name: value')}
            onChange={event => setText(event.target.value)}
          />
          <button type="submit" className="jp-mod-styled" disabled={text.trim() === ''}>
            {trans.__('Add')}
          </button>
        </form>
      )}
      {error && <ErrorNotice error={error} />}
    </div>
  );
}
