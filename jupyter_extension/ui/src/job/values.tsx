import { useEffect, useState } from 'react';

import type { CaseInfo, Job, ParameterInfo } from '../api/models';
import { address } from '../api/requests';
import { numberText } from '../components/numbers';
import { usePanel } from '../panel';

/** The values of the case's parameters, by their labels where the case is still published. */
export function Values({ job }: { job: Job }): React.JSX.Element {
  const parameters = useParameters(job.case ?? null);
  return (
    <dl className="sg-job-pairs">
      {Object.entries(job.values).map(([name, value]) => {
        const known = parameters.get(name);
        return (
          <div key={name}>
            <dt title={name}>{known?.label ?? name}</dt>
            <dd>
              {valueText(value, known)}
              {known?.unit ? ` ${known.unit}` : ''}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function valueText(value: unknown, parameter: ParameterInfo | undefined): string {
  if (typeof value === 'number') {
    return numberText(value);
  }
  if (typeof value === 'string') {
    return parameter?.choices.find(choice => choice.value === value)?.label ?? value;
  }
  return JSON.stringify(value);
}

function useParameters(name: string | null): ReadonlyMap<string, ParameterInfo> {
  const { requests } = usePanel();
  const [found, setFound] = useState<ReadonlyMap<string, ParameterInfo>>(new Map());
  useEffect(() => {
    if (name === null) {
      return;
    }
    let gone = false;
    requests
      .get<CaseInfo>(address('cases', name))
      .then(info => {
        const all = info.families.flatMap(family => family.parameters);
        if (!gone) {
          setFound(new Map(all.map(parameter => [parameter.name, parameter])));
        }
      })
      // The case may be gone: the names of the values stand for themselves.
      .catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [requests, name]);
  return found;
}
