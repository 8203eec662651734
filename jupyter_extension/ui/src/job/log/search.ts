/** Finding text in the rows of a log. Pure. */
import type { Piece } from './ansi';

export interface MarkedPiece extends Piece {
  hit: boolean;
}

/** The rows that hold a text, whatever its case. */
export function rowsWith(query: string, count: number, text: (row: number) => string): number[] {
  const wanted = query.toLowerCase();
  const found: number[] = [];
  if (wanted !== '') {
    for (let row = 0; row < count; row += 1) {
      if (text(row).toLowerCase().includes(wanted)) {
        found.push(row);
      }
    }
  }
  return found;
}

/** Split the pieces of a row so that what was found stands alone. */
export function marked(pieces: readonly Piece[], query: string): MarkedPiece[] {
  const whole = pieces.map(piece => piece.text).join('');
  const low = whole.toLowerCase();
  const wanted = query.toLowerCase();
  const hits: [number, number][] = [];
  if (wanted !== '' && low.length === whole.length) {
    for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, at + wanted.length)) {
      hits.push([at, at + wanted.length]);
    }
  }
  const answer: MarkedPiece[] = [];
  let offset = 0;
  for (const piece of pieces) {
    const cuts = [0, piece.text.length];
    for (const [from, to] of hits) {
      cuts.push(...[from - offset, to - offset].filter(cut => cut > 0 && cut < piece.text.length));
    }
    cuts.sort((a, b) => a - b);
    for (let number = 1; number < cuts.length; number += 1) {
      const [from, to] = [cuts[number - 1] ?? 0, cuts[number] ?? 0];
      if (to > from) {
        const hit = hits.some(([a, b]) => a <= offset + from && offset + to <= b);
        answer.push({ text: piece.text.slice(from, to), style: piece.style, hit });
      }
    }
    offset += piece.text.length;
  }
  return answer;
}
