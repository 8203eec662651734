import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { Status } from '../api/models';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { CheckedSince } from './age';
import type { SidebarModel } from './model';

/** What is wrong with the gateway or the way to it, and what to do about it. */
export function Banner({ model }: { model: SidebarModel }): React.JSX.Element | null {
  const { trans, status: known } = usePanel();
  const status = useValue(known);
  const { error } = useValue(model.list.loading);
  const since = useValue(model.staleSince);
  if (!status || status.state === 'starting') {
    return <Notice kind="info">{trans.__('The gateway is starting…')}</Notice>;
  }
  if (status.state === 'needs_token') {
    return <TokenField status={status} />;
  }
  if (status.state !== 'ready') {
    return <Away status={status} since={since} />;
  }
  return (
    <>
      {error && <ErrorNotice error={error} />}
      {since !== null && !error && (
        <div className="sg-note" role="status">
          {trans.__('Connecting…')} <CheckedSince since={since} />
        </div>
      )}
      {status.lease === 'elsewhere' && (
        <div className="sg-note">
          {trans.__('Another server of yours drives the jobs; this one shows them.')}
        </div>
      )}
    </>
  );
}

function Away({ status, since }: { status: Status; since: number | null }): React.JSX.Element {
  const { trans, refreshStatus } = usePanel();
  const title =
    status.state === 'failed'
      ? trans.__('The gateway could not start')
      : trans.__('The gateway cannot be reached');
  return (
    <Notice kind={status.state === 'failed' ? 'error' : 'warning'}>
      <strong>{title}</strong>
      {status.message && <div>{status.message}</div>}
      {status.hint && <div className="sg-notice-hint">{status.hint}</div>}
      {since !== null && <CheckedSince since={since} />}
      <div className="sg-notice-actions">
        <Button small onClick={() => void refreshStatus()}>
          {trans.__('Try again')}
        </Button>
      </div>
    </Notice>
  );
}

/** The person's token for a shared gateway: goes to the Jupyter server once and stays there. */
function TokenField({ status }: { status: Status }): React.JSX.Element {
  const { trans, requests, refreshStatus } = usePanel();
  const [token, setToken] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const send = async (): Promise<void> => {
    setBusy(true);
    try {
      await requests.put('token', { token: token.trim() });
      setToken('');
      setError(null);
      await refreshStatus();
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error(String(problem)));
    }
    setBusy(false);
  };
  return (
    <form
      className="sg-token"
      onSubmit={event => {
        event.preventDefault();
        void send();
      }}
    >
      <Notice kind="info">
        <strong>{trans.__('This gateway needs your token')}</strong>
        {status.url && <div>{status.url}</div>}
        {status.message && <div>{status.message}</div>}
        {status.hint && <div className="sg-notice-hint">{status.hint}</div>}
      </Notice>
      <label>
        {trans.__('Token')}
        <input
          className="jp-mod-styled"
          type="password"
          autoComplete="off"
          value={token}
          onChange={event => setToken(event.target.value)}
        />
      </label>
      <div className="sg-note">
        {trans.__('It is kept on the Jupyter server; this page does not see it again.')}
      </div>
      {error && <ErrorNotice error={error} />}
      <Button
        className="jp-mod-styled jp-mod-accept"
        type="submit"
        disabled={busy || !token.trim()}
      >
        {trans.__('Connect')}
      </Button>
    </form>
  );
}
