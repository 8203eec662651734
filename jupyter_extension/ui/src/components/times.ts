import type { TranslationBundle } from '@jupyterlab/translation';

import { usePanel } from '../panel';
import { useValue } from '../state/observable';

/** Seconds since a time of the gateway's (RFC 3339), kept current; null without one. */
export function useAge(time: string | null): number | null {
  const panel = usePanel();
  const now = useValue(panel.clock);
  return time === null ? null : Math.max(0, (now + panel.skew() - Date.parse(time)) / 1000);
}

/** `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. */
export function ageText(seconds: number, trans: TranslationBundle): string {
  if (seconds < 2) {
    return trans.__('now');
  }
  return trans.__('%1 ago', shortDuration(seconds, trans));
}

/** One number with the unit that fits. */
export function shortDuration(seconds: number, trans: TranslationBundle): string {
  if (seconds < 60) {
    return trans.__('%1 s', Math.floor(seconds));
  }
  if (seconds < 3600) {
    return trans.__('%1 min', Math.floor(seconds / 60));
  }
  if (seconds < 48 * 3600) {
    return trans.__('%1 h', Math.floor(seconds / 3600));
  }
  return trans.__('%1 d', Math.floor(seconds / 86_400));
}

/** `0:42`, `12:05`, `3:04:05`, for durations that are read exactly. */
export function clockDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown
    .map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0')))
    .join(':');
}

/** A time of the gateway's as the person's own clock shows it. */
export function localTime(time: string): string {
  return new Date(time).toLocaleString();
}
