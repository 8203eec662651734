import { usePanel } from '../../panel';

interface SearchProps {
  query: string;
  count: number;
  current: number;
  onQuery: (query: string) => void;
  onStep: (step: number) => void;
}

/** Search with the number of rows that were found; Enter goes on, Shift+Enter back. */
export function Search(props: SearchProps): React.JSX.Element {
  const { query, count, current, onQuery, onStep } = props;
  const { trans } = usePanel();
  const some = count > 0;
  return (
    <span className="sg-log-search" role="search">
      <input
        type="search"
        className="jp-mod-styled"
        value={query}
        placeholder={trans.__('Search')}
        aria-label={trans.__('Search in the log')}
        onChange={event => onQuery(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            event.preventDefault();
            onStep(event.shiftKey ? -1 : 1);
          }
        }}
      />
      <span className="sg-log-count" role="status">
        {query === ''
          ? ''
          : some
            ? trans.__('%1 of %2', current + 1, count)
            : trans.__('not found')}
      </span>
      <button
        type="button"
        className="jp-mod-styled"
        disabled={!some}
        aria-label={trans.__('Previous line found')}
        onClick={() => onStep(-1)}
      >
        ↑
      </button>
      <button
        type="button"
        className="jp-mod-styled"
        disabled={!some}
        aria-label={trans.__('Next line found')}
        onClick={() => onStep(1)}
      >
        ↓
      </button>
    </span>
  );
}
