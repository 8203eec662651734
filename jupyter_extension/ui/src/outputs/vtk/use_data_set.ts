import { useEffect, useState } from 'react';

import type { OutputFile, OutputPage } from '../../api/models';
import { address } from '../../api/requests';
import { usePanel } from '../../panel';
import { wholeOf } from '../ranges';
import { parseVtk } from './parser';
import { stemOf, stepsOf, type Step } from './steps';
import type { DataSet } from './types';

interface Found {
  data: DataSet | null;
  error: Error | null;
  busy: boolean;
}

/** The data set of a file. While another one is read, the one before stays. */
export function useDataSet(file: OutputFile | null, most: number): Found {
  const { requests } = usePanel();
  const [found, setFound] = useState<Found>({ data: null, error: null, busy: true });
  const version =
    file && `${file.job_id} ${file.store} ${file.path} ${file.size} ${file.digest ?? ''}`;
  useEffect(() => {
    if (!file) {
      return;
    }
    const abort = new AbortController();
    setFound(before => ({ ...before, busy: true }));
    const read = async (): Promise<void> => {
      try {
        const data = parseVtk(await wholeOf(requests, file, most, abort.signal));
        setFound({ data, error: null, busy: false });
      } catch (error) {
        if (!abort.signal.aborted) {
          setFound({ data: null, error: error as Error, busy: false });
        }
      }
    };
    void read();
    return () => abort.abort();
    // `file` is another object with every answer; what is read depends on its version only.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [requests, version, most]);
  return found;
}

/** The time steps that a file is one of; asked for again when the file's own record changes. */
export function useSteps(file: OutputFile): Step[] {
  const { requests, jobs } = usePanel();
  const [steps, setSteps] = useState<Step[]>([]);
  const stem = stemOf(file.path);
  const prefix = stem?.prefix ?? null;
  useEffect(() => {
    setSteps([]);
    if (prefix === null) {
      return;
    }
    const abort = new AbortController();
    const ask = async (): Promise<void> => {
      const query = { prefix, delimiter: '/', store: file.store, limit: 5000 };
      try {
        const page = await requests.get<OutputPage>(
          address('jobs', file.job_id, 'outputs'),
          query,
          abort.signal,
        );
        setSteps(stepsOf(file.path, page.files));
      } catch {
        // The file itself is shown nevertheless.
      }
    };
    void ask();
    const leave = jobs.onEvent(event => {
      if (event.job_id === file.job_id && event.kind === 'outputs') {
        void ask();
      }
    });
    return () => {
      leave();
      abort.abort();
    };
  }, [requests, jobs, file.job_id, file.store, file.path, prefix]);
  return steps;
}
