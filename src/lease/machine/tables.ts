import { crc32 } from 'node:zlib';
import { AspenError, decode, encode, invariant } from '../../base/index.ts';
import { KEY_BYTES_LIMIT, type Key, prefixEnd, type StoreView } from '../../storage/index.ts';
import type { ReadonlyTable, Table, TableRange } from './module.ts';

/** What tables need of a write buffer. */
export interface TableStore extends StoreView {
  put(key: Key, value: Uint8Array): void;
  delete(key: Key): void;
}

/** Largest stored value: one record must fit a frame of a snapshot. Unit: bytes. */
export const VALUE_BYTES_LIMIT = 3.5 * 2 ** 20;

/**
 * Accumulates what was written, in order, so that replicas can be compared at every position. The space that keys lie in is left out:
 * a replica that came by a snapshot uses the other one.
 */
export class WriteHash {
  value = 0;
  /** Where nobody compares replicas nothing is accumulated. */
  readonly isOn: boolean;
  readonly #spaceLength: number;

  constructor(space: Key, isOn: boolean) {
    this.#spaceLength = space.length;
    this.isOn = isOn;
  }

  add(key: Key, value: Uint8Array | undefined): void {
    if (!this.isOn) return;
    const withKey = crc32(key.slice(this.#spaceLength), this.value);
    this.value = value === undefined ? crc32('\u0000deleted', withKey) : crc32(value, withKey);
  }

  addText(text: string): void {
    if (this.isOn) this.value = crc32(text, this.value);
  }
}

/** @returns the prefix of all keys of one table; module and table names hold no `/`. */
export function tablePrefix(space: Key, module: string, table: string): Key {
  return `${space}${module}/${table}/`;
}

/** A module's table as its own commands see it. */
export class StoredTable<V> implements Table<V> {
  readonly #store: TableStore;
  readonly #prefix: Key;
  readonly #hash: WriteHash;

  constructor(store: TableStore, prefix: Key, hash: WriteHash) {
    this.#store = store;
    this.#prefix = prefix;
    this.#hash = hash;
  }

  get(key: Key): V | undefined {
    return getValue<V>(this.#store, this.#prefix, key);
  }

  put(key: Key, value: V): number {
    const bytes = this.encode(key, value);
    this.putEncoded(key, bytes);
    return bytes.length;
  }

  encode(key: Key, value: V): Uint8Array {
    const full = this.#prefix + key;
    if (full.length > KEY_BYTES_LIMIT) {
      throw new AspenError(
        'INVALID_PARAMS',
        `a key of ${key.length} bytes is too long, together with its table's name it has ${full.length} of at most ${KEY_BYTES_LIMIT}`,
        { details: { limit: 'KEY_BYTES_LIMIT' } },
      );
    }
    const bytes = encode(value);
    if (bytes.length > VALUE_BYTES_LIMIT) {
      throw new AspenError(
        'RESOURCE_EXHAUSTED',
        `a record of ${bytes.length} bytes exceeds ${VALUE_BYTES_LIMIT}`,
        { details: { limit: 'VALUE_BYTES_LIMIT' } },
      );
    }
    return bytes;
  }

  putEncoded(key: Key, bytes: Uint8Array): void {
    const full = this.#prefix + key;
    this.#hash.add(full, bytes);
    this.#store.put(full, bytes);
  }

  delete(key: Key): void {
    const full = this.#prefix + key;
    this.#hash.add(full, undefined);
    this.#store.delete(full);
  }

  range(range: TableRange): Iterable<readonly [Key, V]> {
    return rangeValues<V>(this.#store, this.#prefix, range);
  }
}

/** @returns the tables of a module, outside of any machine: for changing how they are laid out while no machine is open. */
export function tablesOf(store: TableStore, space: Key, module: string): <V>(name: string) => Table<V> {
  const hash = new WriteHash(space, false);
  return (name) => new StoredTable(store, tablePrefix(space, module, name), hash);
}

/** A table that can only be read: another module's, or any table from a query. */
export class ReadTable<V> implements ReadonlyTable<V> {
  readonly #store: StoreView;
  readonly #prefix: Key;

  constructor(store: StoreView, prefix: Key) {
    this.#store = store;
    this.#prefix = prefix;
  }

  get(key: Key): V | undefined {
    return getValue<V>(this.#store, this.#prefix, key);
  }

  range(range: TableRange): Iterable<readonly [Key, V]> {
    return rangeValues<V>(this.#store, this.#prefix, range);
  }
}

function getValue<V>(store: StoreView, prefix: Key, key: Key): V | undefined {
  const bytes = store.get(prefix + key);
  return bytes === undefined ? undefined : (decode(bytes) as V);
}

function* rangeValues<V>(
  store: StoreView,
  prefix: Key,
  { prefix: within, from, to, reverse, limit }: TableRange,
): Generator<readonly [Key, V], void, undefined> {
  invariant(within === undefined || (from === undefined && to === undefined), 'prefix excludes from and to');
  const bounds =
    within === undefined
      ? { from: prefix + (from ?? ''), to: to === undefined ? prefixEnd(prefix) : prefix + to }
      : { from: prefix + within, to: prefixEnd(prefix + within) };
  const options = { reverse: reverse === true, ...(limit !== undefined && { limit }) };
  for (const [key, bytes] of store.range({ ...bounds, ...options })) {
    yield [key.slice(prefix.length), decode(bytes) as V];
  }
}
