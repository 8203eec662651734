/** A table out of separated text. */
export interface Table {
  header: string[];
  rows: string[][];
  /** Rows with another number of fields than the header. */
  ragged: number;
  separator: string;
}

const SEPARATORS = [',', '\t', ';', '|'];

/** The separator that divides the first lines most evenly. */
export function guessSeparator(text: string): string {
  const sample = text.slice(0, 20_000);
  let best = ',';
  let bestScore = 0;
  for (const separator of SEPARATORS) {
    const counts = split(sample, separator, 20)
      .slice(0, 20)
      .map(row => row.length);
    const first = counts[0] ?? 1;
    const same = counts.filter(count => count === first).length / Math.max(1, counts.length);
    const score = first > 1 ? same * 1000 + first : 0;
    if (score > bestScore) {
      best = separator;
      bestScore = score;
    }
  }
  return best;
}

/** Read a table as RFC 4180 and people write it: quotes, any line end, comments (`#`) at the top. */
export function parseTable(text: string, separator = guessSeparator(text)): Table {
  const body = withoutComments(text.replace(/^\ufeff/, ''), separator);
  const all = split(body, separator).filter(row => row.length > 1 || row[0] !== '');
  const first = all[0] ?? [];
  const hasNames = first.some(field => field.trim() !== '' && numberOf(field) === null);
  const width = hasNames ? first.length : Math.max(0, ...all.slice(0, 1000).map(row => row.length));
  const header = hasNames
    ? first.map(field => field.trim())
    : Array.from({ length: width }, (_, i) => `${i + 1}`);
  const rows = hasNames ? all.slice(1) : all;
  const ragged = rows.filter(row => row.length !== header.length).length;
  return { header: distinct(header), rows, ragged, separator };
}

/** Comments above a table are left out, but for a last one that is its header: `# time,Ux,Uy`. */
function withoutComments(text: string, separator: string): string {
  const leading = /^(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\n|\r))*/.exec(text)?.[0] ?? '';
  const rest = text.slice(leading.length);
  const last =
    leading
      .trim()
      .split(/[\r\n]+/)
      .at(-1)
      ?.replace(/^\s*#+\s*/, '') ?? '';
  const columns = (line: string): number => split(line, separator, 1)[0]?.length ?? 0;
  return last !== '' && columns(last) > 1 && columns(last) === columns(rest)
    ? `${last}\n${rest}`
    : rest;
}

function distinct(names: string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name, index) => {
    const shown = name === '' ? `${index + 1}` : name;
    const before = seen.get(shown) ?? 0;
    seen.set(shown, before + 1);
    return before === 0 ? shown : `${shown} (${before + 1})`;
  });
}

/** All rows; with `most`, no more than so many. */
function split(text: string, separator: string, most = Infinity): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let place = 0;
  while (place < text.length && rows.length < most) {
    const field = readField(text, place, separator);
    row.push(field.value);
    place = field.end;
    if (text[place] === separator) {
      place += 1;
      if (place === text.length) {
        row.push('');
      }
      continue;
    }
    if (text[place] === '\r' && text[place + 1] === '\n') {
      place += 1;
    }
    place += 1;
    rows.push(row);
    row = [];
  }
  if (row.length > 0) {
    rows.push(row);
  }
  return rows;
}

function readField(text: string, start: number, separator: string): { value: string; end: number } {
  if (text[start] === '"') {
    let value = '';
    let place = start + 1;
    for (;;) {
      const quote = text.indexOf('"', place);
      if (quote < 0) {
        return { value: value + text.slice(place), end: text.length };
      }
      value += text.slice(place, quote);
      if (text[quote + 1] === '"') {
        value += '"';
        place = quote + 2;
        continue;
      }
      // What stands between the closing quote and the separator belongs to the field.
      const rest = plainEnd(text, quote + 1, separator);
      return { value: value + text.slice(quote + 1, rest), end: rest };
    }
  }
  const end = plainEnd(text, start, separator);
  return { value: text.slice(start, end), end };
}

function plainEnd(text: string, start: number, separator: string): number {
  let place = start;
  while (place < text.length) {
    const character = text[place];
    if (character === separator || character === '\n' || character === '\r') {
      break;
    }
    place += 1;
  }
  return place;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?$/;

/** The number that a field is, Fortran's `1.0D-3` too; null: it is none. */
export function numberOf(field: string): number | null {
  const text = field.trim();
  if (/^[+-]?(nan|inf(inity)?)$/i.test(text)) {
    return /nan/i.test(text) ? NaN : text.startsWith('-') ? -Infinity : Infinity;
  }
  return NUMBER.test(text) ? Number(text.replace(/[dD]/, 'e')) : null;
}

/** Columns that a plot can show: those in which most fields are numbers. */
export function numericColumns(table: Table): number[] {
  const sample = table.rows.slice(0, 200);
  return table.header
    .map((_, column) => column)
    .filter(column => {
      const numbers = sample.filter(row => numberOf(row[column] ?? '') !== null).length;
      return numbers > 0 && 2 * numbers >= sample.length;
    });
}

/** A column's numbers, NaN where there is none. */
export function columnNumbers(table: Table, column: number): number[] {
  return table.rows.map(row => numberOf(row[column] ?? '') ?? NaN);
}
