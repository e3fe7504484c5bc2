import { SlotList } from './slot-list.ts';

/**
 * A map for what comes and goes by the thousand, such as requests in flight; entries are in the order of their coming.
 *
 * A `Map` of such objects keeps garbage alive: each time it has filled up with what was deleted the engine gives it a new table, and the old
 * one keeps pointing to the new one and to all that it held. Once a single old table has grown old itself, the collector of young objects takes
 * every table after it, and what passed through them, for alive, until the whole heap is collected. Here the `Map` holds numbers alone, and the
 * objects are in slots, which are emptied.
 */
export class SlotMap<K, V extends {}> {
  #slots = new Map<K, number>();
  readonly #values = new SlotList<V>();

  get size(): number {
    return this.#slots.size;
  }

  get(key: K): V | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#values.get(slot);
  }

  has(key: K): boolean {
    return this.#slots.has(key);
  }

  set(key: K, value: V): this {
    this.replace(key, value);
    return this;
  }

  /** Sets as {@link set}. @returns what was there before. */
  replace(key: K, value: V): V | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      this.#slots.set(key, this.#values.add(value));
      return undefined;
    }
    const before = this.#values.get(slot);
    this.#values.set(slot, value);
    return before;
  }

  /** @returns whether it was there. */
  delete(key: K): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#slots.delete(key);
    this.#values.remove(slot);
    return true;
  }

  /** By a map of its own: one that was cleared would keep the chain as well. */
  clear(): void {
    this.#slots = new Map();
    this.#values.clear();
  }

  keys(): MapIterator<K> {
    return this.#slots.keys();
  }

  /** In the order of their coming, as they are now: the map may change while they are looked through. */
  values(): V[] {
    return Array.from(this.#slots.values(), (slot) => this.#values.get(slot) as V);
  }

  /** As {@link values}. */
  entries(): [K, V][] {
    return Array.from(this.#slots, ([key, slot]): [K, V] => [key, this.#values.get(slot) as V]);
  }
}
