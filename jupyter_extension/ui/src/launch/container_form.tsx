import { useState } from 'react';

import type { Job } from '../api/models';
import { postOnce } from '../api/once';
import { address } from '../api/requests';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';
import { LabelFields } from './case_form';
import { ImageField } from './image_field';
import { usePlaces } from './loading';
import { PlaceEditor } from './place_editor';
import { PreviewButton } from './preview';
import {
  containerOfJob,
  NO_PLACE,
  placeOfJob,
  requestForContainer,
  rerunPatch,
  tagsText,
  type Container,
  type Labels,
} from './request';

interface Props {
  from: Job | null;
  onLaunched: (ids: { job: string }) => void;
  onBack: () => void;
}

const EMPTY: Container = { image: '', digest: '', script: '', outputs: '' };

/** Launch a container of one's own: an image, a script, and which files are outputs. */
export function ContainerForm({ from, onLaunched, onBack }: Props): React.JSX.Element {
  const { requests, trans } = usePanel();
  const [container, setContainer] = useState(from ? containerOfJob(from) : EMPTY);
  const [place, setPlace] = useState(from ? placeOfJob(from) : NO_PLACE);
  const [labels, setLabels] = useState<Labels>({
    name: from?.name ?? '',
    tags: from ? tagsText(from.tags) : '',
  });
  const [failure, setFailure] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const { targets, stores } = usePlaces();
  const body = (): Record<string, unknown> => requestForContainer(container, place, labels);
  const launch = async (): Promise<void> => {
    setBusy(true);
    setFailure(null);
    try {
      const job = from
        ? await postOnce<Job>(requests, address('jobs', from.id, 'rerun'), rerunPatch(body(), from))
        : await postOnce<Job>(requests, '/api/v1/jobs', body());
      onLaunched({ job: job.id });
    } catch (caught) {
      setFailure(caught instanceof Error ? caught : new Error(String(caught)));
      setBusy(false);
    }
  };
  const field = (key: keyof Container, label: string, hint: string): React.JSX.Element => (
    <label className="sg-resource">
      <span>{label}</span>
      <input
        className="jp-mod-styled"
        value={container[key]}
        placeholder={hint}
        onChange={event => setContainer({ ...container, [key]: event.target.value })}
      />
    </label>
  );
  const area = (
    key: keyof Container,
    label: string,
    hint: string,
    rows: number,
  ): React.JSX.Element => (
    <label className="sg-area">
      <span>{label}</span>
      <textarea
        className="jp-mod-styled"
        rows={rows}
        spellCheck={false}
        value={container[key]}
        placeholder={hint}
        onChange={event => setContainer({ ...container, [key]: event.target.value })}
      />
    </label>
  );
  return (
    <form
      className="sg-launch"
      onSubmit={event => {
        event.preventDefault();
        void launch();
      }}
    >
      <header className="sg-launch-head">
        <button type="button" className="sg-link" onClick={onBack}>
          {trans.__('‹ All cases')}
        </button>
        <h1>{trans.__('My own container')}</h1>
        {from && <Notice kind="info">{trans.__('As "%1" ran, to be changed.', from.name)}</Notice>}
      </header>
      <ImageField
        value={container.image}
        onChange={image => setContainer({ ...container, image })}
      />
      {field('digest', trans.__('Its digest'), 'sha256:…')}
      {area('script', trans.__('Script (bash, in the job’s folder)'), 'solver --steps 100', 8)}
      {area('outputs', trans.__('Outputs (one pattern a line; none: everything)'), 'results/**', 3)}
      <details className="sg-family" open>
        <summary>{trans.__('Where it runs, and where its outputs go')}</summary>
        <PlaceEditor
          place={place}
          targets={targets}
          stores={stores}
          defaults={{}}
          onChange={setPlace}
        />
      </details>
      <LabelFields labels={labels} onChange={setLabels} placeholder={trans.__('my container')} />
      {failure && <ErrorNotice error={failure} />}
      <footer className="sg-launch-foot">
        <PreviewButton body={body} />
        <button
          type="submit"
          className="jp-mod-styled jp-mod-accept sg-launch-button"
          disabled={busy || container.script.trim() === ''}
          aria-busy={busy}
        >
          {busy ? trans.__('Launching…') : trans.__('Launch')}
        </button>
      </footer>
    </form>
  );
}
