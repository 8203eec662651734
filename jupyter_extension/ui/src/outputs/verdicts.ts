/** What a verification found, in words. Pure. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Verification } from '../api/models';
import { bytesText } from '../components/bytes';

/** What it came to, or why it came to nothing. */
export function verdictText(found: Verification, trans: TranslationBundle): string {
  if (found.state === 'cancelled') {
    return trans.__('Stopped before its end: verifying again goes on from there.');
  }
  if (found.state === 'interrupted') {
    return trans.__('Broken off with the gateway: verifying again goes on from there.');
  }
  switch (found.verdict) {
    case 'verified':
      return trans.__('Verified: everything is as it was signed.');
    case 'sampled':
      return trans.__('All names and sizes, and a sample of the bytes, are as they were signed.');
    case 'incomplete':
      return trans.__('Nothing is wrong, and not everything could be verified.');
    case 'failed':
      return trans.__('What is in the store is not what was signed.');
    default:
      return trans.__('Verifying…');
  }
}

/** What the verdict rests on, as names and values. */
export function evidenceOf(found: Verification, trans: TranslationBundle): [string, string][] {
  const signatures: Record<string, string> = {
    good: trans.__('good'),
    missing: trans.__('there is none'),
    bad: trans.__('bad: the manifest was changed, or signed by nobody known here'),
    wrong: trans.__('of another job, store or time'),
  };
  const rows: [string, string | null][] = [
    [
      trans.__('Signature'),
      found.signature ? (signatures[found.signature] ?? found.signature) : null,
    ],
    [trans.__('Signed with'), found.key],
    [trans.__('The manifest says'), found.completeness],
    [
      trans.__('Read again'),
      found.state === 'running'
        ? null
        : trans.__(
            '%1 of %2 files, %3',
            found.files_checked,
            found.files,
            bytesText(found.bytes_checked),
          ),
    ],
    [trans.__('Results'), countsText(found.counts, trans)],
    [
      trans.__('Removed or renamed by the job itself'),
      found.kept > 0 ? trans._n('%1 file', '%1 files', found.kept) : null,
    ],
    [
      trans.__('Removed by retention'),
      found.retired > 0 ? trans._n('%1 file', '%1 files', found.retired) : null,
    ],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null && row[1] !== '');
}

function countsText(counts: Record<string, number>, trans: TranslationBundle): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([result, count]) => `${count} ${resultWord(result, trans)}`)
    .join(', ');
}

/** What was found of one file. */
export function resultWord(result: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    ok: trans.__('as signed'),
    tampered: trans.__('changed'),
    truncated: trans.__('cut short'),
    grown: trans.__('longer than signed'),
    missing: trans.__('missing'),
    extra: trans.__('not known'),
    unreadable: trans.__('unreadable'),
    unproved: trans.__('without a digest'),
  };
  return words[result] ?? result;
}
