import { useState } from 'react';

import type { Probe, TargetInfo } from '../api/models';
import { run } from '../commands';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';

interface Key {
  host: string;
  fingerprint: string;
  known: boolean;
}

interface Found {
  key: Key;
  name: string;
  notes: string[];
  probes: Probe[];
}

interface Wanted {
  host: string;
  port: string;
  keyFile: string;
  agent: boolean;
  name: string;
}

const NOTHING: Wanted = { host: '', port: '', keyFile: '', agent: false, name: '' };

/** Add a machine, step by step: where it is, whether its key is the right one, what was found, done. */
export function AddTarget({ onDone }: { onDone: () => void }): React.JSX.Element {
  const panel = usePanel();
  const { requests, trans } = panel;
  const [wanted, setWanted] = useState(NOTHING);
  const [key, setKey] = useState<Key | null>(null);
  const [found, setFound] = useState<Found | null>(null);
  const [added, setAdded] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState<string | null>(null);

  const step = async (what: string, act: () => Promise<void>): Promise<void> => {
    setBusy(what);
    setError(null);
    try {
      await act();
    } catch (caught) {
      setError(caught instanceof Error ? caught : new Error(String(caught)));
    }
    setBusy(null);
  };
  const look = (): Promise<void> =>
    step(trans.__('Asking the machine for its key…'), async () => {
      const shown = await requests.post<{ key: Key }>('targets/look', bodyOf(wanted, null));
      setKey(shown.key);
    });
  const accept = (accepted: Key): Promise<void> =>
    step(trans.__('Looking for scheduler, container runtime and folders…'), async () => {
      const body = bodyOf(wanted, accepted.fingerprint);
      setFound(await requests.post<Found>('targets/look', body, { patience: 0 }));
    });
  const add = (accepted: Key, name: string): Promise<void> =>
    step(trans.__('Writing the configuration, and starting the gateway again…'), async () => {
      const body = { ...bodyOf(wanted, accepted.fingerprint), name };
      const target = await requests.post<TargetInfo>('targets', body, { patience: 0 });
      await panel.refreshStatus();
      setAdded(target.name);
    });
  const again = (): void => {
    setKey(null);
    setFound(null);
    setError(null);
  };

  return (
    <div className="sg-target">
      <h1>{trans.__('Add a target')}</h1>
      <p className="sg-help">
        {trans.__(
          'A machine that you reach with SSH: the login node of a cluster, or a cloud machine. Nothing is installed on it.',
        )}
      </p>
      {key === null && (
        <WhereForm
          wanted={wanted}
          busy={busy !== null}
          onChange={setWanted}
          onLook={() => void look()}
        />
      )}
      {key !== null && found === null && (
        <KeyStep
          shown={key}
          busy={busy !== null}
          onAccept={() => void accept(key)}
          onRefuse={again}
        />
      )}
      {key !== null && found !== null && added === null && (
        <FoundStep
          found={found}
          busy={busy !== null}
          onAdd={name => void add(key, name)}
          onBack={again}
        />
      )}
      {busy !== null && <div role="status">{busy}</div>}
      {error && <ErrorNotice error={error} />}
      {added !== null && (
        <Notice kind="info">
          <p>{trans.__('%1 is a target now.', added)}</p>
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept"
            onClick={() => {
              onDone();
              run(panel.commands, 'launch', {});
            }}
          >
            {trans.__('Launch something on it')}
          </button>
        </Notice>
      )}
    </div>
  );
}

function bodyOf(wanted: Wanted, fingerprint: string | null): Record<string, unknown> {
  const text = (name: string, value: string): Record<string, string> =>
    value.trim() === '' ? {} : { [name]: value.trim() };
  return {
    host: wanted.host.trim(),
    ...(wanted.port.trim() === '' ? {} : { port: Number(wanted.port) }),
    ...text('key_file', wanted.keyFile),
    ...text('name', wanted.name),
    ...(wanted.agent ? { agent: true } : {}),
    ...(fingerprint === null ? {} : { accept_fingerprint: fingerprint }),
  };
}

interface WhereProps {
  wanted: Wanted;
  busy: boolean;
  onChange: (wanted: Wanted) => void;
  onLook: () => void;
}

function WhereForm({ wanted, busy, onChange, onLook }: WhereProps): React.JSX.Element {
  const { trans } = usePanel();
  const field = (
    name: 'host' | 'port' | 'keyFile',
    label: string,
    hint: string,
  ): React.JSX.Element => (
    <label className="sg-resource">
      <span>{label}</span>
      <input
        className="jp-mod-styled"
        value={wanted[name]}
        placeholder={hint}
        onChange={event => onChange({ ...wanted, [name]: event.target.value })}
      />
    </label>
  );
  return (
    <form
      onSubmit={event => {
        event.preventDefault();
        onLook();
      }}
    >
      {field(
        'host',
        trans.__('Machine'),
        trans.__('alice@login.example.org, or a name from ~/.ssh/config'),
      )}
      {field('port', trans.__('Port'), '22')}
      {field(
        'keyFile',
        trans.__('Private key (a file of the Jupyter server)'),
        '~/.ssh/id_ed25519',
      )}
      <label className="sg-target-agent">
        <input
          type="checkbox"
          checked={wanted.agent}
          onChange={event => onChange({ ...wanted, agent: event.target.checked })}
        />{' '}
        {trans.__('Use the keys of the SSH agent')}
      </label>
      <button
        type="submit"
        className="jp-mod-styled jp-mod-accept"
        disabled={busy || wanted.host.trim() === ''}
      >
        {trans.__('Look at the machine')}
      </button>
    </form>
  );
}

interface KeyProps {
  shown: Key;
  busy: boolean;
  onAccept: () => void;
  onRefuse: () => void;
}

function KeyStep({ shown, busy, onAccept, onRefuse }: KeyProps): React.JSX.Element {
  const { trans } = usePanel();
  return (
    <section aria-label={trans.__('Host key')}>
      <p>{trans.__('%1 shows this key:', shown.host)}</p>
      <pre className="sg-fingerprint">{shown.fingerprint}</pre>
      {shown.known ? (
        <Notice kind="info">{trans.__('Your known_hosts knows it.')}</Notice>
      ) : (
        <Notice kind="warning">
          {trans.__(
            'Compare it with what the site publishes. Whoever has this key gets everything you send there.',
          )}
        </Notice>
      )}
      <div className="sg-target-buttons">
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept"
          disabled={busy}
          onClick={onAccept}
        >
          {trans.__('It is the right key')}
        </button>
        <button type="button" className="jp-mod-styled" disabled={busy} onClick={onRefuse}>
          {trans.__('Back')}
        </button>
      </div>
    </section>
  );
}

interface FoundProps {
  found: Found;
  busy: boolean;
  onAdd: (name: string) => void;
  onBack: () => void;
}

function FoundStep({ found, busy, onAdd, onBack }: FoundProps): React.JSX.Element {
  const { trans } = usePanel();
  const [name, setName] = useState(found.name);
  const words: Record<string, string> = {
    ok: trans.__('ok'),
    warning: trans.__('look at this'),
    failed: trans.__('failed'),
    skipped: trans.__('not looked at'),
  };
  return (
    <section aria-label={trans.__('What was found')}>
      <table className="sg-probes">
        <thead>
          <tr>
            <th scope="col">{trans.__('Result')}</th>
            <th scope="col">{trans.__('What')}</th>
            <th scope="col">{trans.__('Found')}</th>
          </tr>
        </thead>
        <tbody>
          {found.probes.map(probe => (
            <tr key={probe.name} className={`sg-probe-${probe.status}`}>
              <td>{words[probe.status] ?? probe.status}</td>
              <td>{probe.name}</td>
              <td>
                {probe.detail}
                {probe.fix && probe.status !== 'ok' && <div className="sg-help">{probe.fix}</div>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <ul className="sg-help">
        {found.notes.map(note => (
          <li key={note}>{note}</li>
        ))}
      </ul>
      <label className="sg-resource">
        <span>{trans.__('Name of the target')}</span>
        <input
          className="jp-mod-styled"
          value={name}
          onChange={event => setName(event.target.value)}
        />
      </label>
      <div className="sg-target-buttons">
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept"
          disabled={busy || name.trim() === ''}
          onClick={() => onAdd(name.trim())}
        >
          {trans.__('Add it')}
        </button>
        <button type="button" className="jp-mod-styled" disabled={busy} onClick={onBack}>
          {trans.__('Back')}
        </button>
      </div>
    </section>
  );
}
