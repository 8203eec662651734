/** What a person can ask of a job, and in which of its states. Pure. */
import { ENDED, type Job, type State } from '../api/models';

export type Verb =
  | 'submit'
  | 'cancel'
  | 'hold'
  | 'release'
  | 'sync'
  | 'rerun'
  | 'clone'
  | 'launch'
  | 'abandon'
  | 'delete';

const BEFORE_START: readonly State[] = ['accepted', 'staging', 'queued', 'held'];

/** The verbs that the job's state allows, in the order of the buttons. */
export function verbsOf(job: Job): Verb[] {
  const seen = job.state === 'unknown' ? (job.last_state ?? 'unknown') : job.state;
  const ended = ENDED.has(job.state);
  const draft = job.state === 'draft';
  const possible: [Verb, boolean][] = [
    ['submit', draft],
    ['cancel', !ended && !draft && !job.cancel_requested_at],
    ['abandon', job.state === 'unknown'],
    ['release', !ended && job.hold],
    [
      'hold',
      !job.hold && BEFORE_START.includes(seen) && !job.started_at && !job.cancel_requested_at,
    ],
    ['sync', job.state === 'running' || job.state === 'finalizing' || mayBeBrought(job)],
    ['rerun', !draft],
    ['launch', true],
    ['clone', true],
    ['delete', ended || draft],
  ];
  return possible.filter(([, allowed]) => allowed).map(([verb]) => verb);
}

/** Whether something that an ended job left may not be in its stores yet. */
function mayBeBrought(job: Job): boolean {
  return ENDED.has(job.state) && job.started_at !== null && job.outputs.state === 'partial';
}
