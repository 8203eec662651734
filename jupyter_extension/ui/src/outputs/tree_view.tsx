import { useVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useEffect, useId, useRef } from 'react';

import { choose, neighbour, parentRow, type Selection, type Way } from './selection';
import type { Row } from './tree';
import { TreeRow } from './tree_row';

const ROW = 24;

interface Props {
  rows: readonly Row[];
  label: string;
  selection: Selection;
  flat?: boolean;
  onSelect: (selection: Selection) => void;
  onOpen: (prefix: string) => void;
  onClose: (prefix: string) => void;
  onMore: (prefix: string) => void;
}

/** The outputs as a tree for mouse and keyboard; only what is in view is drawn. */
export function TreeView(props: Props): React.JSX.Element {
  const { rows, selection, onSelect, onOpen, onClose, onMore } = props;
  const id = useId();
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW,
    overscan: 8,
    getItemKey: index => rows[index]?.name ?? index,
  });

  const current = useRef({ rows, selection, onSelect });
  current.current = { rows, selection, onSelect };
  const pick = useCallback((name: string, way: Way) => {
    const now = current.current;
    now.onSelect(choose(now.selection, now.rows, name, way));
  }, []);
  const toggle = useCallback(
    (row: Row) => {
      if (row.kind === 'folder') {
        (row.open ? onClose : onOpen)(row.name);
      }
    },
    [onOpen, onClose],
  );
  const click = useCallback(
    (row: Row, event: React.MouseEvent) => {
      if (row.kind === 'more' || row.kind === 'error') {
        onMore(row.prefix);
        return;
      }
      const way = event.shiftKey ? 'range' : event.ctrlKey || event.metaKey ? 'toggle' : 'only';
      pick(row.name, way);
    },
    [onMore, pick],
  );

  const focusedAt = rows.findIndex(row => row.name === selection.focused);
  const items = virtual.getVirtualItems();
  const isDrawn = items.some(item => item.index === focusedAt);
  const wanted = useRef(selection.focused);
  useEffect(() => {
    // Only a step of the keyboard scrolls: rows that come and go leave the view where it is.
    if (wanted.current !== selection.focused) {
      wanted.current = selection.focused;
      if (focusedAt >= 0) {
        virtual.scrollToIndex(focusedAt, { align: 'auto' });
      }
    }
  }, [selection.focused, focusedAt, virtual]);

  const press = (event: React.KeyboardEvent): void => {
    if (pressed(event, props, pick, toggle, Math.max(1, items.length - 16))) {
      event.preventDefault();
      event.stopPropagation();
    }
  };

  return (
    <div
      ref={frame}
      className="sg-tree"
      role="tree"
      aria-label={props.label}
      aria-multiselectable="true"
      aria-activedescendant={isDrawn ? `${id}-${focusedAt}` : undefined}
      tabIndex={0}
      onKeyDown={press}
      onFocus={() => {
        const first = rows[0];
        if (selection.focused === null && first) {
          pick(first.name, 'focus');
        }
      }}
    >
      <div role="presentation" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {items.map(item => {
          const row = rows[item.index];
          return (
            row && (
              <TreeRow
                key={item.key}
                row={row}
                id={`${id}-${item.index}`}
                top={item.start}
                selected={selection.selected.has(row.name)}
                focused={item.index === focusedAt}
                flat={props.flat === true}
                onChoose={click}
                onToggle={toggle}
                onMore={onMore}
              />
            )
          );
        })}
      </div>
    </div>
  );
}

/** What a key does; whether it did anything. */
function pressed(
  event: React.KeyboardEvent,
  { rows, selection, onOpen, onClose, onMore, onSelect }: Props,
  pick: (name: string, way: Way) => void,
  toggle: (row: Row) => void,
  page: number,
): boolean {
  const at = rows.find(row => row.name === selection.focused);
  const to = neighbour(rows, selection.focused, event.key, page);
  if (to) {
    pick(to.name, event.shiftKey ? 'range' : event.ctrlKey || event.metaKey ? 'focus' : 'only');
    return true;
  }
  if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
    const all = rows.filter(row => row.kind === 'file').map(row => row.name);
    onSelect({ ...selection, selected: new Set(all) });
    return true;
  }
  if (!at) {
    return false;
  }
  if (at.kind === 'more' || at.kind === 'error') {
    if (event.key === 'Enter' || event.key === ' ') {
      onMore(at.prefix);
      return true;
    }
    return false;
  }
  switch (event.key) {
    case 'ArrowRight':
      if (at.kind === 'folder' && !at.open) {
        onOpen(at.name);
      } else if (at.kind === 'folder') {
        const inside = rows[rows.indexOf(at) + 1];
        if (inside && inside.depth > at.depth) {
          pick(inside.name, 'only');
        }
      }
      return true;
    case 'ArrowLeft': {
      const parent = parentRow(rows, at.name);
      if (at.kind === 'folder' && at.open) {
        onClose(at.name);
      } else if (parent) {
        pick(parent.name, 'only');
      }
      return true;
    }
    case 'Enter':
      toggle(at);
      pick(at.name, 'only');
      return true;
    case ' ':
      pick(at.name, 'toggle');
      return true;
    default:
      return false;
  }
}
