/**
 * A key is a byte string: each character stands for one byte (code 0 to 255), so keys compare like their bytes and can be
 * used in a Map. `keys.ts` builds them. At most 1,900 bytes.
 */
export type Key = string;

/** One change inside an atomic batch. */
export type Write =
  | { readonly type: 'put'; readonly key: Key; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Key }
  /** Deletes every key with `from` <= key < `to`. */
  | { readonly type: 'deleteRange'; readonly from: Key; readonly to: Key };

export interface KeyRange {
  /** First key that belongs to the range. */
  readonly from: Key;
  /** First key beyond the range. */
  readonly to: Key;
  /** @default false */
  readonly reverse?: boolean;
  /** @default no limit */
  readonly limit?: number;
}

/** A consistent reading of the store. */
export interface StoreView {
  get(key: Key): Uint8Array | undefined;
  /** In key order, or from the end when `reverse`. The view must not be written while it is being iterated. */
  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]>;
}

/** A reading that stays as it was when taken, whatever is written later; held open until disposed. */
export interface StoreSnapshot extends StoreView, Disposable {}

/**
 * Ordered keys with atomic durable batches, one per agent.
 *
 * - A batch is applied whole or not at all, and batches become durable in the order of the calls.
 * - The promise of `write` resolves when the batch, and every one before it, survives a power cut.
 * - Reads see a batch at the latest when its promise resolves; until then they may or may not.
 * - `write` rejects with a {@link StorageFault}. After `sync-failed` nothing is known about the disk: the process must end.
 *   After `full` nothing of that batch was written, and a later one may succeed.
 */
export interface Store extends StoreView, AsyncDisposable {
  write(batch: readonly Write[]): Promise<void>;
  /**
   * For what can be made again from other batches: as `write`, but batches of later calls of `write` may become durable before it, and it
   * may take its time. Everything written before it is durable when its promise resolves.
   */
  writeBehind(batch: readonly Write[]): Promise<void>;
  /** The store is about to be closed: what waits for room on a full disk is refused as `full`, now and later. @default nothing waits */
  endWaiting?(): void;
  snapshot(): StoreSnapshot;
}

/** What a disk can do to us. */
export class StorageFault extends Error {
  override readonly name = 'StorageFault';
  readonly kind: 'sync-failed' | 'full' | 'damaged' | 'closed';

  constructor(kind: StorageFault['kind'], message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
