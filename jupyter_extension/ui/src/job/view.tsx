import { useEffect } from 'react';

import { ErrorNotice, Notice } from '../components/notice';
import { ShownContext } from '../components/shown';
import { usePanel } from '../panel';
import { useValue, type Observable } from '../state/observable';
import { Header } from './header';
import { Tabs } from './tabs';

interface JobViewProps {
  id: string;
  /** The id of the tab that is open. */
  tab: Observable<string>;
  /** Whether the widget can be seen. */
  shown: Observable<boolean>;
}

/** One job: its head, and the tabs that the features have registered. */
export function JobView({ id, tab, shown }: JobViewProps): React.JSX.Element {
  const panel = usePanel();
  const { jobs, tabs, trans } = panel;
  const known = useValue(jobs.of(id));
  const status = useValue(panel.status);
  const chosen = useValue(tab);
  const visible = useValue(shown);
  const { job } = known;
  const ready = status?.state === 'ready';
  useEffect(() => {
    if (ready) {
      void jobs.refresh(id);
    }
  }, [jobs, id, ready]);
  if (known.gone) {
    return (
      <div className="sg-job">
        <Notice kind="warning">
          {trans.__('There is no such job: it was deleted, or it belongs to somebody else.')}{' '}
          <code>{id}</code>
        </Notice>
      </div>
    );
  }
  if (!job) {
    return (
      <div className="sg-job">
        {known.error && ready ? (
          <ErrorNotice error={known.error} />
        ) : (
          <p className="sg-job-quiet" role="status">
            {ready || !status
              ? trans.__('Reading…')
              : trans.__('The gateway does not answer yet. The job is shown once it does.')}
          </p>
        )}
      </div>
    );
  }
  const open = tabs
    .filter(one => one.applies?.(job) ?? true)
    .sort((a, b) => a.rank - b.rank)
    .map(one => ({ id: one.id, label: one.label(trans), render: () => one.render(job) }));
  const there = open.some(one => one.id === chosen) ? chosen : (open[0]?.id ?? '');
  return (
    <ShownContext.Provider value={visible}>
      <div className="sg-job">
        <Header job={job} known={known} />
        <Tabs tabs={open} chosen={there} onChoose={name => tab.set(name)} />
      </div>
    </ShownContext.Provider>
  );
}
