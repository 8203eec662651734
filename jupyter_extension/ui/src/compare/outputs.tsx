import type { TranslationBundle } from '@jupyterlab/translation';
import { useMemo, useState } from 'react';

import { ENDED } from '../api/models';
import { bytesText } from '../components/bytes';
import { ErrorNotice } from '../components/notice';
import { usePanel } from '../panel';
import type { JobFiles } from './matching';
import { compareFiles, type Alike, type FilePair } from './outputs_alike';
import { MOST_FILES, type FilesOfJobs } from './use_files';

/** Lines of one table; what differs comes first. */
const MOST_LINES = 200;

interface Props {
  labels: readonly string[];
  files: FilesOfJobs;
}

/** Whether the other jobs left the same outputs as the first one, by size and digest. */
export function CompareOutputs({ labels, files }: Props): React.JSX.Element | null {
  const { trans } = usePanel();
  const [first, ...others] = files.all;
  if (files.error) {
    return <ErrorNotice error={files.error} />;
  }
  if (!first || others.length === 0) {
    return null;
  }
  return (
    <section aria-label={trans.__('Outputs')}>
      <div className="sg-compare-head">
        <h2>{trans.__('Outputs')}</h2>
        {files.cut && (
          <span>
            {trans.__(
              'The first %1 files of each job were looked at; what is in one list only is left out.',
              MOST_FILES,
            )}
          </span>
        )}
      </div>
      {others.map((other, index) => (
        <TwoJobs
          key={other.job.id}
          first={first}
          second={other}
          names={[labels[0] ?? first.job.name, labels[index + 1] ?? other.job.name]}
          cut={files.cut}
        />
      ))}
    </section>
  );
}

interface TwoJobsProps {
  first: JobFiles;
  second: JobFiles;
  names: [string, string];
  cut: boolean;
}

function TwoJobs({ first, second, names, cut }: TwoJobsProps): React.JSX.Element {
  const { trans } = usePanel();
  const [all, setAll] = useState(false);
  const pairs = useMemo(
    () => compareFiles(first.files, second.files, cut),
    [first.files, second.files, cut],
  );
  const shown = pairs.filter(pair => all || pair.alike !== 'same');
  const running = [first.job, second.job].find(job => !ENDED.has(job.state));
  const same = pairs.filter(pair => pair.alike === 'same').length;
  return (
    <>
      <p role="status">
        <strong>{trans.__('%1 and %2:', ...names)}</strong>{' '}
        {running
          ? trans.__('what they leave is compared once both have ended.')
          : summary(pairs.length, same, trans)}{' '}
        {!running && same > 0 && (
          <label>
            <input type="checkbox" checked={all} onChange={event => setAll(event.target.checked)} />
            {trans.__('Show what is the same too')}
          </label>
        )}
      </p>
      {!running && shown.length > 0 && <Pairs pairs={shown} names={names} />}
    </>
  );
}

function summary(count: number, same: number, trans: TranslationBundle): string {
  if (count === 0) {
    return trans.__('neither left any outputs.');
  }
  return same === count
    ? trans._n('the one output is the same.', 'all %1 outputs are the same.', count)
    : trans.__('%1 of %2 outputs are the same.', same, count);
}

function Pairs({
  pairs,
  names,
}: {
  pairs: FilePair[];
  names: [string, string];
}): React.JSX.Element {
  const { trans } = usePanel();
  const words: Record<Alike, string> = {
    same: trans.__('same'),
    different: trans.__('different'),
    unknown: trans.__('same size, and no digest'),
    only_first: trans.__('only in %1', names[0]),
    only_second: trans.__('only in %1', names[1]),
  };
  return (
    <div
      className="sg-compare-scroll"
      tabIndex={0}
      role="region"
      aria-label={trans.__('Outputs of %1 and %2', ...names)}
    >
      <table className="sg-compare-table">
        <thead>
          <tr>
            <th scope="col">{trans.__('File')}</th>
            <th scope="col">{trans.__('Comparison')}</th>
            <th scope="col">{names[0]}</th>
            <th scope="col">{names[1]}</th>
          </tr>
        </thead>
        <tbody>
          {pairs.slice(0, MOST_LINES).map(pair => (
            <tr key={pair.path}>
              <th scope="row">{pair.path}</th>
              <td>{words[pair.alike]}</td>
              <td>{pair.first ? bytesText(pair.first.size) : '–'}</td>
              <td>{pair.second ? bytesText(pair.second.size) : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {pairs.length > MOST_LINES && (
        <p>{trans.__('%1 more are not shown.', pairs.length - MOST_LINES)}</p>
      )}
    </div>
  );
}
