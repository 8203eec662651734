import { useState } from 'react';

import type { Job } from '../api/models';
import { address } from '../api/requests';
import { run, type CommandArguments } from '../commands';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';
import { CaseForm } from './case_form';
import { ContainerForm } from './container_form';
import { CrateForm } from './crate_form';
import { Gallery } from './gallery';
import { useLoaded } from './loading';
import type { Memory } from './memory';

export type Start = CommandArguments['launch'];

interface Props {
  start: Start;
  memory: Memory;
  /** What is shown now, so that it can be restored. */
  onShow: (start: Start) => void;
  onDone: () => void;
}

/** The gallery, or the form of what was chosen in it. */
export function LaunchView({ start, memory, onShow, onDone }: Props): React.JSX.Element {
  const panel = usePanel();
  const [shown, setShown] = useState<Start>(start);
  const show = (next: Start): void => {
    setShown(next);
    onShow(next);
  };
  const launched = (ids: { job?: string; sweep?: string }): void => {
    onDone();
    run(panel.commands, 'openSidebar', {});
    if (ids.job !== undefined) {
      run(panel.commands, 'openJob', { id: ids.job });
    }
    if (ids.sweep !== undefined) {
      run(panel.commands, 'openSweep', { id: ids.sweep });
    }
  };
  if (shown.from !== undefined) {
    return <Again id={shown.from} memory={memory} onLaunched={launched} onBack={() => show({})} />;
  }
  if (shown.case !== undefined) {
    return (
      <CaseForm
        name={shown.case}
        from={null}
        memory={memory}
        onLaunched={launched}
        onBack={() => show({})}
      />
    );
  }
  if (shown.container) {
    return <ContainerForm from={null} onLaunched={launched} onBack={() => show({})} />;
  }
  if (shown.crate) {
    return <CrateForm onLaunched={launched} onBack={() => show({})} />;
  }
  return (
    <Gallery
      onChoose={name => show({ case: name })}
      onContainer={() => show({ container: true })}
      onCrate={() => show({ crate: true })}
    />
  );
}

interface AgainProps {
  id: string;
  memory: Memory;
  onLaunched: (ids: { job?: string; sweep?: string }) => void;
  onBack: () => void;
}

/** The form filled with what a job ran with. */
function Again({ id, memory, onLaunched, onBack }: AgainProps): React.JSX.Element {
  const { requests, trans } = usePanel();
  const job = useLoaded(`job:${id}`, signal => requests.get<Job>(address('jobs', id), {}, signal));
  if (job.error) {
    return <ErrorNotice error={job.error} />;
  }
  if (!job.value) {
    return <div role="status">{trans.__('Loading the job…')}</div>;
  }
  if (job.value.case === null) {
    return <ContainerForm from={job.value} onLaunched={onLaunched} onBack={onBack} />;
  }
  return (
    <CaseForm
      name={job.value.case}
      from={job.value}
      memory={memory}
      onLaunched={onLaunched}
      onBack={onBack}
    />
  );
}
