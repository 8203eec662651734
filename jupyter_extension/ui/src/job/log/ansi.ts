/**
 * Lines of a log as a terminal would show them: colours become classes, what else a terminal obeys is left out or
 * made visible, so that no line can hide, reorder or overwrite others. Pure.
 */

/** What is set for the text that follows: colours 0–15 of a terminal, and weight. */
export interface Style {
  fg: number | null;
  bg: number | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

export interface Piece {
  text: string;
  style: Style;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
};

const ESC = '\u001b';
/** A control sequence, a string sequence (titles, links) with its end, or any other escape. */
const SEQUENCE =
  // eslint-disable-next-line no-control-regex
  /\u001b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~]|)/g;
const CONTROL =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Split a line into pieces of one style each; answers the style that goes on in the next line too. */
export function parseLine(line: string, before: Style): { pieces: Piece[]; after: Style } {
  if (!line.includes(ESC)) {
    return { pieces: line === '' ? [] : [{ text: harmless(line), style: before }], after: before };
  }
  const pieces: Piece[] = [];
  let style = before;
  let start = 0;
  const push = (end: number): void => {
    if (end > start) {
      pieces.push({ text: harmless(line.slice(start, end)), style });
    }
  };
  for (const match of line.matchAll(SEQUENCE)) {
    push(match.index);
    start = match.index + match[0].length;
    if (match[2] === 'm') {
      style = applied(style, match[1] ?? '');
    }
  }
  push(line.length);
  return { pieces, after: style };
}

/** A line without any style. */
export function plainText(line: string): string {
  return harmless(line.includes(ESC) ? line.replace(SEQUENCE, '') : line);
}

/** What is left of a line that was written over: what follows its last carriage return. */
export function overwritten(line: string): string {
  const whole = line.endsWith('\r') ? line.replace(/\r+$/, '') : line;
  return whole.slice(whole.lastIndexOf('\r') + 1);
}

/** The classes of a style. */
export function classesOf(style: Style): string {
  if (style === PLAIN) {
    return '';
  }
  const [fg, bg] = style.inverse ? [style.bg ?? 'back', style.fg ?? 'front'] : [style.fg, style.bg];
  return [
    fg === null ? '' : `sg-ansi-fg-${fg}`,
    bg === null ? '' : `sg-ansi-bg-${bg}`,
    style.bold ? 'sg-ansi-bold' : '',
    style.dim ? 'sg-ansi-dim' : '',
    style.italic ? 'sg-ansi-italic' : '',
    style.underline ? 'sg-ansi-underline' : '',
  ]
    .filter(name => name !== '')
    .join(' ');
}

function harmless(text: string): string {
  return text.replace(CONTROL, found => {
    const code = found.charCodeAt(0);
    if (code < 0x20) {
      return String.fromCharCode(0x2400 + code);
    }
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}

function applied(before: Style, parameters: string): Style {
  const numbers = parameters.split(/[;:]/).map(text => (text === '' ? 0 : Number(text)));
  let style: Style = { ...before };
  for (let place = 0; place < numbers.length; place += 1) {
    const code = numbers[place] ?? 0;
    if (code === 38 || code === 48) {
      // 256 colours and true colours: the first 16 are kept, others keep the colour of the text.
      const indexed = numbers[place + 1] === 5;
      const index = numbers[place + 2] ?? 0;
      const colour = indexed && index < 16 ? index : null;
      style = code === 38 ? { ...style, fg: colour } : { ...style, bg: colour };
      place += indexed ? 2 : 4;
    } else {
      style = { ...style, ...changed(code) };
    }
  }
  return same(style, PLAIN) ? PLAIN : style;
}

function changed(code: number): Partial<Style> {
  const flags: Partial<Record<number, Partial<Style>>> = {
    0: PLAIN,
    1: { bold: true },
    2: { dim: true },
    3: { italic: true },
    4: { underline: true },
    7: { inverse: true },
    22: { bold: false, dim: false },
    23: { italic: false },
    24: { underline: false },
    27: { inverse: false },
    39: { fg: null },
    49: { bg: null },
  };
  if (code >= 30 && code <= 37) {
    return { fg: code - 30 };
  }
  if (code >= 40 && code <= 47) {
    return { bg: code - 40 };
  }
  if (code >= 90 && code <= 97) {
    return { fg: code - 90 + 8 };
  }
  if (code >= 100 && code <= 107) {
    return { bg: code - 100 + 8 };
  }
  return flags[code] ?? {};
}

function same(a: Style, b: Style): boolean {
  return (Object.keys(PLAIN) as (keyof Style)[]).every(key => a[key] === b[key]);
}
