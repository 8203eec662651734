import { expect, test } from 'vitest';

import { readWritten } from '../src/card/job_card';

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e';

test('a card is made of an output that names a job, and of no other', () => {
  expect(readWritten({ id: ID, name: 'lid', state: 'running', target: 'here', more: 1 })).toEqual({
    id: ID,
    name: 'lid',
    state: 'running',
    target: 'here',
  });
  expect(readWritten({ id: ID })?.name).toBe('');
  for (const odd of [null, 7, 'x', {}, { id: '../../etc' }, { id: `${ID}/cancel` }, { id: 3 }]) {
    expect(readWritten(odd)).toBeNull();
  }
});
