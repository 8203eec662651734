import { fireEvent, render, screen, waitFor } from '@testing-library/react';
import { useState } from 'react';
import { expect, test, vi } from 'vitest';

import type { ImageSummary } from '../src/api/models';
import { ImageField } from '../src/launch/image_field';
import { PanelContext, type Panel } from '../src/panel';
import { FakeGateway } from './sidebar_parts';

const IMAGES = ['fsl/6.0.3', 'fsl/6.0.7'].map(
  name =>
    ({
      id: name,
      name,
      names: [name],
      summary: `<b>${name}</b>`,
      categories: ['imaging'],
      digest: 'sha256:0',
    }) as unknown as ImageSummary,
);

function Held(): React.JSX.Element {
  const [value, setValue] = useState('');
  return <ImageField value={value} onChange={setValue} />;
}

function open(get: (path: string, query: object) => Promise<unknown>): HTMLInputElement {
  const panel = new FakeGateway().panel();
  const requests = { get } as unknown as Panel['requests'];
  render(
    <PanelContext.Provider value={{ ...panel, requests }}>
      <Held />
    </PanelContext.Provider>,
  );
  return screen.getByLabelText<HTMLInputElement>('Image');
}

test('images of the catalogue that fit are offered, and the chosen one is described', async () => {
  const get = vi.fn(() => Promise.resolve({ items: IMAGES }));
  const input = open(get);
  fireEvent.change(input, { target: { value: 'fsl/6.0.3' } });
  await waitFor(() =>
    expect(get).toHaveBeenLastCalledWith(
      '/api/v1/images',
      { limit: 20, q: 'fsl/6.0.3' },
      expect.anything(),
    ),
  );
  await screen.findByText('<b>fsl/6.0.3</b> · imaging', { selector: 'p' });
  const offered = [...(input.list?.options ?? [])].map(option => option.value);
  expect(offered).toEqual(['fsl/6.0.3', 'fsl/6.0.7']);
});

test('an address is taken as it is, and nothing is asked about it', async () => {
  const get = vi.fn(() => Promise.resolve({ items: IMAGES }));
  const input = open(get);
  fireEvent.change(input, { target: { value: 'fsl' } });
  await waitFor(() => expect(input.list?.options.length).toBe(2));
  const asked = get.mock.calls.length;
  fireEvent.change(input, { target: { value: 'https://example.org/tool.sif' } });
  await waitFor(() => expect(input.list?.options.length).toBe(0));
  expect(get.mock.calls.length).toBe(asked);
});

test('a gateway that does not answer leaves a field that works', async () => {
  const get = vi.fn(() => Promise.reject(new Error('away')));
  const input = open(get);
  fireEvent.change(input, { target: { value: 'fsl/6.0.3' } });
  await waitFor(() => expect(get).toHaveBeenCalled());
  expect(input.value).toBe('fsl/6.0.3');
});
