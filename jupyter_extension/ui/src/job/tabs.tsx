import { useId, useRef, useState, type ReactNode } from 'react';

import { ShownContext, useShown } from '../components/shown';
import { usePanel } from '../panel';

export interface TabContent {
  id: string;
  label: string;
  render: () => ReactNode;
}

interface TabsProps {
  tabs: TabContent[];
  chosen: string;
  onChoose: (id: string) => void;
}

/** Tabs by the keyboard too (arrows, Home, End). A tab is drawn when it is first opened, and kept from then on. */
export function Tabs({ tabs, chosen, onChoose }: TabsProps): React.JSX.Element {
  const { trans } = usePanel();
  const shown = useShown();
  const base = useId();
  const list = useRef<HTMLDivElement>(null);
  const [visited, setVisited] = useState<ReadonlySet<string>>(new Set([chosen]));
  if (!visited.has(chosen)) {
    setVisited(new Set([...visited, chosen]));
  }
  const go = (index: number): void => {
    const place = (index + tabs.length) % tabs.length;
    const tab = tabs[place];
    if (tab) {
      onChoose(tab.id);
      list.current?.querySelectorAll<HTMLElement>('[role=tab]')[place]?.focus();
    }
  };
  const onKeyDown = (event: React.KeyboardEvent, index: number): void => {
    const aims: Partial<Record<string, number>> = {
      ArrowRight: index + 1,
      ArrowLeft: index - 1,
      Home: 0,
      End: tabs.length - 1,
    };
    const aim = aims[event.key];
    if (aim !== undefined) {
      event.preventDefault();
      go(aim);
    }
  };
  return (
    <>
      <div
        ref={list}
        className="sg-job-tabs"
        role="tablist"
        aria-label={trans.__('Parts of the job')}
      >
        {tabs.map((tab, index) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${base}-${tab.id}`}
            aria-selected={tab.id === chosen}
            aria-controls={`${base}-${tab.id}-panel`}
            tabIndex={tab.id === chosen ? 0 : -1}
            onClick={() => onChoose(tab.id)}
            onKeyDown={event => onKeyDown(event, index)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      {tabs.map(tab => (
        <div
          key={tab.id}
          role="tabpanel"
          id={`${base}-${tab.id}-panel`}
          aria-labelledby={`${base}-${tab.id}`}
          className="sg-job-panel"
          hidden={tab.id !== chosen}
        >
          <ShownContext.Provider value={shown && tab.id === chosen}>
            {visited.has(tab.id) && tab.render()}
          </ShownContext.Provider>
        </div>
      ))}
    </>
  );
}
