import { invariant } from '../base/index.ts';
import { mergeRange } from './merge-range.ts';
import { PendingWrites, type UndoLog } from './pending-writes.ts';
import type { Key, KeyRange, Store, StoreView, Write } from './store.ts';

/**
 * A store and, before it, the writes that are not durable yet: reads see them at once.
 *
 * - W1: a flush is one atomic batch; flushes become durable in the order of the calls, and several may be under way.
 * - W2: a write stays visible from the moment it is made, without a gap when the store takes it over.
 * - W3: `rollback` leaves what every read sees as it was at `begin`, at the cost of the writes made since.
 * - W4: after a flush failed, the buffer knows more than the disk: it refuses every later flush with the same fault. Its owner drops it
 *   and begins again from the store.
 *
 * Values are kept as given and must not be changed afterwards. Ranges are to be consumed before the next write or await.
 */
export class WriteBuffer implements StoreView {
  readonly #store: Store;
  readonly #isBehind: boolean;
  #open = new PendingWrites();
  /** Newest first. Each is a flush whose batch the store has not confirmed. */
  #inFlight: PendingWrites[] = [];
  #undo: UndoLog | undefined;
  #lastFlush: Promise<void> = Promise.resolve();
  #fault: unknown;

  /** @param isBehind its batches can be made again from others: {@link Store.writeBehind}. @default false */
  constructor(store: Store, { isBehind = false }: { readonly isBehind?: boolean } = {}) {
    this.#store = store;
    this.#isBehind = isBehind;
  }

  /** Keys written since the last flush. */
  get openCount(): number {
    return this.#open.size;
  }

  /** About how much memory they take. */
  get openBytes(): number {
    return this.#open.putBytes;
  }

  put(key: Key, value: Uint8Array): void {
    this.#open.set(key, value, this.#undo);
  }

  delete(key: Key): void {
    this.#open.set(key, undefined, this.#undo);
  }

  /** Deletes every key with `from` <= key < `to`. */
  deleteRange(range: { readonly from: Key; readonly to: Key }): void {
    this.#open.deleteRange(range, this.#undo);
  }

  get(key: Key): Uint8Array | undefined {
    const open = this.#open.lookup(key);
    if (open !== 'unknown') return open;
    for (const writes of this.#inFlight) {
      const found = writes.lookup(key);
      if (found !== 'unknown') return found;
    }
    return this.#store.get(key);
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    return mergeRange([this.#open, ...this.#inFlight], this.#store, range);
  }

  /** From here on writes can be taken back together. One scope at a time. */
  begin(): void {
    invariant(this.#undo === undefined, 'a scope of a write buffer is open already');
    this.#undo = [];
  }

  commit(): void {
    invariant(this.#undo !== undefined, 'no scope of the write buffer is open');
    this.#undo = undefined;
  }

  rollback(): void {
    invariant(this.#undo !== undefined, 'no scope of the write buffer is open');
    this.#open.undo(this.#undo);
    this.#undo = undefined;
  }

  /**
   * Sends everything written since the last flush, and then `extra`, as one atomic batch.
   * @returns a promise that resolves when it, and every flush before it, is durable. Rejects with the store's StorageFault.
   */
  flush(extra: readonly Write[] = []): Promise<void> {
    invariant(this.#undo === undefined, 'a write buffer is not flushed in the middle of a scope');
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    for (const write of extra) this.#take(write);
    if (!this.#open.isEmpty) this.#lastFlush = this.#send(this.#open);
    return this.#lastFlush;
  }

  #take(write: Write): void {
    if (write.type === 'put') this.put(write.key, write.value);
    else if (write.type === 'delete') this.delete(write.key);
    else this.deleteRange(write);
  }

  async #send(writes: PendingWrites): Promise<void> {
    this.#open = new PendingWrites();
    this.#inFlight.unshift(writes);
    try {
      const batch = writes.batch();
      await (this.#isBehind ? this.#store.writeBehind(batch) : this.#store.write(batch));
    } catch (error) {
      this.#fault ??= error;
      throw this.#fault;
    }
    if (this.#fault !== undefined) throw this.#fault;
    this.#inFlight = this.#inFlight.filter((layer) => layer !== writes);
  }
}
