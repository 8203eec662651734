/** How long outputs are kept, in words. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { JobRetention } from '../api/models';
import { bytesText } from '../components/bytes';
import { localTime } from '../components/times';

type Coming = JobRetention['coming'][number];
type Work = JobRetention['works'][number];

/** What a rule will do, and when. */
export function comingText(item: Coming, automatic: boolean, trans: TranslationBundle): string {
  const when = localTime(item.at);
  const rule = item.rule === 'own' ? trans.__('your own rule') : trans.__('rule %1', item.rule);
  const what =
    item.action === 'archive'
      ? trans.__('%1: archived from %2 on (%3)', item.store, when, rule)
      : trans.__('%1: removed from %2 on (%3)', item.store, when, rule);
  const parts = [what];
  if (item.keep.length > 0) {
    parts.push(trans.__('all but %1', item.keep.join(', ')));
  }
  if (!automatic) {
    parts.push(trans.__('when an administrator runs it'));
  }
  if (item.blocked) {
    parts.push(trans.__('kept back now: %1', item.blocked));
  }
  return parts.join('; ');
}

/** What was done, or is being done. */
export function workText(work: Work, trans: TranslationBundle): string {
  const files = trans._n('%1 output', '%1 outputs', work.count);
  const size = bytesText(work.bytes);
  const words: Record<Work['action'], string> = {
    delete: trans.__('%1: %2 removed, %3', work.store, files, size),
    archive: trans.__('%1: %2 archived, %3', work.store, files, size),
    restore: trans.__('%1: %2 brought back, %3', work.store, files, size),
  };
  const state =
    work.done_at !== null
      ? trans.__('done %1', localTime(work.done_at))
      : (work.problem ??
        (work.action === 'restore'
          ? trans.__('the store takes hours for it')
          : trans.__('going on')));
  return trans.__('%1 (by %2): %3', words[work.action], work.by, state);
}

/** What becomes of the job's folder on its target. */
export function folderText(folder: JobRetention['folder'], trans: TranslationBundle): string {
  const words: Record<JobRetention['folder'], string> = {
    there: trans.__('The job’s folder is still on its target.'),
    going: trans.__('The job’s folder on its target is being removed.'),
    removed: trans.__('The job’s folder on its target is removed.'),
  };
  return words[folder];
}
