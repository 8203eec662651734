/** What outputs are, by their names, and where they are read. */
import type { OutputFile } from '../api/models';
import { address, type Requests } from '../api/requests';

export type FileKind =
  'text' | 'table' | 'json' | 'image' | 'vtk' | 'page' | 'perhaps text' | 'other';

const KINDS: [FileKind, string][] = [
  ['image', 'png jpg jpeg gif webp bmp svg'],
  ['table', 'csv tsv'],
  ['json', 'json geojson ipynb'],
  ['vtk', 'vtk'],
  ['page', 'html htm xhtml'],
  [
    'text',
    'txt log out err md rst yaml yml toml ini cfg conf xml jsonl py sh bash c h cc cpp hpp f f90 js ts r m jl ' +
      'dat inp in sub pbs slurm tex bib diff patch properties csh pl java rs go lua sql xmf',
  ],
];
const BY_ENDING = new Map<string, FileKind>(
  KINDS.flatMap(([kind, endings]) =>
    endings.split(' ').map((ending): [string, FileKind] => [ending, kind]),
  ),
);

/** The last part of a path. */
export function baseName(path: string): string {
  const trimmed = path.endsWith('/') ? path.slice(0, -1) : path;
  return trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** The folder that something stands in, with its slash; empty at the top. */
export function folderOf(path: string): string {
  const trimmed = path.endsWith('/') ? path.slice(0, -1) : path;
  return trimmed.slice(0, trimmed.lastIndexOf('/') + 1);
}

function ending(path: string): string {
  const name = baseName(path);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : '';
}

/** How a file can be shown; the name decides before the content type, which is often a guess. */
export function kindOf(path: string, contentType: string | null): FileKind {
  const known = BY_ENDING.get(ending(path));
  if (known) {
    return known;
  }
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'text/html' || type === 'application/xhtml+xml') {
    return 'page';
  }
  if (type === 'text/csv' || type === 'text/tab-separated-values') {
    return 'table';
  }
  if (type.startsWith('text/')) {
    return 'text';
  }
  // `U`, `Makefile`, `log.cavity`: many simulations write text without a known ending.
  return /^log\./i.test(baseName(path)) || ending(path) === '' ? 'perhaps text' : 'other';
}

/** The path of an output's bytes, for requests. */
export function outputPath(job: string, path: string): string {
  return address('jobs', job, 'outputs', path);
}

/** The address of an output on this server: without credentials, the person's own session opens it. */
export function outputUrl(requests: Requests, job: string, path: string, store?: string): string {
  return requests.url(outputPath(job, path), { store });
}

/** The address of an archive of everything below a prefix. */
export function archiveUrl(
  requests: Requests,
  job: string,
  prefix: string,
  store?: string,
): string {
  return requests.url(address('jobs', job, 'archive'), { prefix, store });
}

/** The address of a job's RO-Crate with all outputs and the record of the run. */
export function crateUrl(requests: Requests, job: string, store?: string): string {
  return requests.url(address('jobs', job, 'crate'), { format: 'zip', store });
}

/** An image's address; it changes with the file, so that the browser asks again for one that has grown. */
export function imageUrl(requests: Requests, file: OutputFile): string {
  const version = `${file.digest ?? ''}${file.stored_at ?? ''}${file.size}`;
  return `${outputUrl(requests, file.job_id, file.path, file.store)}#${encodeURIComponent(version)}`;
}
