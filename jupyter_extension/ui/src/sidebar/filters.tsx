import { Button, filterIcon, HTMLSelect } from '@jupyterlab/ui-components';
import { useEffect, useState } from 'react';

import { usePanel } from '../panel';
import { isNarrowed, NO_FILTER, type Filter, type StateGroup } from '../state/filter';
import { useValue } from '../state/observable';
import type { SidebarModel } from './model';

/** How long to wait for another letter. */
const PAUSE = 300;

/** What the list is narrowed to: text and state always, target and tag on demand. */
export function Filters({ model }: { model: SidebarModel }): React.JSX.Element {
  const { trans } = usePanel();
  const filter = useValue(model.list.filter);
  const [more, setMore] = useState(filter.target !== '' || filter.tag !== '');
  const set = (change: Partial<Filter>): void => model.list.setFilter({ ...filter, ...change });
  return (
    <div className="sg-filters" role="search">
      <div className="sg-filters-line">
        <LateInput
          type="search"
          label={trans.__('Search for a name, notes or an id')}
          placeholder={trans.__('Search')}
          value={filter.text}
          onValue={text => set({ text })}
        />
        <HTMLSelect
          className="sg-select"
          aria-label={trans.__('State')}
          value={filter.group}
          onChange={event => set({ group: event.currentTarget.value as StateGroup })}
          options={[
            { value: 'all', label: trans.__('All') },
            { value: 'active', label: trans.__('Active') },
            { value: 'ended', label: trans.__('Ended') },
            { value: 'failed', label: trans.__('Failed') },
          ]}
        />
        <Button
          minimal
          small
          aria-label={trans.__('More filters')}
          title={trans.__('More filters')}
          aria-expanded={more}
          onClick={() => setMore(!more)}
        >
          <filterIcon.react tag="span" />
        </Button>
      </div>
      {more && <MoreFilters model={model} filter={filter} set={set} />}
    </div>
  );
}

function MoreFilters({
  model,
  filter,
  set,
}: {
  model: SidebarModel;
  filter: Filter;
  set: (change: Partial<Filter>) => void;
}): React.JSX.Element {
  const { trans } = usePanel();
  const targets = useValue(model.targets.targets) ?? [];
  const names = new Set(targets.map(target => target.name));
  if (filter.target !== '') {
    names.add(filter.target);
  }
  return (
    <div className="sg-filters-line">
      <HTMLSelect
        className="sg-select"
        aria-label={trans.__('Target')}
        value={filter.target}
        onChange={event => set({ target: event.currentTarget.value })}
        options={[
          { value: '', label: trans.__('Any target') },
          ...[...names].map(name => ({ value: name, label: name })),
        ]}
      />
      <LateInput
        type="text"
        label={trans.__('Tag, as name or name:value')}
        placeholder={trans.__('Tag')}
        value={filter.tag}
        onValue={tag => set({ tag })}
      />
      {isNarrowed(filter) && (
        <Button minimal small onClick={() => model.list.setFilter(NO_FILTER)}>
          {trans.__('Clear')}
        </Button>
      )}
    </div>
  );
}

/** A field whose value counts once nobody types any more. */
function LateInput(props: {
  type: 'search' | 'text';
  label: string;
  placeholder: string;
  value: string;
  onValue: (value: string) => void;
}): React.JSX.Element {
  const { value, onValue } = props;
  const [text, setText] = useState(value);
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    // It was changed from elsewhere: cleared, or restored.
    setSeen(value);
    setText(value);
  }
  useEffect(() => {
    if (text.trim() === value) {
      return;
    }
    const timer = setTimeout(() => {
      setSeen(text.trim());
      onValue(text.trim());
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [text, value, onValue]);
  return (
    <input
      className="jp-mod-styled sg-input"
      type={props.type}
      aria-label={props.label}
      placeholder={props.placeholder}
      title={props.label}
      value={text}
      onChange={event => setText(event.target.value)}
    />
  );
}
