import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { Job } from '../api/models';
import { postOnce } from '../api/once';
import { address } from '../api/requests';
import { run } from '../commands';
import { useMayWrite } from '../components/may_write';
import { ErrorNotice } from '../components/notice';
import { crateUrl } from '../components/output_files';
import { usePanel } from '../panel';
import { download } from './actions';
import { Keeping } from './keeping';
import { Proof } from './proof';

type Part = 'proof' | 'keeping';

/** What one can do with the outputs of a job that has ended, as a whole: prove, keep, take along, make again. */
export function Care({ job, store }: { job: Job; store: string }): React.JSX.Element {
  const { trans, requests, commands, jobs } = usePanel();
  const mayWrite = useMayWrite();
  const [open, setOpen] = useState<Part | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const again = async (): Promise<void> => {
    setError(null);
    setBusy(true);
    try {
      const made = await postOnce<Job>(requests, address('jobs', job.id, 'rerun'));
      jobs.learn(made);
      run(commands, 'compare', { ids: [job.id, made.id] });
    } catch (problem) {
      setError(problem as Error);
    }
    setBusy(false);
  };
  const part = (name: Part, label: string): React.JSX.Element => (
    <Button
      small
      minimal
      aria-expanded={open === name}
      onClick={() => setOpen(open === name ? null : name)}
    >
      {label}
    </Button>
  );
  return (
    <>
      <div
        className="sg-outputs-tools"
        role="toolbar"
        aria-label={trans.__('Proof, keeping and records')}
      >
        {part('proof', trans.__('Verify…'))}
        {part('keeping', trans.__('Keep or let go…'))}
        <Button
          small
          minimal
          title={trans.__('All outputs, and what ran with what: it can be run again elsewhere.')}
          onClick={() => download(crateUrl(requests, job.id, store), '')}
        >
          {trans.__('Download as RO-Crate')}
        </Button>
        <Button small minimal onClick={() => run(commands, 'compare', { ids: [job.id] })}>
          {trans.__('Compare with…')}
        </Button>
        {mayWrite && (
          <Button
            small
            minimal
            disabled={busy}
            title={trans.__('Runs the same again, and shows what differs.')}
            onClick={() => void again()}
          >
            {trans.__('Reproduce')}
          </Button>
        )}
      </div>
      {error && <ErrorNotice error={error} />}
      {open === 'proof' && <Proof job={job} store={store} />}
      {open === 'keeping' && <Keeping job={job} store={store} />}
    </>
  );
}
