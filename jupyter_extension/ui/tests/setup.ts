/** What browsers have and jsdom has not. */
import { cleanup } from '@testing-library/react';
import { afterEach } from 'vitest';

class NoDragEvent extends MouseEvent {}

class NoResizeObserver {
  observe(): void {
    // Nothing is laid out here.
  }

  unobserve(): void {
    // Nothing is laid out here.
  }

  disconnect(): void {
    // Nothing is laid out here.
  }
}

function matchMedia(media: string): Partial<MediaQueryList> {
  return {
    media,
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  };
}

const missing = { DragEvent: NoDragEvent, ResizeObserver: NoResizeObserver, matchMedia };
for (const [name, value] of Object.entries(missing)) {
  if (typeof (globalThis as Record<string, unknown>)[name] === 'undefined') {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}

afterEach(cleanup);
