import type { BlobId } from './blob-id.ts';

/** What the rule looks at. */
export interface KeptBlob {
  readonly id: BlobId;
  /** Bytes on this disk. */
  readonly heldBytes: number;
  readonly isPinned: boolean;
  readonly referenceCount: number;
  readonly origin: 'added' | 'fetched';
  /** Wall time. */
  readonly usedAtMs: number;
  /** It is being read, written or fetched. */
  readonly isInUse: boolean;
}

export interface CollectionNeed {
  readonly nowMs: number;
  /** How long a blob that nothing names is kept after its last use. */
  readonly graceMs: number;
  /** How much room is wanted beyond what is old enough to go. @default 0 */
  readonly neededBytes?: number;
}

/**
 * Which blobs go.
 *
 * - G1 What is pinned, referenced or in use stays, whatever is needed.
 * - G2 The rest goes when it was not used for the grace time.
 * - G3 Where room is needed, copies of what others hold go before that, the longest unused first, and no more of them than needed.
 */
export function collectable(blobs: readonly KeptBlob[], need: CollectionNeed): BlobId[] {
  const { nowMs, graceMs, neededBytes = 0 } = need;
  const free = blobs.filter(
    ({ isPinned, referenceCount, isInUse }) => !isPinned && referenceCount === 0 && !isInUse,
  );
  const isOld = ({ usedAtMs }: KeptBlob) => nowMs - usedAtMs >= graceMs;
  const old = free.filter(isOld);
  const gone = old.map(({ id }) => id);
  let freedBytes = old.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  const copies = free
    .filter((blob) => !isOld(blob) && blob.origin === 'fetched')
    .sort((left, right) => left.usedAtMs - right.usedAtMs || (left.id < right.id ? -1 : 1));
  for (const { id, heldBytes } of copies) {
    if (freedBytes >= neededBytes) break;
    gone.push(id);
    freedBytes += heldBytes;
  }
  return gone;
}
