import { defaultRangeExtractor, useVirtualizer, type Range } from '@tanstack/react-virtual';
import { useCallback, useEffect, useId, useRef, useState } from 'react';

import { usePanel } from '../panel';
import { useValue } from '../state/observable';
import { useAnchor, useNewOnTop } from './anchor';
import { pressKey } from './keys';
import { ListRow } from './list_row';
import type { SidebarModel } from './model';

/** Every row has the same height, so that ten thousand of them need not be measured. */
export const ROW_HEIGHT = 48;

/** The rows as a tree: sweeps can be opened. Only those that can be seen are drawn. */
export function JobTree({ model }: { model: SidebarModel }): React.JSX.Element {
  const { trans } = usePanel();
  const rows = useValue(model.list.rows);
  const selection = useValue(model.selection);
  const box = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState(false);
  const prefix = useId();
  const active = rows.findIndex(row => row.key === selection.active);

  // The row that the keyboard is on is always there, for those who hear the screen.
  const rangeExtractor = useCallback(
    (range: Range) => {
      const seen = defaultRangeExtractor(range);
      return active === -1 || seen.includes(active)
        ? seen
        : [...seen, active].sort((a, b) => a - b);
    },
    [active],
  );
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: index => rows[index]?.key ?? index,
    overscan: 6,
    rangeExtractor,
  });
  const first = virtual.range?.startIndex ?? 0;
  const last = virtual.range?.endIndex ?? 0;

  useEffect(() => model.list.look(first, last), [model, first, last]);
  useAnchor(box, rows, ROW_HEIGHT);
  const fresh = useNewOnTop(rows, first);
  useEffect(() => {
    if (active !== -1 && box.current?.contains(document.activeElement)) {
      virtual.scrollToIndex(active);
    }
    // Only where the keyboard has moved, not where rows came or went.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [selection.active]);

  return (
    <div className="sg-list-frame">
      {fresh > 0 && (
        <button
          className="sg-new-on-top jp-mod-styled jp-mod-accept"
          onClick={() => virtual.scrollToIndex(0)}
        >
          {trans._n('%1 new', '%1 new', fresh)}
        </button>
      )}
      <div
        ref={box}
        className="sg-list"
        role="tree"
        aria-label={trans.__('Jobs, newest first')}
        aria-multiselectable="true"
        aria-activedescendant={active === -1 ? undefined : `${prefix}${rows[active]?.key ?? ''}`}
        tabIndex={0}
        onFocus={() => {
          setFocused(true);
          const top = rows[first];
          if (active === -1 && top) {
            model.selection.set({ ...model.selection.value, active: top.key });
          }
        }}
        onBlur={() => setFocused(false)}
        onKeyDown={event => {
          const menu = event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey);
          if (menu ? openMenu(`${prefix}${selection.active ?? ''}`) : pressKey(model, event)) {
            event.preventDefault();
            event.stopPropagation();
          }
        }}
      >
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {virtual.getVirtualItems().map(item => {
            const row = rows[item.index];
            return (
              row && (
                <ListRow
                  key={item.key}
                  id={`${prefix}${row.key}`}
                  row={row}
                  model={model}
                  top={item.start}
                  number={item.index + 1}
                  count={rows.at(-1)?.kind === 'more' ? -1 : rows.length}
                  chosen={selection.chosen.has(row.key)}
                  active={focused && row.key === selection.active}
                />
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** The menu of a row, as the mouse opens it. */
function openMenu(id: string): boolean {
  const node = document.getElementById(id);
  if (!node) {
    return false;
  }
  const place = node.getBoundingClientRect();
  node.dispatchEvent(
    new MouseEvent('contextmenu', {
      bubbles: true,
      cancelable: true,
      clientX: place.left + 24,
      clientY: place.bottom - 8,
    }),
  );
  return true;
}
