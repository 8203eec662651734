import { useCallback, useEffect, useRef, useState } from 'react';

import type { Drawing, Scene } from './scene';

interface UsedScene {
  /** For the element that is drawn into. */
  host: React.RefObject<HTMLDivElement>;
  ready: boolean;
  /** The browser cannot draw. */
  missing: boolean;
  resetView: () => void;
  press: (event: React.KeyboardEvent) => void;
}

/** Keys that turn the drawing: degrees across and up. */
const TURNS: Record<string, [number, number] | undefined> = {
  ArrowLeft: [10, 0],
  ArrowRight: [-10, 0],
  ArrowUp: [0, -10],
  ArrowDown: [0, 10],
};

/** Draw into an element; what draws is loaded now. */
export function useScene(drawing: Drawing | null): UsedScene {
  const host = useRef<HTMLDivElement>(null);
  const scene = useRef<Scene | null>(null);
  const [ready, setReady] = useState(false);
  const [missing, setMissing] = useState(false);

  useEffect(() => {
    let gone = false;
    let watcher: MutationObserver | null = null;
    const begin = async (): Promise<void> => {
      const module = await import('./scene');
      if (gone || !host.current) {
        return;
      }
      if (module.webglMissing()) {
        setMissing(true);
        return;
      }
      const made = new module.Scene(host.current);
      scene.current = made;
      const paint = (): void => made.setBackground(backgroundOf(host.current));
      paint();
      watcher = new MutationObserver(paint);
      watcher.observe(document.body, {
        attributes: true,
        attributeFilter: ['data-jp-theme-name', 'data-jp-theme-light'],
      });
      setReady(true);
    };
    begin().catch((error: unknown) => {
      console.error(error);
      setMissing(true);
    });
    return () => {
      gone = true;
      watcher?.disconnect();
      scene.current?.dispose();
      scene.current = null;
    };
  }, []);

  useEffect(() => {
    if (drawing) {
      scene.current?.show(drawing);
    }
  }, [drawing, ready]);

  const resetView = useCallback(() => scene.current?.resetView(), []);
  const press = useCallback((event: React.KeyboardEvent) => {
    const turn = TURNS[event.key];
    if (turn) {
      scene.current?.turn(...turn);
    } else if (event.key === '+' || event.key === '-') {
      scene.current?.zoom(event.key === '+' ? 1.15 : 1 / 1.15);
    } else if (event.key === '0') {
      scene.current?.resetView();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }, []);
  return { host, ready, missing, resetView, press };
}

/** The theme's colour behind an element, for WebGL. */
function backgroundOf(element: HTMLElement | null): [number, number, number] {
  const parts = element && getComputedStyle(element).backgroundColor.match(/\d+(\.\d+)?/g);
  const [red, green, blue] = (parts ?? ['255', '255', '255']).map(part => Number(part) / 255);
  return [red ?? 1, green ?? 1, blue ?? 1];
}
