import type { TranslationBundle } from '@jupyterlab/translation';

/** What a reason means, for people. */
export function reasonText(reason: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    image_pull_failed: trans.__('The image could not be brought to the target'),
    walltime: trans.__('It was still running at the end of its walltime'),
    out_of_memory: trans.__('It needed more memory than it had'),
    exit_code: trans.__('The program ended with an error'),
    signalled: trans.__('The program was ended by a signal'),
    scheduler_rejected: trans.__('The scheduler refused it'),
    node_failed: trans.__('The node, or the scheduler, ended it'),
    staging_failed: trans.__('Its files could not be sent to the target'),
    runtime_missing: trans.__('The target has no container runtime for it'),
    terminated: trans.__('The scheduler or the machine ended it'),
    cancelled_by_user: trans.__('Cancelled on request'),
    yielded: trans.__('Another submission of the same attempt ran'),
    dependency_failed: trans.__('A job that it waited for did not succeed'),
    abandoned: trans.__('Given up while its state could not be seen'),
    vanished: trans.__('It ended without leaving a record'),
  };
  return words[reason] ?? reason.replaceAll('_', ' ');
}

/** The log that says most about a reason; null where none does. */
export function logOf(reason: string | null | undefined): 'stderr' | 'pull' | null {
  switch (reason) {
    case 'image_pull_failed':
    case 'runtime_missing':
      return 'pull';
    case 'exit_code':
    case 'signalled':
    case 'out_of_memory':
    case 'walltime':
    case 'terminated':
      return 'stderr';
    default:
      return null;
  }
}
