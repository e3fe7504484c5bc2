/** Arrays that a burst made longer than this are given back when nothing is left in them. */
const SPARE_SLOTS = 1_024;

/** Values in numbered slots that are used again: adding and removing one takes the same time however many there are. */
export class SlotList<T extends {}> {
  #values: (T | undefined)[] = [];
  #free: number[] = [];

  get size(): number {
    return this.#values.length - this.#free.length;
  }

  /** @returns the slot, by which the value is found and removed. */
  add(value: T): number {
    const slot = this.#free.pop() ?? this.#values.length;
    this.#values[slot] = value;
    return slot;
  }

  /** @returns undefined for a slot that is not taken. */
  get(slot: number): T | undefined {
    return this.#values[slot];
  }

  /** For a slot that is taken. */
  set(slot: number, value: T): void {
    this.#values[slot] = value;
  }

  /** For a slot that is taken; it may be given to another value from now on. */
  remove(slot: number): void {
    this.#values[slot] = undefined;
    this.#free.push(slot);
    if (this.#values.length > SPARE_SLOTS && this.size === 0) this.clear();
  }

  /** All slots are free again: whoever holds one must not use it any more. */
  clear(): void {
    this.#values = [];
    this.#free = [];
  }

  /** In no particular order. */
  values(): T[] {
    return this.#values.filter((value) => value !== undefined);
  }
}
