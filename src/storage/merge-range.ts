import type { PendingWrites } from './pending-writes.ts';
import type { Key, KeyRange, StoreView } from './store.ts';

interface Source {
  readonly keys: Iterator<Key, unknown>;
  head: Key | undefined;
}

/**
 * One ordered reading of a store and the writes before it.
 * @param layers newest first: the first that touches a key decides.
 */
export function mergeRange(
  layers: readonly PendingWrites[],
  store: StoreView,
  range: KeyRange,
): Iterable<readonly [Key, Uint8Array]> {
  return layers.every(({ isEmpty }) => isEmpty) ? store.range(range) : merged(layers, store, range);
}

function* merged(
  layers: readonly PendingWrites[],
  store: StoreView,
  range: KeyRange,
): Generator<readonly [Key, Uint8Array], void, undefined> {
  const { from, to, reverse = false } = range;
  let left = range.limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  const stored = store.range({ from, to, reverse })[Symbol.iterator]();
  const sources = layers.map((layer): Source => advance({ keys: layer.keys(range), head: undefined }));
  try {
    let entry = stored.next();
    while (left > 0) {
      const pending = firstHead(sources, reverse);
      const key = entry.done ? pending : nearer(pending, entry.value[0], reverse);
      if (key === undefined) return;
      for (const source of sources) if (source.head === key) advance(source);
      const isStored = !entry.done && entry.value[0] === key;
      const value =
        newest(layers, key) ?? (isStored && !isTouched(layers, key) ? entry.value?.[1] : undefined);
      if (isStored) entry = stored.next();
      if (value === undefined) continue;
      yield [key, value];
      left -= 1;
    }
  } finally {
    stored.return?.();
  }
}

function advance(source: Source): Source {
  const next = source.keys.next();
  source.head = next.done ? undefined : (next.value as Key);
  return source;
}

function firstHead(sources: readonly Source[], reverse: boolean): Key | undefined {
  let first: Key | undefined;
  for (const { head } of sources) if (head !== undefined) first = nearer(first, head, reverse);
  return first;
}

function nearer(key: Key | undefined, other: Key, reverse: boolean): Key {
  if (key === undefined) return other;
  return key < other === reverse ? other : key;
}

function isTouched(layers: readonly PendingWrites[], key: Key): boolean {
  return layers.some((layer) => layer.touches(key));
}

function newest(layers: readonly PendingWrites[], key: Key): Uint8Array | undefined {
  for (const layer of layers) {
    const found = layer.lookup(key);
    if (found !== 'unknown') return found;
  }
  return undefined;
}
