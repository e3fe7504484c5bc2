import type { Key, KeyRange, StoreView } from './store.ts';

/** A view without one key of it. */
export class HiddenKey implements StoreView {
  readonly #view: StoreView;
  readonly #key: Key;

  constructor(view: StoreView, key: Key) {
    this.#view = view;
    this.#key = key;
  }

  get(key: Key): Uint8Array | undefined {
    return key === this.#key ? undefined : this.#view.get(key);
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    const isWithin = range.from <= this.#key && this.#key < range.to;
    return isWithin ? this.#without(range) : this.#view.range(range);
  }

  *#without(range: KeyRange): Generator<readonly [Key, Uint8Array], void, undefined> {
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    if (left <= 0) return;
    for (const entry of this.#view.range(
      left === Number.POSITIVE_INFINITY ? range : { ...range, limit: left + 1 },
    )) {
      if (entry[0] === this.#key) continue;
      yield entry;
      left -= 1;
      if (left <= 0) return;
    }
  }
}
