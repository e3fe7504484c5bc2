import type { Key } from './store.ts';

/** Keys go to lmdb byte for byte, without a buffer of their own. */
export const lmdbKeyEncoder = {
  /** @throws RangeError when the key does not fit, which makes lmdb take a larger buffer. */
  writeKey(key: Key, target: Buffer, start: number): number {
    if (target.length - start < key.length) throw new RangeError('no room for the key');
    return start + target.write(key, start, 'latin1');
  },
  readKey(source: Buffer, start: number, end: number): Key {
    return source.toString('latin1', start, end);
  },
};
