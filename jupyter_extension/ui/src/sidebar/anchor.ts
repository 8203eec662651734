import { useLayoutEffect, useRef, useState, type RefObject } from 'react';

import type { Row } from '../state/job_rows';

/** Keep what somebody looks at where it is when rows come or go above it. */
export function useAnchor(
  box: RefObject<HTMLElement | null>,
  rows: readonly Row[],
  height: number,
): void {
  const before = useRef(rows);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = rows;
    const node = box.current;
    if (!node || node.scrollTop === 0 || old === rows) {
      return;
    }
    const first = Math.floor(node.scrollTop / height);
    if (rows[first]?.key === old[first]?.key) {
      return;
    }
    const places = new Map(rows.map((row, index) => [row.key, index]));
    // Where the first row has gone itself, the next one that is still there holds the place.
    for (let index = first; index < Math.min(first + 30, old.length); index += 1) {
      const row = old[index];
      const now = row && row.kind !== 'more' ? places.get(row.key) : undefined;
      if (now !== undefined) {
        if (now !== index) {
          node.scrollTop += (now - index) * height;
        }
        return;
      }
    }
  }, [box, rows, height]);
}

/** How many rows came on top since somebody last looked there. */
export function useNewOnTop(rows: readonly Row[], first: number): number {
  const [seen, setSeen] = useState<string | null>(null);
  const top = rows[0];
  const topKey = top && top.kind !== 'more' ? top.key : null;
  if (first === 0 && seen !== topKey) {
    setSeen(topKey);
  }
  if (first === 0 || seen === null) {
    return 0;
  }
  return Math.max(
    0,
    rows.findIndex(row => row.key === seen),
  );
}
