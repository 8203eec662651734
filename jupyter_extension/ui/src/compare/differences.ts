import type { Job } from '../api/models';

export type Group = 'job' | 'values' | 'resources' | 'specification' | 'result';

/** One line of the comparison: what each job has there; undefined: nothing. */
export interface Line {
  group: Group;
  key: string;
  values: (string | undefined)[];
  differs: boolean;
}

/** Files' contents and scripts are compared by their beginnings. */
const LONGEST = 300;
/** Kept out: they differ always, or stand elsewhere. */
const NOT_SPECIFICATION = new Set([
  'name',
  'resources',
  'target',
  'tags',
  'case',
  'values',
  'notes',
]);

/** What the jobs have in each place, in one order: groups, then as the jobs say it. */
export function compareJobs(jobs: readonly Job[]): Line[] {
  const sides = jobs.map(describe);
  const lines: Line[] = [];
  for (const group of ['job', 'values', 'resources', 'specification', 'result'] as const) {
    const keys = new Set(sides.flatMap(side => [...side[group].keys()]));
    for (const key of keys) {
      const values = sides.map(side => side[group].get(key));
      lines.push({ group, key, values, differs: new Set(values).size > 1 });
    }
  }
  return lines;
}

type Side = Record<Group, Map<string, string>>;

function describe(job: Job): Side {
  const side: Side = {
    job: new Map(),
    values: new Map(),
    resources: new Map(),
    specification: new Map(),
    result: new Map(),
  };
  put(side.job, 'case', job.case);
  put(side.job, 'case version', job.case_version);
  put(side.job, 'target', job.target);
  put(side.job, 'tags', job.tags);
  put(side.values, '', job.values);
  const specification = (job.spec ?? {}) as Record<string, unknown>;
  put(side.resources, '', specification.resources);
  for (const [key, value] of Object.entries(specification)) {
    if (!NOT_SPECIFICATION.has(key)) {
      put(side.specification, key, value);
    }
  }
  put(side.result, 'state', job.state);
  put(side.result, 'reason', job.reason);
  put(side.result, 'exit code', job.exit_code);
  put(side.result, 'attempts', job.attempt);
  put(side.result, 'waited', between(job.queued_at, job.started_at));
  put(side.result, 'ran', between(job.started_at, job.ended_at));
  put(side.result, 'outputs', job.outputs.state);
  put(side.result, 'output files', job.outputs.count);
  put(side.result, 'output bytes', job.outputs.bytes);
  return side;
}

/** Put a value under a name; what has parts is taken apart. */
function put(into: Map<string, string>, name: string, value: unknown): void {
  if (value === null || value === undefined || value === '') {
    return;
  }
  if (typeof value === 'object') {
    for (const [key, part] of Object.entries(value)) {
      put(into, name === '' ? key : `${name}.${key}`, part);
    }
    return;
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  into.set(
    name,
    text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length}, ${hashOf(text)})` : text,
  );
}

/** Tells long texts apart that begin alike. */
function hashOf(text: string): string {
  let hash = 5381;
  for (let i = 0; i < text.length; i++) {
    hash = (hash * 33 + text.charCodeAt(i)) >>> 0;
  }
  return hash.toString(16);
}

/** Whole seconds from one time to another. */
function between(from: string | null, to: string | null): string | null {
  return from && to
    ? `${Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000))} s`
    : null;
}

/** Names by which jobs are told apart: their own, with the beginning of the id where two are alike. */
export function jobLabels(jobs: readonly Job[]): string[] {
  return jobs.map(job =>
    jobs.some(other => other !== job && other.name === job.name)
      ? `${job.name} (${job.id.slice(0, 8)})`
      : job.name,
  );
}
