import type { Key, KeyRange, Write } from './store.ts';

/**
 * Turns a batch into one put or delete a key with the same effect, for a store that knows no range deletes.
 * @param storedKeys the keys the store holds in a range, before the batch.
 */
export function foldWrites(
  batch: readonly Write[],
  storedKeys: (range: KeyRange) => Iterable<Key>,
): Exclude<Write, { readonly type: 'deleteRange' }>[] {
  const last = new Map<Key, Uint8Array | undefined>();
  for (const write of batch) {
    if (write.type === 'put') last.set(write.key, write.value);
    else if (write.type === 'delete') last.set(write.key, undefined);
    else {
      for (const key of last.keys()) if (key >= write.from && key < write.to) last.set(key, undefined);
      for (const key of storedKeys(write)) last.set(key, undefined);
    }
  }
  return Array.from(last, ([key, value]) =>
    value === undefined ? { type: 'delete', key } : { type: 'put', key, value },
  );
}
