import type { OutputFile } from '../api/models';
import { Problem } from '../api/problems';
import type { Requests } from '../api/requests';
import { outputPath } from '../components/output_files';
import type { ReadRange } from './byte_window';

/** Ranges of an output's bytes. No more than was asked for is read, whatever the answer is. */
export function rangesOf(requests: Requests, file: OutputFile, signal?: AbortSignal): ReadRange {
  const ask = (first: number, last: number): Promise<Response> =>
    requests.send('GET', outputPath(file.job_id, file.path), {
      query: { store: file.store },
      headers: { Range: `bytes=${first}-${last}` },
      signal,
    });
  return async (first, last) => {
    try {
      return await partOf(await ask(first, last), first, last);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 416) {
        throw error;
      }
      // Nothing is there: at the end of the file, or behind the end of one that became shorter.
      return { bytes: new Uint8Array(), size: first === 0 ? 0 : await sizeOf(ask) };
    }
  };
}

async function sizeOf(ask: (first: number, last: number) => Promise<Response>): Promise<number> {
  try {
    return (await partOf(await ask(0, 0), 0, 0)).size;
  } catch (error) {
    if (error instanceof Problem && error.status === 416) {
      return 0;
    }
    throw error;
  }
}

async function partOf(
  response: Response,
  first: number,
  last: number,
): Promise<{ bytes: Uint8Array; size: number }> {
  const said = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
  const begins = response.status === 206 && said ? Number(said[1]) : 0;
  const from = first - begins;
  const bytes = await firstBytes(response, from + (last - first + 1));
  const length = Number(response.headers.get('Content-Length') ?? bytes.length);
  return {
    bytes: bytes.subarray(from),
    size: said ? Number(said[2]) : Math.max(length, bytes.length),
  };
}

/** The first bytes of an answer; the rest is not read. */
async function firstBytes(response: Response, most: number): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) {
    return new Uint8Array(await response.arrayBuffer()).subarray(0, most);
  }
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < most) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    pieces.push(value);
    length += value.length;
  }
  if (length >= most) {
    await reader.cancel();
  }
  const found = new Uint8Array(length);
  let place = 0;
  for (const piece of pieces) {
    found.set(piece, place);
    place += piece.length;
  }
  return found.subarray(0, most);
}

/** The whole of a file that is not larger than `most` bytes. */
export async function wholeOf(
  requests: Requests,
  file: OutputFile,
  most: number,
  signal?: AbortSignal,
): Promise<ArrayBuffer> {
  const { bytes, size } = await rangesOf(requests, file, signal)(0, most - 1);
  if (size > most) {
    throw new Error(`the file has ${size} bytes; at most ${most} are read`);
  }
  return bytes.slice().buffer;
}
