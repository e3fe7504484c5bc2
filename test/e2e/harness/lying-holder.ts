import { env } from 'node:process';
import { type BlobId, type BlobStat, BlobStore } from '../../../src/blobs/index.ts';

/**
 * Loaded into an agent before anything else (`--import`), this makes a holder of blobs of it that gives what is not so, in the way that
 * `ASPEN_E2E_LIE` says: `chunk` a wrong bit in each chunk, `size` a wrong length, `silence` no chunk at all. In all else the agent is honest.
 */
export type Lie = 'chunk' | 'size' | 'silence';

/** What an agent that lies is started with. */
export function lying(lie: Lie): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, ASPEN_E2E_LIE: lie };
}

const { readChunk, stat } = BlobStore.prototype;

async function wrongChunk(this: BlobStore, id: BlobId, index: number): Promise<Uint8Array | undefined> {
  const bytes = (await readChunk.call(this, id, index))?.slice();
  if (bytes !== undefined) bytes[0] = (bytes[0] ?? 0) ^ 1;
  return bytes;
}

function wrongSize(this: BlobStore, id: BlobId): BlobStat | undefined {
  const known = stat.call(this, id);
  return known === undefined ? undefined : { ...known, sizeBytes: known.sizeBytes + 1 };
}

const LIES: Readonly<Record<Lie, () => void>> = {
  chunk: () => void Object.assign(BlobStore.prototype, { readChunk: wrongChunk }),
  size: () => void Object.assign(BlobStore.prototype, { stat: wrongSize }),
  silence: () => void Object.assign(BlobStore.prototype, { readChunk: () => new Promise(() => undefined) }),
};

LIES[env['ASPEN_E2E_LIE'] as Lie]?.();
