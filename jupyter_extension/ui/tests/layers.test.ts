import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const SOURCES = resolve(import.meta.dirname, '../src');
/** What each layer may import besides itself; features stand beside each other and import none of each other. */
const BELOW: Record<string, string[]> = {
  api: [],
  state: ['api'],
  components: ['api', 'state', '.'],
  '.': ['api', 'state', 'components'],
};
const SHARED = ['api', 'state', 'components', '.'];

function layerOf(file: string): string {
  const path = relative(SOURCES, file);
  return path.includes('/') ? (path.split('/')[0] ?? '') : '.';
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...found].map(match => resolve(dirname(file), match[1] ?? ''));
}

test('imports run one way, and features do not import each other', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter(name => /\.tsx?$/.test(name))
    .map(name => join(SOURCES, name));
  expect(files.length).toBeGreaterThan(50);
  const wrong: string[] = [];
  for (const file of files) {
    const layer = layerOf(file);
    if (layer === 'plugins' || file.endsWith('/src/index.ts')) {
      continue;
    }
    const allowed = new Set([layer, ...(BELOW[layer] ?? SHARED)]);
    for (const imported of importsOf(file)) {
      if (!allowed.has(layerOf(imported))) {
        wrong.push(`${relative(SOURCES, file)} imports ${relative(SOURCES, imported)}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
