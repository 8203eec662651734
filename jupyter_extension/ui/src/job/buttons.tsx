import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';

import { ENDED, type Job } from '../api/models';
import { address } from '../api/requests';
import { run } from '../commands';
import { ErrorNotice } from '../components/notice';
import { usePanel, type Panel } from '../panel';
import { verbsOf, type Verb } from './actions';
import { useJobPlace, type JobPlace, type Question } from './context';
import { useMayWrite } from '../components/may_write';
import { ask } from './requests';

/** The buttons of a job, each only where its state allows it. What fails is said below them. */
export function Buttons({ job }: { job: Job }): React.JSX.Element {
  const panel = usePanel();
  const place = useJobPlace();
  const { trans } = panel;
  const mayWrite = useMayWrite();
  const [busy, setBusy] = useState<Verb | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const carryOut = async (verb: Verb): Promise<void> => {
    setBusy(verb);
    setError(null);
    setDone(null);
    try {
      const question = questionOf(verb, job, trans);
      if (!question || (await place.confirm(question))) {
        setDone(await perform(verb, job, panel, place));
      }
    } catch (found) {
      setError(found instanceof Error ? found : new Error(String(found)));
    } finally {
      setBusy(null);
    }
  };
  const verbs = mayWrite ? verbsOf(job) : [];
  return (
    <div className="sg-job-verbs">
      <div className="sg-job-buttons" role="group" aria-label={trans.__('What can be done')}>
        {verbs.map(verb => (
          <button
            key={verb}
            type="button"
            className={`jp-mod-styled ${classOf(verb)} sg-job-button`}
            disabled={busy !== null}
            title={helpOf(verb, trans)}
            onClick={() => void carryOut(verb)}
          >
            {labelOf(verb, trans)}
          </button>
        ))}
      </div>
      {error && <ErrorNotice error={error} />}
      <div role="status" className="sg-job-quiet">
        {done}
      </div>
    </div>
  );
}

/** Do it; answers what to tell the person, if anything. */
async function perform(
  verb: Verb,
  job: Job,
  panel: Panel,
  place: JobPlace,
): Promise<string | null> {
  const { trans } = panel;
  switch (verb) {
    case 'launch':
      run(panel.commands, 'launch', { from: job.id });
      return null;
    case 'delete':
      await panel.requests.delete(address('jobs', job.id));
      place.close();
      return null;
    case 'rerun':
    case 'clone':
      run(panel.commands, 'openJob', { id: (await ask(panel, job, verb)).id });
      return null;
    case 'sync':
      await ask(panel, job, verb);
      return ENDED.has(job.state)
        ? trans.__('Asked for: the gateway tries again to copy what is missing.')
        : trans.__('Asked for: outputs are copied now.');
    default:
      await ask(panel, job, verb);
      return null;
  }
}

function classOf(verb: Verb): string {
  if (verb === 'submit') {
    return 'jp-mod-accept';
  }
  return verb === 'cancel' || verb === 'delete' || verb === 'abandon' ? 'jp-mod-warn' : '';
}

function questionOf(verb: Verb, job: Job, trans: TranslationBundle): Question | null {
  switch (verb) {
    case 'cancel':
      return {
        title: trans.__('Cancel %1?', job.name),
        body: trans.__(
          'The job is asked to stop. What it has written is copied to its stores first, and is kept.',
        ),
        yes: trans.__('Cancel the job'),
        grave: true,
      };
    case 'abandon':
      return {
        title: trans.__('Give up %1?', job.name),
        body: trans.__(
          'Nobody can see this job now: it may still run on its target. Given up, it counts as lost, and the gateway no longer waits for it. If the target shows evidence of its end later, that counts after all.',
        ),
        yes: trans.__('Give it up'),
        grave: true,
      };
    case 'delete':
      return {
        title: trans.__('Delete %1?', job.name),
        body: trans.__('The job is forgotten, with its events. Its outputs stay in the stores.'),
        yes: trans.__('Delete'),
        grave: true,
      };
    default:
      return null;
  }
}

function labelOf(verb: Verb, trans: TranslationBundle): string {
  const words: Record<Verb, string> = {
    submit: trans.__('Submit'),
    cancel: trans.__('Cancel…'),
    hold: trans.__('Hold'),
    release: trans.__('Release'),
    sync: trans.__('Sync now'),
    rerun: trans.__('Run again'),
    clone: trans.__('Copy as draft'),
    launch: trans.__('Launch again with changes'),
    abandon: trans.__('Give up…'),
    delete: trans.__('Delete…'),
  };
  return words[verb];
}

function helpOf(verb: Verb, trans: TranslationBundle): string {
  const words: Record<Verb, string> = {
    submit: trans.__('Let this draft run'),
    cancel: trans.__('Ask the job to stop; its outputs are kept'),
    hold: trans.__('Keep the job from starting'),
    release: trans.__('Let the job start'),
    sync: trans.__('Copy what it has written to the stores now'),
    rerun: trans.__('The same request as a new job'),
    clone: trans.__('The same request as a draft that can be changed'),
    launch: trans.__('The launch form, filled with the values of this job'),
    abandon: trans.__('Stop waiting for a job that nobody can see'),
    delete: trans.__('Forget the job; its outputs stay in the stores'),
  };
  return words[verb];
}
