/**
 * Remembers at least the latest `windowIds` and at most twice as many, in two generations: forgetting one by one would cost
 * more than it saves.
 */
export class RecentIds<Id> {
  readonly #windowIds: number;
  #young = new Set<Id>();
  #old = new Set<Id>();

  constructor(windowIds: number) {
    this.#windowIds = windowIds;
  }

  /** @returns false when the id was seen before, within the window. */
  add(id: Id): boolean {
    if (this.#young.has(id) || this.#old.has(id)) return false;
    this.#young.add(id);
    if (this.#young.size >= this.#windowIds) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return true;
  }

  /** Forgets what was added before the call of this before. @returns whether anything is left. */
  age(): boolean {
    this.#old = this.#young;
    this.#young = new Set();
    return this.#old.size > 0;
  }
}
