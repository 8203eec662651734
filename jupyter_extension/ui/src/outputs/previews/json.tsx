import { Button, caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import { lazy, Suspense, useEffect, useState } from 'react';

import type { OutputFile } from '../../api/models';
import { Notice } from '../../components/notice';
import { usePanel } from '../../panel';
import { wholeOf } from '../ranges';

const TextPreview = lazy(() => import('./text'));
/** Longer documents are shown as text. */
const MOST = 8 * 1024 * 1024;
const CHILDREN = 200;

/** A JSON document as a tree whose branches open. */
export default function JsonPreview({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans, requests } = usePanel();
  const [found, setFound] = useState<{ value: unknown } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [asText, setAsText] = useState(false);
  const large = file.size > MOST;
  // `file` is another object with every answer; what is read depends on the following only.
  const version = `${file.job_id} ${file.store} ${file.path} ${file.size} ${file.digest ?? ''}`;
  useEffect(() => {
    if (large) {
      return;
    }
    const abort = new AbortController();
    wholeOf(requests, file, MOST, abort.signal).then(
      buffer => {
        try {
          setFound({ value: JSON.parse(new TextDecoder().decode(buffer)) as unknown });
          setError(null);
        } catch (problem) {
          setError(problem as Error);
        }
      },
      (problem: unknown) => {
        if (!abort.signal.aborted) {
          setError(problem as Error);
        }
      },
    );
    return () => abort.abort();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [requests, version, large]);
  if (large || error || asText) {
    return (
      <>
        {error && <Notice kind="info">{trans.__('Shown as text: %1', error.message)}</Notice>}
        <Suspense fallback={<p>{trans.__('Loading…')}</p>}>
          <TextPreview file={file} />
        </Suspense>
      </>
    );
  }
  return (
    <div className="sg-look-json">
      <div className="sg-look-bar" role="toolbar" aria-label="JSON">
        <Button small minimal onClick={() => setAsText(true)}>
          {trans.__('Show as text')}
        </Button>
      </div>
      {found ? (
        <ul className="sg-json">
          <JsonNode name={null} value={found.value} depth={0} />
        </ul>
      ) : (
        <p>{trans.__('Loading…')}</p>
      )}
    </div>
  );
}

function childrenOf(value: object): [string, unknown][] {
  return Array.isArray(value)
    ? value.map((item, index): [string, unknown] => [String(index), item])
    : Object.entries(value);
}

/** A value with its name; branches open and close. */
export function JsonNode({
  name,
  value,
  depth,
}: {
  name: string | null;
  value: unknown;
  depth: number;
}): React.JSX.Element {
  const { trans } = usePanel();
  const [open, setOpen] = useState(depth < 2);
  const [shown, setShown] = useState(CHILDREN);
  const label = name === null ? null : <span className="sg-json-name">{name}: </span>;
  if (typeof value !== 'object' || value === null) {
    return (
      <li>
        {label}
        <span className={`sg-json-value sg-json-${value === null ? 'null' : typeof value}`}>
          {JSON.stringify(value)}
        </span>
      </li>
    );
  }
  const children = childrenOf(value);
  const summary = Array.isArray(value)
    ? trans._n('[%1 item]', '[%1 items]', children.length)
    : trans._n('{%1 member}', '{%1 members}', children.length);
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <li>
      <button
        type="button"
        className="sg-json-branch"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Caret.react tag="span" className="sg-tree-icon" aria-hidden="true" />
        {label}
        <span className="sg-json-summary">{summary}</span>
      </button>
      {open && (
        <ul>
          {children.slice(0, shown).map(([key, child]) => (
            <JsonNode key={key} name={key} value={child} depth={depth + 1} />
          ))}
          {children.length > shown && (
            <li>
              <Button small minimal onClick={() => setShown(shown + CHILDREN)}>
                {trans.__('%1 more', children.length - shown)}
              </Button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}
