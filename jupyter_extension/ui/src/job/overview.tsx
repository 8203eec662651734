import type { Job } from '../api/models';
import { numberText } from '../components/numbers';
import { shareDone } from '../components/progress';
import { usePanel } from '../panel';
import { Attempts } from './attempts';
import { Annotations } from './annotations';
import { Image } from './image';
import { Links } from './links';
import { Request } from './request';
import { Section } from './section';
import { Stores } from './stores';
import { TimelineView } from './timeline_view';
import { Values } from './values';

/** How far the job is, what was asked for, and what became of it. */
export function Overview({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <div className="sg-job-overview">
      <Section title={trans.__('Time line')} wide>
        <TimelineView job={job} />
        <Image job={job} />
        <Progress job={job} />
      </Section>
      {job.attempt > 1 && (
        <Section title={trans.__('Attempts')} wide>
          <Attempts job={job} />
        </Section>
      )}
      <Section title={trans.__('Outputs')}>
        <Stores job={job} />
      </Section>
      {Object.keys(job.values).length > 0 && (
        <Section title={trans.__('Values')}>
          <Values job={job} />
        </Section>
      )}
      <Section title={trans.__('Asked for')}>
        <Request job={job} />
      </Section>
      <Section title={trans.__('Tags and notes')}>
        <Annotations job={job} />
      </Section>
      <Links job={job} />
    </div>
  );
}

/** How far the program is, as it says itself. */
function Progress({ job }: { job: Job }): React.JSX.Element | null {
  const { trans } = usePanel();
  const share = shareDone(job);
  if (!job.progress || share === null) {
    return null;
  }
  const { value, max, unit } = job.progress;
  return (
    <p className="sg-job-progress">
      {trans.__('Progress: %1 of %2 %3', numberText(value), numberText(max), unit ?? '')} (
      {Math.floor(100 * share)} %)
    </p>
  );
}
