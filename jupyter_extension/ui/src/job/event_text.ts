import type { TranslationBundle } from '@jupyterlab/translation';

import type { Event, State } from '../api/models';
import { bytesText } from '../components/bytes';
import { numberText } from '../components/numbers';
import { stateWord } from '../components/state';
import { reasonText } from './reasons';

/** What an event says, in one line. */
export function eventText(event: Event, trans: TranslationBundle): string {
  const { data } = event;
  const word = (name: string): string => {
    const found = data[name];
    return typeof found === 'string' || typeof found === 'number' ? String(found) : '';
  };
  switch (event.kind) {
    case 'state': {
      const parts = [stateWord(data.to as State, trans)];
      if (data.reason) {
        parts.push(reasonText(word('reason'), trans));
      }
      if (data.message) {
        parts.push(word('message'));
      }
      return parts.join(': ');
    }
    case 'phase':
      return phaseText(word('phase'), word('host'), trans);
    case 'pull':
      return pullText(data, trans);
    case 'progress':
      return typeof data.value === 'number'
        ? trans.__('Progress: %1 %2', numberText(data.value), word('unit'))
        : trans.__('Progress');
    case 'outputs':
      return trans.__(
        '%1 files (%2) in %3',
        word('count'),
        bytesText(Number(data.bytes ?? 0)),
        word('store'),
      );
    case 'attempt':
      return trans.__('Attempt %1 begins', word('number'));
    case 'changed':
      return trans.__('Changed: %1', Array.isArray(data.fields) ? data.fields.join(', ') : '');
    default:
      return askedText(event.kind, word('by'), trans);
  }
}

function askedText(kind: string, by: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    cancel_requested: trans.__('Cancel was asked for'),
    hold_requested: trans.__('Hold was asked for'),
    release_requested: trans.__('Release was asked for'),
    sync_requested: trans.__('A copy of all outputs was asked for'),
  };
  const said = words[kind] ?? kind.replaceAll('_', ' ');
  return by === '' ? said : trans.__('%1 by %2', said, by);
}

function phaseText(phase: string, host: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    claimed:
      host === '' ? trans.__('The script has begun') : trans.__('The script has begun on %1', host),
    pulled: trans.__('The image is there'),
    running: trans.__('The program has begun'),
    stopping: trans.__('The program is asked to stop'),
    saving: trans.__('The program is asked to save its state'),
    saved: trans.__('The program has saved its state'),
    payload_ended: trans.__('The program has ended'),
    syncing: trans.__('The last copy of the outputs has begun'),
    ended: trans.__('The script has ended'),
  };
  return words[phase] ?? phase;
}

/** How far the image is: `81.2 MB of 120.0 MB from …`. */
export function pullText(data: Event['data'], trans: TranslationBundle): string {
  const bytes = Number(data.bytes ?? 0);
  const total = Number(data.total ?? 0);
  if (data.cached === true) {
    return trans.__('Image: it was on the target already');
  }
  const done =
    total > 0
      ? trans.__('Image: %1 of %2', bytesText(bytes), bytesText(total))
      : trans.__('Image: %1', bytesText(bytes));
  return typeof data.source === 'string' && data.source !== ''
    ? trans.__('%1 from %2', done, data.source)
    : done;
}
