import { address, type Requests } from '../api/requests';

interface Received {
  id: string;
  received: number;
  digest: string | null;
}

/** Bytes of one request. */
const PIECE = 8 * 1024 * 1024;

/** Send a file in pieces; returns the digest that the gateway computed. */
export async function upload(
  requests: Requests,
  file: File,
  progress: (share: number) => void,
): Promise<string> {
  const send = async (
    method: string,
    path: string,
    piece: Blob,
    headers: Record<string, string>,
  ) => {
    const response = await requests.send(method, path, { raw: piece, headers, patience: 0 });
    return (await response.json()) as Received;
  };
  let state = await send('POST', '/api/v1/uploads', file.slice(0, PIECE), {
    'Upload-Length': String(file.size),
  });
  while (state.received < file.size) {
    progress(state.received / file.size);
    const piece = file.slice(state.received, state.received + PIECE);
    state = await send('PATCH', address('uploads', state.id), piece, {
      'Upload-Offset': String(state.received),
    });
  }
  if (state.digest === null) {
    throw new Error('the gateway has the whole file and names no digest');
  }
  return state.digest;
}
