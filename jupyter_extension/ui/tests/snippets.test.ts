import { expect, test } from 'vitest';

import { launchSnippet, pythonLiteral, readSnippet } from '../src/notebooks/snippets';

test('values are Python literals, whatever stands in them', () => {
  expect(pythonLiteral({ a: [1, 2.5, true, null, 'x"y\n'] })).toBe(
    '{"a": [1, 2.5, True, None, "x\\"y\\n"]}',
  );
  expect(pythonLiteral('"""); import os #')).toBe('"\\"\\"\\"); import os #"');
});

test('a launching cell names case and values', () => {
  expect(launchSnippet('lid', { reynolds: 100, scheme: 'upwind' })).toBe(
    `from gateway.client import Gateway

gw = Gateway()
job = gw.submit(
    case="lid",
    values={
        "reynolds": 100,
        "scheme": "upwind",
    },
)
job`,
  );
});

test('a reading cell fits the kind of the file, and quotes its name', () => {
  expect(readSnippet('j', 'a.csv')).toContain('pandas.read_csv(stream)');
  expect(readSnippet('j', 'a.json')).toContain('json.loads(job.outputs["a.json"].read_text())');
  expect(readSnippet('j', 'log.lid\n", x', 'deep')).toContain(
    'job.outputs("deep")["log.lid\\n\\", x"].open()',
  );
});
