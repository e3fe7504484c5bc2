import type { BlobId } from './blob-id.ts';

/** What a node tells of a blob of its own. */
export interface BlobStat {
  readonly id: BlobId;
  readonly sizeBytes: number;
  /** Bytes on this disk; fewer than `sizeBytes` while it is partial. */
  readonly heldBytes: number;
  readonly isComplete: boolean;
  readonly isPinned: boolean;
  readonly origin: 'added' | 'fetched';
  readonly name: string | null;
  readonly jobs: readonly string[];
  readonly addedAtMs: number;
  readonly usedAtMs: number;
}
