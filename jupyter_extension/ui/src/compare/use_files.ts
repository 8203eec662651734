import { useEffect, useState } from 'react';

import type { Job, OutputPage } from '../api/models';
import { address } from '../api/requests';
import { usePanel } from '../panel';
import type { JobFiles } from './matching';

/** Files of a job that are looked at: a job with more is looked at in its Outputs. */
export const MOST_FILES = 5000;

/** The files of several jobs. `cut`: some have more files than are looked at; `error`: some could not be listed. */
export interface FilesOfJobs {
  all: readonly JobFiles[];
  cut: boolean;
  error: Error | null;
}

/** The files of each job, asked for again when their outputs change. */
export function useFiles(jobs: readonly Job[]): FilesOfJobs {
  const { requests } = usePanel();
  const [found, setFound] = useState<FilesOfJobs>({ all: [], cut: false, error: null });
  const key = jobs
    .map(job => `${job.id}:${job.outputs.state}:${job.outputs.count}:${job.outputs.bytes}`)
    .join(' ');
  useEffect(() => {
    let gone = false;
    const ask = async (): Promise<void> => {
      const pages = await Promise.allSettled(
        jobs.map(job =>
          requests.get<OutputPage>(address('jobs', job.id, 'outputs'), { limit: MOST_FILES }),
        ),
      );
      const all = jobs.map((job, index) => {
        const page = pages[index];
        return { job, files: page?.status === 'fulfilled' ? page.value.files : [] };
      });
      const cut = pages.some(
        page => page.status === 'fulfilled' && page.value.next_cursor !== null,
      );
      const failed = pages.find(page => page.status === 'rejected');
      if (!gone) {
        setFound({ all, cut, error: (failed?.reason as Error | undefined) ?? null });
      }
    };
    void ask();
    return () => {
      gone = true;
    };
    // `jobs` is another list with every event; the files depend on what `key` holds.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [requests, key]);
  return found;
}
