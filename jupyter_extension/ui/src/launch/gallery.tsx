import { useState } from 'react';

import type { CaseSummary } from '../api/models';
import { address } from '../api/requests';
import { ErrorNotice, Notice } from '../components/notice';
import { usePanel } from '../panel';
import { plainParagraphs } from './schema';
import { useLoaded } from './loading';

interface Props {
  onChoose: (name: string) => void;
  onContainer: () => void;
  onCrate: () => void;
}

/** All cases, with their pictures. */
export function Gallery({ onChoose, onContainer, onCrate }: Props): React.JSX.Element {
  const { requests, trans } = usePanel();
  const [wanted, setWanted] = useState('');
  const cases = useLoaded('cases', signal =>
    requests.get<{ items: CaseSummary[] }>('/api/v1/cases', {}, signal),
  );
  const words = wanted.toLowerCase();
  const shown = (cases.value?.items ?? []).filter(item =>
    `${item.name} ${item.label} ${item.description}`.toLowerCase().includes(words),
  );
  return (
    <div className="sg-gallery">
      <h1>{trans.__('What do you want to run?')}</h1>
      <input
        className="jp-mod-styled sg-gallery-search"
        type="search"
        aria-label={trans.__('Search the cases')}
        placeholder={trans.__('Search…')}
        value={wanted}
        onChange={event => setWanted(event.target.value)}
      />
      {cases.error && <ErrorNotice error={cases.error} />}
      {!cases.value && !cases.error && <div role="status">{trans.__('Loading the cases…')}</div>}
      <ul className="sg-cards" aria-label={trans.__('Cases')}>
        {shown.map(item => (
          <li key={item.name}>
            <button type="button" className="sg-card" onClick={() => onChoose(item.name)}>
              <Picture item={item} />
              <span className="sg-card-title">{item.label}</span>
              <span className="sg-card-text">{plainParagraphs(item.description)[0]}</span>
              {item.image.state === 'not_built' && (
                <span className="sg-card-mark">{trans.__('image not built yet')}</span>
              )}
            </button>
          </li>
        ))}
        <li>
          <button type="button" className="sg-card" onClick={onContainer}>
            <span className="sg-card-picture sg-card-own" aria-hidden="true">
              $_
            </span>
            <span className="sg-card-title">{trans.__('My own container')}</span>
            <span className="sg-card-text">
              {trans.__('Any image and a script; outputs by pattern.')}
            </span>
          </button>
        </li>
        <li>
          <button type="button" className="sg-card" onClick={onCrate}>
            <span className="sg-card-picture sg-card-own" aria-hidden="true">
              ↻
            </span>
            <span className="sg-card-title">{trans.__('From an RO-Crate')}</span>
            <span className="sg-card-text">
              {trans.__('Run again what was run here or at another gateway.')}
            </span>
          </button>
        </li>
      </ul>
      {cases.value && shown.length === 0 && words !== '' && (
        <Notice kind="info">
          {trans.__('No case has "%1" in its name or description.', wanted)}
        </Notice>
      )}
    </div>
  );
}

function Picture({ item }: { item: CaseSummary }): React.JSX.Element {
  const { requests } = usePanel();
  if (!item.thumbnail) {
    return (
      <span className="sg-card-picture sg-card-own" aria-hidden="true">
        {item.label.slice(0, 1)}
      </span>
    );
  }
  const source = requests.url(address('cases', item.name, 'thumbnail'), { version: item.version });
  return <img className="sg-card-picture" src={source} alt="" loading="lazy" />;
}
