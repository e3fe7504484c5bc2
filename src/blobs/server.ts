import { AspenError, type PeerId } from '../base/index.ts';
import type { Incoming, Messenger } from '../mesh/index.ts';
import { encodeManifest } from './manifest.ts';
import type { BlobStore } from './store.ts';
import { METHODS, readChunkAsk, readId, writeHolding } from './wire.ts';

/** Chunks that are read for one peer at a time; beyond it, it is told to come again. */
export const SERVED_PER_PEER_LIMIT = 32;
/** Chunks that are read at a time for all peers together. */
const SERVED_LIMIT = 256;
const RETRY_AFTER_MS = 250;

export interface BlobServerComponents {
  readonly messenger: Pick<Messenger, 'handle'>;
  readonly store: BlobStore;
}

/** Gives other members what they ask for, a chunk at a time. Answers wait behind all other traffic. */
export function serveBlobs({ messenger, store }: BlobServerComponents): Disposable {
  const served = new Map<PeerId, number>();
  let servedCount = 0;

  const limited = async (from: PeerId, work: () => Promise<unknown>): Promise<unknown> => {
    const count = served.get(from) ?? 0;
    if (count >= SERVED_PER_PEER_LIMIT || servedCount >= SERVED_LIMIT) throw busy();
    served.set(from, count + 1);
    servedCount += 1;
    try {
      return await work();
    } finally {
      servedCount -= 1;
      const left = (served.get(from) ?? 1) - 1;
      if (left === 0) served.delete(from);
      else served.set(from, left);
    }
  };

  const have = ({ body }: Incoming) => {
    const id = readId(body);
    const stat = store.stat(id);
    const chunks = store.chunksOf(id);
    return stat === undefined || chunks === undefined || chunks.count === 0
      ? null
      : writeHolding({ sizeBytes: stat.sizeBytes, chunks });
  };
  const manifest = ({ from, body }: Incoming) =>
    limited(from, async () => {
      const id = readId(body);
      return store.stat(id) === undefined ? null : encodeManifest(await store.manifest(id));
    });
  const chunk = ({ from, body }: Incoming) =>
    limited(from, async () => {
      const { id, index } = readChunkAsk(body);
      return (await store.readChunk(id, index)) ?? null;
    });

  const parts = [
    messenger.handle(METHODS.have, have),
    messenger.handle(METHODS.manifest, manifest, { replyPriority: 'bulk' }),
    messenger.handle(METHODS.chunk, chunk, { replyPriority: 'bulk' }),
  ];
  return {
    [Symbol.dispose]: () => {
      for (const part of parts) part[Symbol.dispose]();
    },
  };
}

function busy(): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', 'this node gives as many chunks as it can', {
    details: { limit: 'SERVED_PER_PEER_LIMIT', retryAfterMs: RETRY_AFTER_MS },
  });
}
