import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PeerId } from '../../../src/base/index.ts';
import type { BlobId, Blobs } from '../../../src/blobs/index.ts';
import type { AttemptContext } from '../../../src/jobs/index.ts';
import { openStore } from '../blobs/support.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

export interface Receiver extends AsyncDisposable {
  readonly server: Server;
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly { readonly request: IncomingMessage; readonly body: Buffer }[];
  answer: Answer;
}

/** A server of HTTP on loopback. */
export async function startReceiver(
  answer: Answer = (_, response) => void response.end(),
): Promise<Receiver> {
  const requests: { readonly request: IncomingMessage; readonly body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    requests.push({ request, body });
    receiver.answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    server,
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    answer,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

/** What an executor is given for one attempt. */
export function attemptOf(payload: unknown, signal = new AbortController().signal): AttemptContext {
  return {
    jobId: 'job_1',
    attempt: 1,
    fencingToken: 7,
    node: 'node-a' as PeerId,
    payload,
    traceparent: null,
    signal,
    output: { write: () => undefined },
    progress: () => undefined,
  };
}

/** Blobs of a node without neighbours, in memory. */
export async function loneBlobs() {
  const { store, clock } = await openStore();
  const ensure: Blobs['ensure'] = async (id) => {
    const stat = store.stat(id);
    if (stat === undefined) throw new Error(`no blob ${id}`);
    return stat;
  };
  const read: Blobs['read'] = async (id: BlobId, { offset, lengthBytes }) => {
    const index = Math.floor(offset / 2 ** 18);
    const chunk = (await store.readChunk(id, index)) ?? new Uint8Array();
    const { sizeBytes } = store.stat(id) ?? { sizeBytes: offset };
    const start = offset - index * 2 ** 18;
    return { bytes: chunk.subarray(start, start + lengthBytes), sizeBytes };
  };
  return { store, clock, ensure, read };
}
