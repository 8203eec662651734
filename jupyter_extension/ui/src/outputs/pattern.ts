/** Patterns as in a specification: `**` any depth, `*`, `?` and `[…]` within one name. Plain text is looked for anywhere. */
export function matcher(pattern: string): (path: string) => boolean {
  const text = pattern.trim();
  if (!/[*?]|\[[^/]+\]/.test(text)) {
    const wanted = text.toLowerCase();
    return path => path.toLowerCase().includes(wanted);
  }
  // Without a slash a pattern means names in any folder, as people expect of a filter.
  const whole = text.includes('/') ? text : `**/${text}`;
  const expression = new RegExp(`^${translate(whole)}$`, 'su');
  return path => expression.test(path);
}

/** The folder that all matches stand in, with its slash: nothing else needs to be listed. */
export function fixedFolder(pattern: string): string {
  const text = pattern.trim();
  const first = text.search(/[*?[]/);
  return first < 0 ? '' : text.slice(0, text.lastIndexOf('/', first) + 1);
}

const SPECIAL = /[.+^${}()|\\/]/;

function translate(pattern: string): string {
  let found = '';
  const characters = Array.from(pattern);
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    if (character === '*' && characters[i + 1] === '*') {
      const folders = characters[i + 2] === '/';
      found += folders ? '(?:.*/)?' : '.*';
      i += folders ? 2 : 1;
    } else if (character === '*') {
      found += '[^/]*';
    } else if (character === '?') {
      found += '[^/]';
    } else if (character === '[') {
      const set = bracket(characters, i);
      found += set.text;
      i = set.end;
    } else {
      found += escaped(character);
    }
  }
  return found;
}

/** `[a-z]`, `[!x]`; an opening bracket without its end is itself. */
function bracket(characters: string[], start: number): { text: string; end: number } {
  const negated = characters[start + 1] === '!' || characters[start + 1] === '^';
  const first = start + (negated ? 2 : 1);
  const end = characters.indexOf(']', first + 1);
  const inside = characters.slice(first, end);
  if (end < 0 || inside.includes('/')) {
    return { text: '\\[', end: start };
  }
  const ranges: string[] = [];
  for (let i = 0; i < inside.length; i++) {
    const from = inside[i] ?? '';
    const to = inside[i + 1] === '-' ? inside[i + 2] : undefined;
    if (to === undefined) {
      ranges.push(inSet(from));
    } else {
      if (from <= to) {
        ranges.push(`${inSet(from)}-${inSet(to)}`);
      }
      i += 2;
    }
  }
  const set = ranges.join('');
  if (set === '') {
    return { text: negated ? '[^/]' : '(?!)', end };
  }
  return { text: negated ? `[^/${set}]` : `[${set}]`, end };
}

function inSet(character: string): string {
  return /[\\\]^[-]/.test(character) ? `\\${character}` : character;
}

function escaped(character: string): string {
  return SPECIAL.test(character) || character === ']' ? `\\${character}` : character;
}

/** The pattern that fits one path only. */
export function patternOf(path: string): string {
  return path.replace(/[\\*?[\]{}]/g, found => `\\${found}`);
}
