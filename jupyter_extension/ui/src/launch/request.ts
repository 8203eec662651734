import type { CaseInfo, Job, ParameterInfo } from '../api/models';

export type Values = Record<string, unknown>;

/** Where a job runs and what it needs, as the person wrote it; empty texts mean the default. */
export interface Place {
  target: string;
  stores: string[];
  /** A folder below a store for the long-term copy; empty: none. */
  longTermStore: string;
  longTermPath: string;
  nodes: string;
  cpus: string;
  memory: string;
  gpus: string;
  walltime: string;
  queue: string;
  account: string;
}

export interface Labels {
  name: string;
  /** `key:value`, separated by commas. */
  tags: string;
}

export const NO_PLACE: Place = {
  target: '',
  stores: [],
  longTermStore: '',
  longTermPath: '',
  nodes: '',
  cpus: '',
  memory: '',
  gpus: '',
  walltime: '',
  queue: '',
  account: '',
};

/** The body of `POST /jobs` for a case. */
export function requestForCase(
  name: string,
  values: Values,
  place: Place,
  labels: Labels,
): Record<string, unknown> {
  return { case: name, values, ...placeOf(place), ...labelsOf(labels) };
}

/** What a container of the person's own runs. */
export interface Container {
  image: string;
  digest: string;
  script: string;
  outputs: string;
}

/** The body of `POST /jobs` for a container of the person's own; no image: it runs on the host, where that is allowed. */
export function requestForContainer(
  container: Container,
  place: Place,
  labels: Labels,
): Record<string, unknown> {
  const sources = lines(container.outputs);
  const image =
    container.image.trim() === ''
      ? null
      : { ref: container.image.trim(), ...kept('digest', container.digest) };
  return {
    ...(image ? { image } : {}),
    script: container.script,
    ...(sources.length > 0 ? { outputs: sources.map(source => ({ source })) } : {}),
    ...placeOf(place),
    ...labelsOf(labels),
  };
}

/** Parts of a request that the forms show: what a person empties there must not come back from the job before. */
const SHOWN = ['target', 'stores', 'name', 'outputs', 'script'] as const;
const SHOWN_RESOURCES = [
  'nodes',
  'cpus',
  'memory',
  'gpus',
  'walltime',
  'queue',
  'account',
] as const;

/**
 * The merge patch (RFC 7396) that makes of a job's request what a form says: parts that the form shows and that are
 * not in its body any more are taken out, the rest of the request (environment, inputs) stays.
 */
export function rerunPatch(body: Record<string, unknown>, from: Job): Record<string, unknown> {
  const patch: Record<string, unknown> = { ...body };
  const shown =
    from.case === null ? SHOWN : SHOWN.filter(key => key !== 'outputs' && key !== 'script');
  for (const key of shown) {
    patch[key] ??= null;
  }
  const without = (keys: readonly string[], given: unknown): Record<string, unknown> => ({
    ...Object.fromEntries(keys.map(key => [key, null])),
    ...(given as Record<string, unknown> | undefined),
  });
  patch.tags = without(Object.keys(from.tags), body.tags);
  patch.resources = without(SHOWN_RESOURCES, body.resources);
  if (from.case !== null) {
    patch.values = without(Object.keys(from.values), body.values);
    return patch;
  }
  patch.command = null;
  patch.image = patchedImage(body.image, containerOfJob(from));
  return patch;
}

function patchedImage(given: unknown, before: Container): unknown {
  const image = (given ?? null) as { ref: string; digest?: string } | null;
  if (image === null) {
    return null;
  }
  // Mirrors and digest of another image are of no use for this one.
  const other = image.ref === before.image ? {} : { mirrors: null };
  return { digest: null, ...other, ...image };
}

function placeOf(place: Place): Record<string, unknown> {
  const resources: Record<string, unknown> = {
    ...number('nodes', place.nodes),
    ...number('cpus', place.cpus),
    ...number('gpus', place.gpus),
    ...kept('memory', place.memory),
    ...kept('walltime', place.walltime),
    ...kept('queue', place.queue),
    ...kept('account', place.account),
  };
  const copies =
    place.longTermStore === ''
      ? []
      : [{ store: place.longTermStore, ...kept('path', place.longTermPath) }];
  const plain = place.stores.filter(store => store !== place.longTermStore);
  const stores = [...plain, ...copies];
  return {
    ...kept('target', place.target),
    ...(stores.length > 0 ? { stores } : {}),
    ...(Object.keys(resources).length > 0 ? { resources } : {}),
  };
}

function labelsOf(labels: Labels): Record<string, unknown> {
  const tags = parseTags(labels.tags);
  return {
    ...kept('name', labels.name),
    ...(Object.keys(tags).length > 0 ? { tags } : {}),
  };
}

/** `study:lid, fast` becomes `{study: 'lid', fast: ''}`. */
export function parseTags(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of text.split(',').map(item => item.trim())) {
    if (part !== '') {
      const [key = '', ...rest] = part.split(':');
      found[key.trim()] = rest.join(':').trim();
    }
  }
  return found;
}

export function tagsText(tags: Record<string, string>): string {
  return Object.entries(tags)
    .map(([key, value]) => (value === '' ? key : `${key}:${value}`))
    .join(', ');
}

/** The place that a job was asked for, to ask again. */
export function placeOfJob(job: Job): Place {
  const spec = (job.spec ?? {}) as { resources?: Record<string, unknown>; stores?: unknown[] };
  const resources = spec.resources ?? {};
  const text = (name: string): string => {
    const value = resources[name];
    return typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  };
  const copy = (spec.stores ?? []).find(
    (item): item is { store: string; path: string } =>
      typeof item === 'object' &&
      item !== null &&
      typeof (item as { path?: unknown }).path === 'string',
  );
  return {
    target: job.target,
    stores: job.stores.filter(store => store !== copy?.store),
    longTermStore: copy?.store ?? '',
    longTermPath: copy?.path ?? '',
    nodes: text('nodes'),
    cpus: text('cpus'),
    memory: text('memory'),
    gpus: text('gpus'),
    walltime: text('walltime'),
    queue: text('queue'),
    account: text('account'),
  };
}

/** The container that a job ran, to run it again. */
export function containerOfJob(job: Job): Container {
  const spec = (job.spec ?? {}) as {
    image?: { ref?: string; digest?: string | null } | null;
    script?: string | null;
    command?: string[] | null;
    outputs?: { source: string }[] | null;
  };
  const command = (spec.command ?? []).map(quoteWord).join(' ');
  return {
    image: spec.image?.ref ?? '',
    digest: spec.image?.digest ?? '',
    script: spec.script ?? command,
    outputs: (spec.outputs ?? []).map(output => output.source).join('\n'),
  };
}

/** A word as bash reads it back. */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`;
}

export function parametersOf(info: CaseInfo): ParameterInfo[] {
  return info.families.flatMap(family => family.parameters);
}

/** Values with which the form begins: the case's defaults, replaced by those of before that it still knows. */
export function firstValues(info: CaseInfo, before: Values): Values {
  const found: Values = {};
  for (const parameter of parametersOf(info)) {
    const value = before[parameter.name] ?? parameter.default;
    if (value !== null && value !== undefined) {
      found[parameter.name] = value;
    }
  }
  return found;
}

/** Whether a parameter counts with these values: all that it depends on have one of the wanted values. */
export function applies(parameter: ParameterInfo, values: Values): boolean {
  return Object.entries(parameter.enabled_if).every(([name, wanted]) =>
    wanted.some(value => value === values[name]),
  );
}

/** The values that are sent: without those that do not count. */
export function sentValues(info: CaseInfo, values: Values): Values {
  const found: Values = {};
  for (const parameter of parametersOf(info)) {
    const value = values[parameter.name];
    if (value !== undefined && value !== null && applies(parameter, values)) {
      found[parameter.name] = value;
    }
  }
  return found;
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
}

function kept(name: string, text: string): Record<string, string> {
  return text.trim() === '' ? {} : { [name]: text.trim() };
}

function number(name: string, text: string): Record<string, number | string> {
  const trimmed = text.trim();
  if (trimmed === '') {
    return {};
  }
  // What is no number goes as it is: the gateway says what is wrong with it.
  return { [name]: /^\d+$/.test(trimmed) ? Number(trimmed) : trimmed };
}
