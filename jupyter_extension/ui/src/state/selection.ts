/** What is chosen in a list of rows, by keyboard and mouse. Pure. */
export interface Selection {
  /** The row that keys act on. */
  active: string | null;
  /** Where a range begins. */
  anchor: string | null;
  chosen: ReadonlySet<string>;
}

export const NOTHING_CHOSEN: Selection = { active: null, anchor: null, chosen: new Set() };

export interface Modifiers {
  /** From the anchor to here. */
  extend: boolean;
  /** This one too. */
  toggle: boolean;
}

export const PLAIN: Modifiers = { extend: false, toggle: false };

/** A row was clicked, or Space was pressed on it. */
export function choose(
  selection: Selection,
  keys: readonly string[],
  key: string,
  { extend, toggle }: Modifiers,
): Selection {
  if (extend && selection.anchor !== null && keys.includes(selection.anchor)) {
    return { ...selection, active: key, chosen: range(keys, selection.anchor, key) };
  }
  if (toggle) {
    const chosen = new Set(selection.chosen);
    if (!chosen.delete(key)) {
      chosen.add(key);
    }
    return { active: key, anchor: key, chosen };
  }
  return { active: key, anchor: key, chosen: new Set([key]) };
}

/** An arrow, Home or End was pressed. Without Shift only the place of the keyboard moves. */
export function move(
  selection: Selection,
  keys: readonly string[],
  to: number,
  extend: boolean,
): Selection {
  const key = keys[Math.min(keys.length - 1, Math.max(0, to))];
  if (key === undefined) {
    return NOTHING_CHOSEN;
  }
  if (!extend) {
    return { ...selection, active: key, anchor: key };
  }
  const anchor = selection.anchor ?? selection.active ?? key;
  return { active: key, anchor, chosen: range(keys, anchor, key) };
}

/** What is left of a selection after rows have gone. */
export function prune(selection: Selection, there: ReadonlySet<string>): Selection {
  const chosen = [...selection.chosen].filter(key => there.has(key));
  const active = selection.active !== null && there.has(selection.active) ? selection.active : null;
  if (chosen.length === selection.chosen.size && active === selection.active) {
    return selection;
  }
  const anchor = selection.anchor !== null && there.has(selection.anchor) ? selection.anchor : null;
  return { active, anchor, chosen: new Set(chosen) };
}

function range(keys: readonly string[], from: string, to: string): Set<string> {
  const [a, b] = [keys.indexOf(from), keys.indexOf(to)];
  return new Set(a === -1 ? [to] : keys.slice(Math.min(a, b), Math.max(a, b) + 1));
}
