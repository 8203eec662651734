import { HTMLSelect } from '@jupyterlab/ui-components';
import { useEffect, useState } from 'react';

import type { CratePlan } from '../api/models';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';
import { openCrate, planCrate, runCrate, type OpenCrate, type Order } from './crate';
import { usePlaces } from './loading';

interface Props {
  onLaunched: (ids: { job: string }) => void;
  onBack: () => void;
}

/** Run again what an RO-Crate holds: choose the file, read what will be done, run it. */
export function CrateForm({ onLaunched, onBack }: Props): React.JSX.Element {
  const { trans, requests } = usePanel();
  const { targets } = usePlaces();
  const [crate, setCrate] = useState<OpenCrate | null>(null);
  const [target, setTarget] = useState('');
  const [anyImage, setAnyImage] = useState(false);
  const [plan, setPlan] = useState<CratePlan | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const order: Order | null = crate && {
    run: crate.run,
    ...(target === '' ? {} : { target }),
    ...(anyImage ? { any_image: true } : {}),
  };
  const choose = async (file: File | undefined): Promise<void> => {
    setCrate(null);
    setPlan(null);
    setError(null);
    try {
      setCrate(file ? await openCrate(file) : null);
    } catch (problem) {
      setError(problem as Error);
    }
  };
  useEffect(() => {
    let gone = false;
    if (order) {
      planCrate(requests, order).then(
        found => {
          if (!gone) {
            setPlan(found);
            setError(null);
          }
        },
        (problem: unknown) => {
          if (!gone) {
            setPlan(null);
            setError(problem as Error);
          }
        },
      );
    }
    return () => {
      gone = true;
    };
    // `order` is made anew at each drawing, of these.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [requests, crate, target, anyImage]);
  const launch = async (): Promise<void> => {
    if (!crate || !plan || !order) {
      return;
    }
    setBusy(true);
    setError(null);
    try {
      onLaunched({ job: (await runCrate(requests, crate, plan, order)).id });
    } catch (problem) {
      setError(problem as Error);
      setBusy(false);
    }
  };
  const possible = plan !== null && plan.missing.length === 0 && lacking(plan).length === 0;
  return (
    <div className="sg-gallery sg-crate">
      <button type="button" className="jp-mod-styled" onClick={onBack}>
        {trans.__('All cases')}
      </button>
      <h1>{trans.__('Run again what an RO-Crate holds')}</h1>
      <label>
        {trans.__('Crate')}
        <input
          type="file"
          accept=".zip,application/zip"
          onChange={event => void choose(event.target.files?.[0])}
        />
      </label>
      <label>
        {trans.__('Target')}
        <HTMLSelect
          value={target}
          options={[
            { value: '', label: trans.__('the usual one') },
            ...targets.map(one => ({ value: one.name, label: one.name })),
          ]}
          onChange={event => setTarget(event.target.value)}
        />
      </label>
      <label>
        <input
          type="checkbox"
          checked={anyImage}
          onChange={event => setAnyImage(event.target.checked)}
        />
        {trans.__('Another build of the image will do')}
      </label>
      {error && <ErrorNotice error={error} />}
      {plan && <Plan plan={plan} />}
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept"
        disabled={!possible || busy}
        onClick={() => void launch()}
      >
        {trans.__('Run it')}
      </button>
    </div>
  );
}

/** Inputs that neither the gateway nor the crate has. */
function lacking(plan: CratePlan): CratePlan['needed'] {
  return plan.needed.filter(item => item.kept === null);
}

/** What will be done, what is not as it was, and why it cannot be done. */
function Plan({ plan }: { plan: CratePlan }): React.JSX.Element {
  const { trans } = usePanel();
  const missing = [
    ...plan.missing,
    ...lacking(plan).map(item =>
      trans.__(
        '%1 is in neither place: "gateway rerun --from-crate" takes it with --file',
        item.path,
      ),
    ),
  ];
  return (
    <section aria-label={trans.__('What will be done')}>
      <p>
        {plan.how === 'case'
          ? trans.__('The same version of the case runs, with the same values.')
          : trans.__('What was carried out runs as it is: command, inputs, image.')}{' '}
        {plan.target && trans.__('On %1.', plan.target)}
      </p>
      {plan.notes.length > 0 && (
        <Notice kind="info">
          <ul>
            {plan.notes.map(note => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </Notice>
      )}
      {missing.length > 0 && (
        <Notice kind="warning">
          <ul>
            {missing.map(reason => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </Notice>
      )}
    </section>
  );
}
