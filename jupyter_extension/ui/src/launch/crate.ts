/** What an RO-Crate holds of a run, and running it again here. */
import type { CratePlan, Job } from '../api/models';
import { postOnce } from '../api/once';
import type { Requests } from '../api/requests';
import { upload } from './upload';
import { ZipFile } from './zip';

const RUN = '.gateway/run.json';
const METADATA = 'ro-crate-metadata.json';
const MOST_RUN = 32 * 1024 * 1024;
const MOST_METADATA = 64 * 1024 * 1024;
/** Larger inputs are not kept in crates. */
const MOST_INPUT = 1024 * 1024;
/** Milliseconds that the gateway may take to look at a crate. */
const PATIENCE = 120_000;

/** A crate that was opened. */
export interface OpenCrate {
  run: unknown;
  zip: ZipFile;
  root: string;
}

/** Open a crate that somebody chose; the gateway checks what it says. */
export async function openCrate(file: Blob): Promise<OpenCrate> {
  const zip = await ZipFile.open(file);
  const root = zip.rootOf(METADATA);
  if (root === null) {
    throw new Error(`the zip file has no ${METADATA}: it is no RO-Crate`);
  }
  const graph = parse(await zip.read(root + METADATA, MOST_METADATA), METADATA);
  if (typeof graph !== 'object' || graph === null || !('@graph' in graph)) {
    throw new Error(`${METADATA} is not the metadata of an RO-Crate`);
  }
  if (!zip.has(root + RUN)) {
    throw new Error(
      `the crate has no ${RUN}: only crates that a Science Gateway made can be run again`,
    );
  }
  return { run: parse(await zip.read(root + RUN, MOST_RUN), RUN), zip, root };
}

function parse(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Error(`${name} is not JSON`);
  }
}

/** What is to be done with a crate. */
export interface Order {
  run: unknown;
  target?: string;
  any_image?: boolean;
}

/** Ask what would be done; nothing is stored. */
export function planCrate(requests: Requests, order: Order): Promise<CratePlan> {
  return requests.post<CratePlan>('/api/v1/crates/plan', order, { patience: PATIENCE });
}

/** Send the inputs that the gateway does not have and the crate has, each proved by its digest, and run it. */
export async function runCrate(
  requests: Requests,
  crate: OpenCrate,
  plan: CratePlan,
  order: Order,
): Promise<Job> {
  for (const item of plan.needed) {
    if (item.kept === null) {
      continue;
    }
    const bytes = await crate.zip.read(crate.root + item.kept, MOST_INPUT);
    const sent = await upload(requests, new File([bytes], item.path), () => undefined);
    if (sent !== item.digest) {
      throw new Error(`the input ${item.path} is not what was run: its digest is another`);
    }
  }
  return postOnce<Job>(requests, '/api/v1/crates/run', order);
}
