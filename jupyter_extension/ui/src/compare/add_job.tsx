import { Button, InputGroup } from '@jupyterlab/ui-components';
import { useEffect, useId, useState } from 'react';

import type { Job, JobPage } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice } from '../components/notice';
import { StateBadge } from '../components/state';
import { usePanel } from '../panel';

const DEBOUNCE = 250;

interface Props {
  ids: readonly string[];
  onAdd: (id: string) => void;
}

/** A box in which jobs are looked for by name, notes or the beginning of their id. */
export function AddJob({ ids, onAdd }: Props): React.JSX.Element {
  const { trans, requests } = usePanel();
  const id = useId();
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState<Job[] | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    if (!open) {
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      requests.get<JobPage>(address('jobs'), { q: text.trim(), limit: 20 }, abort.signal).then(
        page => {
          setFound(page.items);
          setError(null);
        },
        (problem: unknown) => {
          if (!abort.signal.aborted) {
            setError(problem as Error);
          }
        },
      );
    }, DEBOUNCE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [requests, text, open]);
  const offered = (found ?? []).filter(job => !ids.includes(job.id));
  return (
    <div
      className="sg-compare-add"
      onKeyDown={event => {
        if (event.key === 'Escape' && open) {
          event.stopPropagation();
          setOpen(false);
        }
      }}
    >
      <Button small aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {trans.__('Add job')}
      </Button>
      {open && (
        <div id={id} className="sg-compare-search">
          <InputGroup
            type="search"
            autoFocus
            value={text}
            placeholder={trans.__('Name, notes or id')}
            aria-label={trans.__('Look for a job')}
            onChange={event => setText(event.target.value)}
          />
          {error && <ErrorNotice error={error} />}
          <ul aria-label={trans.__('Jobs that can be added')}>
            {offered.map(job => (
              <li key={job.id}>
                <button type="button" className="sg-compare-link" onClick={() => onAdd(job.id)}>
                  {job.name}
                </button>
                <StateBadge job={job} />
              </li>
            ))}
          </ul>
          {found && offered.length === 0 && <p>{trans.__('No other job matches.')}</p>}
        </div>
      )}
    </div>
  );
}
