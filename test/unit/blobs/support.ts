import { type Clock, type Crypto, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import { type BlobDisk, BlobStore, type BlobStoreOptions, MemoryBlobDisk } from '../../../src/blobs/index.ts';

export const crypto: Crypto = new OsCrypto();

/** A wall clock that the test moves. */
export class WallClock implements Clock {
  nowMs = 1_800_000_000_000;
  monotonicMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return this.nowMs;
  }
  setTimer(): never {
    throw new Error('a store sets no timers');
  }
}

/** The same bytes for the same length, and other ones in every chunk. */
export function bytesOf(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = ((at + seed) * 31) % 251;
  return bytes;
}

export interface TestStore {
  readonly store: BlobStore;
  readonly clock: WallClock;
}

export async function openStore(
  disk: BlobDisk = new MemoryBlobDisk(),
  options: Partial<BlobStoreOptions> = {},
  clock = new WallClock(),
): Promise<TestStore> {
  const store = new BlobStore(
    { disk, crypto, clock, random: new SeededRandom(1), log: silentLogger },
    { quotaBytes: 2 ** 30, ...options },
  );
  await store.open();
  return { store, clock };
}

/** Reads the whole blob. @throws where a chunk is missing. */
export async function readAll(store: BlobStore, id: Parameters<BlobStore['stat']>[0]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const count = store.chunksOf(id)?.limit ?? 0;
  for (let index = 0; index < count; index += 1) {
    const chunk = await store.readChunk(id, index);
    if (chunk === undefined) throw new Error(`chunk ${index} is missing`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
