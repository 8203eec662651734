import { HTMLSelect } from '@jupyterlab/ui-components';
import { useEffect, useMemo, useState } from 'react';

import type { Job, OutputPage } from '../api/models';
import { address } from '../api/requests';
import { imageUrl } from '../components/output_files';
import { usePanel } from '../panel';
import { sharedImages, type JobFiles } from './matching';

/** Files of a job that are looked at: a job with more is looked at in its Outputs. */
const MOST_FILES = 5000;

interface Props {
  jobs: readonly Job[];
  labels: readonly string[];
}

/** Images of the same path, side by side. */
export function CompareImages({ jobs, labels }: Props): React.JSX.Element | null {
  const { trans, requests } = usePanel();
  const { all, cut } = useFiles(jobs);
  const shared = useMemo(() => sharedImages(all), [all]);
  const [wanted, setWanted] = useState<string | null>(null);
  const shown = shared.find(one => one.path === wanted) ?? shared[0];
  if (!shown) {
    return null;
  }
  return (
    <section aria-label={trans.__('Images')}>
      <div className="sg-compare-head">
        <h2>{trans.__('Images')}</h2>
        <label>
          {trans.__('File')}
          <HTMLSelect
            value={shown.path}
            options={shared.map(one => one.path)}
            onChange={event => setWanted(event.target.value)}
          />
        </label>
        {cut && (
          <span>{trans.__('The first %1 files of each job were looked at.', MOST_FILES)}</span>
        )}
      </div>
      <div className="sg-compare-images">
        {all.map(({ job }, index) => {
          const file = shown.files[index];
          const label = labels[jobs.indexOf(job)] ?? job.name;
          return (
            <figure key={job.id}>
              {file ? (
                <img src={imageUrl(requests, file)} alt={trans.__('%1 of %2', shown.path, label)} />
              ) : (
                <p>{trans.__('This job has no such image.')}</p>
              )}
              <figcaption>{label}</figcaption>
            </figure>
          );
        })}
      </div>
    </section>
  );
}

/** The files of each job, asked for again when their outputs change. */
function useFiles(jobs: readonly Job[]): { all: JobFiles[]; cut: boolean } {
  const { requests } = usePanel();
  const [found, setFound] = useState<{ all: JobFiles[]; cut: boolean }>({ all: [], cut: false });
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
      if (!gone) {
        setFound({ all, cut });
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
