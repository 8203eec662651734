import type { TranslationBundle } from '@jupyterlab/translation';

import type { Event, State } from '../api/models';
import { bytesText } from '../components/bytes';
import { numberText } from '../components/numbers';
import { stateWord } from '../components/state';
import { shortDuration } from '../components/times';
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
    case 'backlog':
      return backlogText(data, word('store'), trans);
    case 'verified':
      return verifiedText(word('verdict'), word('store'), trans);
    case 'reconciled':
      return trans.__(
        'What is known of %1 was put right: %2 added, %3 removed, %4 changed',
        word('store'),
        word('added'),
        word('removed'),
        word('changed'),
      );
    case 'retention':
      return retentionText(data, word, trans);
    case 'folder_removed':
      return trans.__('The folder on the target was removed');
    case 'attempt':
      return trans.__('Attempt %1 begins', word('number'));
    case 'changed':
      return trans.__('Changed: %1', Array.isArray(data.fields) ? data.fields.join(', ') : '');
    default:
      return askedText(event.kind, word('by'), trans);
  }
}

function retentionText(
  data: Event['data'],
  word: (name: string) => string,
  trans: TranslationBundle,
): string {
  const words = [word('count'), bytesText(Number(data.bytes ?? 0)), word('store')];
  switch (data.action) {
    case 'archive':
      return trans.__('Archived: %1 files (%2) in %3', ...words);
    case 'restore':
      return trans.__('Brought back: %1 files (%2) in %3', ...words);
    default:
      return trans.__('Removed: %1 files (%2) in %3', ...words);
  }
}

function verifiedText(verdict: string, store: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    verified: trans.__('Verified: all in %1 is as it was signed', store),
    sampled: trans.__('A sample of %1 is as it was signed', store),
    incomplete: trans.__('Not all of %1 could be verified', store),
    failed: trans.__('What is in %1 is not what was signed', store),
  };
  return words[verdict] ?? trans.__('%1 was verified', store);
}

/** How far a store is behind, or that it is not any more. */
function backlogText(data: Event['data'], store: string, trans: TranslationBundle): string {
  if (data.behind !== true) {
    return trans.__('%1 has everything again', store);
  }
  const waited = shortDuration(Number(data.lag ?? 0), trans);
  return typeof data.bytes === 'number'
    ? trans.__('%1 not yet in %2, the oldest for %3', bytesText(data.bytes), store, waited)
    : trans.__('%1 is behind by %2', store, waited);
}

function askedText(kind: string, by: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    cancel_requested: trans.__('Cancel was asked for'),
    retention_held: trans.__('The outputs are held'),
    retention_released: trans.__('The outputs are not held any more'),
    restore_asked: trans.__('Archived outputs were asked for'),
    retention_changed: trans.__('How long outputs are kept was changed'),
    folder_given_up: trans.__('The folder on the target was given up'),
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
