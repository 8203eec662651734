import { expect, test } from 'vitest';

import { classesOf, overwritten, parseLine, PLAIN, plainText } from '../../src/job/log/ansi';
import { bytesOf, LIMIT, LogBuffer } from '../../src/job/log/buffer';
import { marked, rowsWith } from '../../src/job/log/search';
import { forSeeds, type Random } from '../random';

const WORDS = [
  'a',
  'é',
  '日本',
  '🙂',
  '\n',
  '\n',
  ' ',
  'word',
  '\r',
  '\u001b[31m',
  '\u001b[0m',
  '\t',
];

function anyText(random: Random, words: readonly string[] = WORDS): string {
  let text = '';
  for (let count = random.below(60); count > 0; count -= 1) {
    text += random.pick(words);
  }
  return text;
}

function allText(buffer: LogBuffer): string[] {
  return Array.from({ length: buffer.length }, (_, row) => buffer.text(row));
}

function piecesOf(text: string, random: Random): string[] {
  const pieces: string[] = [];
  for (let place = 0; place < text.length;) {
    const size = 1 + random.below(9);
    pieces.push(text.slice(place, place + size));
    place += size;
  }
  return pieces;
}

test('however a log is cut into pieces, the same rows are shown', () => {
  forSeeds(300, random => {
    const text = anyText(random);
    const whole = new LogBuffer();
    whole.append(text, bytesOf(text));
    const parts = new LogBuffer();
    let end = 0;
    for (const piece of piecesOf(text, random)) {
      end += piece.length;
      parts.append(piece, end);
    }
    expect(allText(parts)).toEqual(allText(whole));
    for (let row = 0; row < whole.length; row += 1) {
      expect(parts.pieces(row)).toEqual(whole.pieces(row));
    }
  });
});

test('older text that is loaded in steps gives the same rows as the whole log', () => {
  const plain = WORDS.filter(word => !word.includes('\u001b'));
  forSeeds(300, random => {
    const text = anyText(random, plain);
    const cut = random.below(text.length + 1);
    const whole = new LogBuffer();
    whole.append(text, text.length);
    const late = new LogBuffer();
    late.reset(cut);
    late.append(text.slice(cut), text.length);
    late.prepend(text.slice(0, cut), 0);
    expect(allText(late)).toEqual(allText(whole));
    expect(late.start).toBe(0);
  });
});

test('what is held stays bounded, and where it begins is known by the byte', () => {
  const line = `é${'x'.repeat(998)}\n`;
  const buffer = new LogBuffer();
  let dropped = 0;
  let end = 0;
  for (let number = 0; number < (3 * LIMIT) / 1000; number += 1) {
    end += bytesOf(line);
    dropped += buffer.append(line, end);
  }
  expect(buffer.length).toBeLessThan(LIMIT / 1000 + 2);
  expect(buffer.start).toBe(dropped * bytesOf(line));
  expect(buffer.length + dropped).toBe((3 * LIMIT) / 1000);
  expect(buffer.roomForOlder).toBe(true);
});

test('a line without an end is shown in rows of bounded length', () => {
  const buffer = new LogBuffer();
  buffer.append('x'.repeat(100_000), 100_000);
  expect(Math.max(...allText(buffer).map(row => row.length))).toBeLessThanOrEqual(4000);
  expect(allText(buffer).join('')).toBe('x'.repeat(100_000));
});

test('bytes are counted as UTF-8 has them', () => {
  forSeeds(200, random => {
    const text = anyText(random);
    expect(bytesOf(text)).toBe(new TextEncoder().encode(text).length);
  });
});

test('colours become classes and go on until they are reset', () => {
  const first = parseLine('a\u001b[1;31mred', PLAIN);
  expect(first.pieces.map(piece => [piece.text, classesOf(piece.style)])).toEqual([
    ['a', ''],
    ['red', 'sg-ansi-fg-1 sg-ansi-bold'],
  ]);
  const second = parseLine('still\u001b[0m plain', first.after);
  expect(second.pieces.map(piece => classesOf(piece.style))).toEqual([
    'sg-ansi-fg-1 sg-ansi-bold',
    '',
  ]);
  expect(second.after).toBe(PLAIN);
});

test('of 256 colours and true colours nothing is taken for another code', () => {
  const parsed = parseLine('\u001b[38;5;9mx\u001b[38;2;1;31;4my', PLAIN);
  expect(parsed.pieces.map(piece => classesOf(piece.style))).toEqual(['sg-ansi-fg-9', '']);
});

test('no control character reaches the page, and nothing that is written is hidden by an open sequence', () => {
  expect(plainText('a\u0007b\u0000\u202ec')).toBe('a␇b␀\ufffdc');
  expect(plainText('\u001b]0;title\u0007text')).toBe('text');
  expect(plainText('\u001b]0;not closed')).toBe('0;not closed');
  expect(plainText('\u001b[2J\u001b[1;1Hclear')).toBe('clear');
  forSeeds(300, random => {
    let text = '';
    for (let count = 40; count > 0; count -= 1) {
      text += String.fromCharCode(random.pick([27, 91, 93, 109, 59, 49, random.below(0x2100)]));
    }
    // eslint-disable-next-line no-control-regex
    expect(plainText(text)).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e]/);
  });
});

test('a progress line that writes over itself shows its last words', () => {
  expect(overwritten('10 %\r20 %\r30 %')).toBe('30 %');
  expect(overwritten('windows\r')).toBe('windows');
});

test('searching finds rows whatever the case, and marks exactly what was found', () => {
  const rows = ['Error one', 'fine', 'an eRRor, another error'];
  expect(rowsWith('error', rows.length, row => rows[row] ?? '')).toEqual([0, 2]);
  const pieces = parseLine('an e\u001b[31mRRor\u001b[0m here', PLAIN).pieces;
  const found = marked(pieces, 'error');
  expect(found.map(piece => piece.text).join('')).toBe('an eRRor here');
  expect(found.filter(piece => piece.hit).map(piece => piece.text)).toEqual(['e', 'RRor']);
});

test('marking never changes the text', () => {
  forSeeds(300, random => {
    const pieces = parseLine(anyText(random).replaceAll('\n', ''), PLAIN).pieces;
    const text = pieces.map(piece => piece.text).join('');
    const query = text.slice(random.below(text.length + 1)).slice(0, 1 + random.below(4));
    expect(
      marked(pieces, query)
        .map(piece => piece.text)
        .join(''),
    ).toBe(text);
  });
});
