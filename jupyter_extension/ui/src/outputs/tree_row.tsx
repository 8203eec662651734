import { fileIcon, folderIcon, caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import { memo, useEffect } from 'react';

import { textOf } from '../api/problems';
import { bytesText } from '../components/bytes';
import { baseName } from '../components/output_files';
import { usePanel } from '../panel';
import { StateMark } from './marks';
import type { Row } from './tree';

interface Props {
  row: Row;
  id: string;
  top: number;
  selected: boolean;
  focused: boolean;
  /** Show whole paths, as in the answer to a search. */
  flat: boolean;
  onChoose: (row: Row, event: React.MouseEvent) => void;
  onToggle: (row: Row) => void;
  onMore: (prefix: string) => void;
}

/** One line of the tree. */
export const TreeRow = memo(function TreeRow(props: Props): React.JSX.Element {
  const { row, id, top, selected, focused } = props;
  const place = 'at' in row ? row.at : null;
  return (
    <div
      id={id}
      role="treeitem"
      className={`sg-tree-row${selected ? ' sg-mod-selected' : ''}${focused ? ' sg-mod-focused' : ''}`}
      style={{ transform: `translateY(${top}px)`, paddingLeft: 6 + 14 * row.depth }}
      aria-level={row.depth + 1}
      aria-selected={selected}
      aria-expanded={row.kind === 'folder' ? row.open : undefined}
      aria-posinset={place?.index}
      aria-setsize={place?.of}
      title={row.kind === 'file' || row.kind === 'folder' ? row.name : undefined}
      onClick={event => props.onChoose(row, event)}
      onDoubleClick={() => props.onToggle(row)}
    >
      <Content {...props} />
    </div>
  );
});

function Content({ row, flat, onToggle, onMore }: Props): React.JSX.Element {
  const { trans } = usePanel();
  if (row.kind === 'more') {
    return <More prefix={row.prefix} onMore={onMore} />;
  }
  if (row.kind === 'error') {
    return (
      <span className="sg-tree-error">
        {trans.__('%1 — choose to try again', textOf(row.error))}
      </span>
    );
  }
  if (row.kind === 'file') {
    return (
      <>
        <fileIcon.react tag="span" className="sg-tree-icon sg-tree-file" aria-hidden="true" />
        <span className="sg-tree-name">{flat ? row.name : baseName(row.name)}</span>
        <StateMark file={row.file} />
        <span className="sg-tree-size">{bytesText(row.file.size)}</span>
      </>
    );
  }
  const Caret = row.open ? caretDownIcon : caretRightIcon;
  return (
    <>
      <span
        className="sg-tree-caret"
        aria-hidden="true"
        onClick={event => {
          event.stopPropagation();
          onToggle(row);
        }}
      >
        <Caret.react tag="span" className="sg-tree-icon" />
      </span>
      <folderIcon.react tag="span" className="sg-tree-icon" aria-hidden="true" />
      <span className="sg-tree-name">{baseName(row.name)}</span>
      <span className="sg-tree-count">{trans._n('%1 file', '%1 files', row.folder.count)}</span>
      <span className="sg-tree-size">{bytesText(row.folder.bytes)}</span>
    </>
  );
}

/** The end of what is loaded: coming into view asks for more. */
function More({
  prefix,
  onMore,
}: {
  prefix: string;
  onMore: (prefix: string) => void;
}): React.JSX.Element {
  const { trans } = usePanel();
  useEffect(() => {
    onMore(prefix);
  });
  return <span className="sg-tree-more">{trans.__('Loading more…')}</span>;
}
