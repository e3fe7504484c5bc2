import { PendingWrites } from './pending-writes.ts';
import type { Write } from './store.ts';

/** What the base has not taken over yet, in the order of the calls. */
export class Backlog {
  /** Oldest first: writes that are read from here and folded to one a key, and batches as they were given. */
  readonly #parts: (PendingWrites | readonly Write[])[] = [];
  #newest: PendingWrites | undefined;
  #layers: readonly PendingWrites[] = [];
  #bytes = 0;

  /** Those that reads must see, newest first. */
  get layers(): readonly PendingWrites[] {
    return this.#layers;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** About how much was put into it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Visible from now on; its values are copied. */
  add(batch: readonly Write[], bytes: number): void {
    const layer = this.#newest ?? this.#begin();
    for (const write of batch) {
      if (write.type === 'put') layer.set(write.key, new Uint8Array(write.value), undefined);
      else if (write.type === 'delete') layer.set(write.key, undefined, undefined);
      else layer.deleteRange(write, undefined);
    }
    this.#bytes += bytes;
  }

  /** Not visible here: who wrote it reads it elsewhere until the base has it. Its values must not change until then. */
  addWhole(batch: readonly Write[], bytes: number): void {
    this.#parts.push(batch);
    this.#newest = undefined;
    this.#bytes += bytes;
  }

  /** All of it, for the base. */
  batch(): Write[] {
    const writes: Write[] = [];
    for (const part of this.#parts) {
      for (const write of part instanceof PendingWrites ? part.batch() : part) writes.push(write);
    }
    return writes;
  }

  #begin(): PendingWrites {
    const layer = new PendingWrites();
    this.#parts.push(layer);
    this.#newest = layer;
    this.#layers = [layer, ...this.#layers];
    return layer;
  }
}
