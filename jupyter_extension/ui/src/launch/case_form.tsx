import { useEffect, useState } from 'react';

import type { CaseInfo, Job, Sweep } from '../api/models';
import { postOnce } from '../api/once';
import { Problem } from '../api/problems';
import { address } from '../api/requests';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';
import { useLoaded, usePlaces } from './loading';
import type { Memory } from './memory';
import { PlaceEditor } from './place_editor';
import { PreviewButton } from './preview';
import {
  firstValues,
  NO_PLACE,
  parametersOf,
  placeOfJob,
  requestForCase,
  rerunPatch,
  sentValues,
  tagsText,
  type Labels,
  type Place,
  type Values,
} from './request';
import { plainParagraphs, problemsByParameter } from './schema';
import { gridOf, type Axis } from './sweep';
import { SweepEditor, sweepWords } from './sweep_editor';
import { useCheckedValues } from './checking';
import { ImageNotice } from './image_notice';
import { ValuesForm } from './values_form';

interface Props {
  name: string;
  /** A job whose values and place the form begins with. */
  from: Job | null;
  memory: Memory;
  onLaunched: (ids: { job?: string; sweep?: string }) => void;
  onBack: () => void;
}

/** Launch a case: its parameters, where it runs, and a sweep over them. */
export function CaseForm(props: Props): React.JSX.Element {
  const { requests, trans } = usePanel();
  const { name } = props;
  const info = useLoaded(`case:${name}`, signal =>
    requests.get<CaseInfo>(address('cases', name), {}, signal),
  );
  const before = useLoaded(`memory:${name}`, () => props.memory.recall(name));
  const remembered = before.value;
  if (info.error) {
    return <ErrorNotice error={info.error} />;
  }
  if (!info.value || (remembered === null && before.error === null && !before.settled)) {
    return <div role="status">{trans.__('Loading the case…')}</div>;
  }
  const first = props.from ? props.from.values : (remembered?.values ?? {});
  const place = props.from ? placeOfJob(props.from) : (remembered?.place ?? NO_PLACE);
  return (
    <Filled
      {...props}
      key={name}
      info={info.value}
      reload={info.reload}
      first={firstValues(info.value, first)}
      firstPlace={{ ...NO_PLACE, ...place }}
    />
  );
}

interface FilledProps extends Props {
  info: CaseInfo;
  reload: () => void;
  first: Values;
  firstPlace: Place;
}

function Filled(props: FilledProps): React.JSX.Element {
  const { info, from, memory } = props;
  const { requests, trans } = usePanel();
  const [values, setValues] = useState(props.first);
  const [place, setPlace] = useState(props.firstPlace);
  const [labels, setLabels] = useState<Labels>({
    name: from ? from.name : '',
    tags: from ? tagsText(from.tags) : '',
  });
  const [axes, setAxes] = useState<Axis[]>([]);
  const [limit, setLimit] = useState('');
  const [failure, setFailure] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const { targets, stores } = usePlaces();
  const parameters = parametersOf(info);
  const grid = gridOf(axes, parameters, sweepWords(trans));
  const sent = sentValues(info, values);
  const checked = useCheckedValues(info.name, sent);
  const refused = failure instanceof Problem ? failure.errors : [];
  const problems = problemsByParameter([...checked, ...refused]);
  const body = (): Record<string, unknown> => requestForCase(info.name, sent, place, labels);

  useEffect(() => setFailure(null), [values, place, labels, axes]);

  const launch = async (): Promise<void> => {
    setBusy(true);
    setFailure(null);
    try {
      await memory.keep(info.name, { values, place });
      if (axes.length > 0 && grid) {
        const given = { ...sent };
        for (const axis of axes) {
          // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
          delete given[axis.parameter];
        }
        const sweep = await postOnce<Sweep>(requests, '/api/v1/sweeps', {
          job: requestForCase(info.name, given, place, labels),
          grid: grid.grid,
          ...(labels.name ? { name: labels.name } : {}),
          ...(/^\d+$/.test(limit.trim()) ? { limit: Number(limit) } : {}),
        });
        props.onLaunched({ sweep: sweep.id });
      } else {
        const job = from
          ? await postOnce<Job>(
              requests,
              address('jobs', from.id, 'rerun'),
              rerunPatch(body(), from),
            )
          : await postOnce<Job>(requests, '/api/v1/jobs', body());
        props.onLaunched({ job: job.id });
      }
    } catch (caught) {
      setFailure(caught instanceof Error ? caught : new Error(String(caught)));
      setBusy(false);
    }
  };

  const blocked = axes.length > 0 && !grid;
  const wrong = Object.keys(problems).length > 0;
  return (
    <form
      className="sg-launch"
      onSubmit={event => {
        event.preventDefault();
        if (!blocked && !busy) {
          void launch();
        }
      }}
    >
      <header className="sg-launch-head">
        <button type="button" className="sg-link" onClick={props.onBack}>
          {trans.__('‹ All cases')}
        </button>
        <h1>{info.label}</h1>
        <Description text={info.description} />
        {from && (
          <Notice kind="info">{trans.__('The values of "%1", to be changed.', from.name)}</Notice>
        )}
        <ImageNotice info={info} reload={props.reload} />
      </header>
      <section aria-label={trans.__('Parameters')}>
        <ValuesForm info={info} values={values} problems={problems} onChange={setValues} />
      </section>
      <details className="sg-family">
        <summary>{trans.__('Sweep over parameters')}</summary>
        <SweepEditor
          parameters={parameters}
          axes={axes}
          count={grid?.count ?? null}
          limit={limit}
          onAxes={setAxes}
          onLimit={setLimit}
        />
      </details>
      <details className="sg-family" open={place.target !== '' || undefined}>
        <summary>{trans.__('Where it runs, and where its outputs go')}</summary>
        <PlaceEditor
          place={place}
          targets={targets}
          stores={stores}
          defaults={info.resources}
          onChange={setPlace}
        />
      </details>
      <LabelFields labels={labels} onChange={setLabels} placeholder={info.label} />
      {problems['']?.map(text => (
        <Notice key={text} kind="error">
          {text}
        </Notice>
      ))}
      {failure && <ErrorNotice error={failure} />}
      <footer className="sg-launch-foot">
        <PreviewButton body={body} />
        <button
          type="submit"
          className="jp-mod-styled jp-mod-accept sg-launch-button"
          disabled={busy || blocked}
          aria-busy={busy}
        >
          {busy
            ? trans.__('Launching…')
            : grid
              ? trans._n('Launch %1 job', 'Launch %1 jobs', grid.count)
              : trans.__('Launch')}
        </button>
        {wrong && <span className="sg-field-error">{trans.__('Some values are refused.')}</span>}
      </footer>
    </form>
  );
}

function Description({ text }: { text: string }): React.JSX.Element {
  return (
    <div className="sg-description">
      {plainParagraphs(text).map((paragraph, index) => (
        <p key={index}>{paragraph}</p>
      ))}
    </div>
  );
}

interface LabelProps {
  labels: Labels;
  placeholder: string;
  onChange: (labels: Labels) => void;
}

/** Name and tags of what is launched. */
export function LabelFields({ labels, placeholder, onChange }: LabelProps): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <div className="sg-labels">
      <label className="sg-resource">
        <span>{trans.__('Name')}</span>
        <input
          className="jp-mod-styled"
          value={labels.name}
          placeholder={placeholder}
          onChange={event => onChange({ ...labels, name: event.target.value })}
        />
      </label>
      <label className="sg-resource">
        <span>{trans.__('Tags')}</span>
        <input
          className="jp-mod-styled"
          value={labels.tags}
          placeholder={trans.__('study:lid, …')}
          onChange={event => onChange({ ...labels, tags: event.target.value })}
        />
      </label>
    </div>
  );
}
