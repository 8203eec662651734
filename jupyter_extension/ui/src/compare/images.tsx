import { HTMLSelect } from '@jupyterlab/ui-components';
import { useMemo, useState } from 'react';

import type { Job } from '../api/models';
import { imageUrl } from '../components/output_files';
import { usePanel } from '../panel';
import { sharedImages } from './matching';
import { MOST_FILES, type FilesOfJobs } from './use_files';

interface Props {
  jobs: readonly Job[];
  labels: readonly string[];
  files: FilesOfJobs;
}

/** Images of the same path, side by side. */
export function CompareImages({ jobs, labels, files }: Props): React.JSX.Element | null {
  const { trans, requests } = usePanel();
  const { all, cut } = files;
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
