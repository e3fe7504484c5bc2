import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { foldWrites } from './fold-writes.ts';
import { checkKeys, KEY_BYTES_LIMIT } from './key-table.ts';
import { commitFault } from './lmdb-fault.ts';
import { checkLmdbHeader } from './lmdb-header.ts';
import { lmdbKeyEncoder } from './lmdb-keys.ts';
import { hasRoomFor } from './lmdb-room.ts';
import {
  type Key,
  type KeyRange,
  StorageFault,
  type Store,
  type StoreSnapshot,
  type Write,
} from './store.ts';

/** Writes gathered into one transaction at most; a single larger batch still goes whole. */
const GROUP_WRITES_LIMIT = 20_000;
const OWNER_ONLY_UMASK = 0o077;
const LOWEST_KEY: Key = '\u0000';

type Transaction = ReturnType<RootDatabase['useReadTransaction']>;

interface WaitingBatch {
  readonly batch: readonly Write[];
  readonly resolve: () => void;
  readonly reject: (fault: StorageFault) => void;
}

interface LmdbStoreComponents {
  readonly db: RootDatabase<Uint8Array, Key>;
  readonly path: string;
}

/**
 * Ordered keys on disk.
 *
 * - D1: `write` resolves only after fdatasync: `overlappingSync` is off, so that lmdb answers after the sync and not before it.
 * - D2: one transaction is under way at a time; what is asked for meanwhile becomes the next one, in the order of the calls
 *   (group commit). A batch is never split over two transactions.
 * - D3: after a failed sync every later write is refused: the kernel may have dropped the pages, so nobody knows what is on the disk.
 * - D4: what a read returns is a copy; lmdb uses its buffers again.
 * - D5: a transaction begins only where it leaves a reserve on the disk; without it, it is refused as `full` and nothing was written.
 *
 * A `deleteRange` is atomic with its batch, however long: its keys are listed first, which holds the thread for about 1 us a key, and lmdb
 * deletes them off the thread. Who clears millions of keys does it in several batches. Values must not change until `write` resolves.
 * Ranges are to be consumed without awaiting in between.
 */
export class LmdbStore implements Store {
  readonly #db: RootDatabase<Uint8Array, Key>;
  readonly #path: string;
  #waiting: WaitingBatch[] = [];
  #pump: Promise<void> | undefined;
  #fault: StorageFault | undefined;

  constructor({ db, path }: LmdbStoreComponents) {
    this.#db = db;
    this.#path = path;
  }

  get(key: Key): Uint8Array | undefined {
    this.#checkOpen();
    return key.length > 0 ? this.#db.getBinary(key) : undefined;
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    this.#checkOpen();
    return readRange(this.#db, range);
  }

  write(batch: readonly Write[]): Promise<void> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    checkKeys(batch);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#pump ??= this.#commitWaiting();
    });
  }

  writeBehind(batch: readonly Write[]): Promise<void> {
    return this.write(batch);
  }

  snapshot(): StoreSnapshot {
    this.#checkOpen();
    return new LmdbSnapshot(this.#db);
  }

  /** Waits for the writes under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#fault?.kind === 'closed') return;
    while (this.#pump !== undefined) await this.#pump;
    this.#fault = new StorageFault('closed', 'the store is closed');
    await this.#db.close();
  }

  /** The turn given away before each group lets everyone who was just answered, or whose bytes just arrived, join it. */
  async #commitWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      await nextTurn();
      const group = this.#takeGroup();
      const fault = this.#fault ?? (await this.#commit(group.flatMap(({ batch }) => batch)));
      if (fault?.kind === 'sync-failed') this.#fault = fault;
      for (const { resolve, reject } of group) fault === undefined ? resolve() : reject(fault);
    }
    this.#pump = undefined;
  }

  #takeGroup(): WaitingBatch[] {
    let writes = 0;
    const end = this.#waiting.findIndex(({ batch }) => {
      writes += batch.length;
      return writes > GROUP_WRITES_LIMIT;
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end));
  }

  async #commit(writes: readonly Write[]): Promise<StorageFault | undefined> {
    if (writes.length === 0) return undefined;
    if (!hasRoomFor(this.#path, valueBytesOf(writes))) {
      return new StorageFault('full', `hardly any space is left for ${this.#path}`);
    }
    try {
      const flat = writes.some(({ type }) => type === 'deleteRange')
        ? foldWrites(writes, this.#keysIn)
        : writes;
      await this.#db.batch(() => {
        for (const write of flat) {
          if (write.type === 'put') void this.#db.put(write.key, write.value);
          else if (write.type === 'delete') void this.#db.remove(write.key);
        }
      });
      this.#db.resetReadTxn();
      return undefined;
    } catch (error) {
      return commitFault(error, { path: this.#path, valueBytes: valueBytesOf(writes) });
    }
  }

  readonly #keysIn = (range: KeyRange): Iterable<Key> => this.#db.getKeys(lmdbRange(range));

  #checkOpen(): void {
    if (this.#fault?.kind === 'closed') throw this.#fault;
  }
}

/**
 * Opens the store at `path`, or makes a new one there, readable by its owner only. lmdb keeps its lock file beside it.
 * @throws StorageFault `damaged` when the file is not a store or cannot be opened as one.
 */
export function openLmdbStore(path: string): LmdbStore {
  checkLmdbHeader(path);
  const mask = process.umask(OWNER_ONLY_UMASK);
  try {
    const db = open<Uint8Array, Key>({
      path,
      noSubdir: true,
      encoding: 'binary',
      keyEncoder: lmdbKeyEncoder,
      overlappingSync: false,
      eventTurnBatching: false,
    });
    syncDirectory(dirname(path));
    return new LmdbStore({ db, path });
  } catch (error) {
    throw new StorageFault('damaged', `cannot open the store at ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    process.umask(mask);
  }
}

class LmdbSnapshot implements StoreSnapshot {
  readonly #db: RootDatabase<Uint8Array, Key>;
  #transaction: Transaction | undefined;

  constructor(db: RootDatabase<Uint8Array, Key>) {
    this.#db = db;
    db.resetReadTxn();
    this.#transaction = db.useReadTransaction();
  }

  get(key: Key): Uint8Array | undefined {
    // `get` of a database with binary encoding copies, and unlike `getBinary` it is typed to take a transaction.
    return key.length > 0 ? this.#db.get(key, { transaction: this.#held() }) : undefined;
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    return readRange(this.#db, range, this.#held());
  }

  [Symbol.dispose](): void {
    this.#transaction?.done();
    this.#transaction = undefined;
  }

  #held(): Transaction {
    if (this.#transaction === undefined) throw new StorageFault('closed', 'the snapshot was released');
    return this.#transaction;
  }
}

function* readRange(
  db: RootDatabase<Uint8Array, Key>,
  range: KeyRange,
  transaction?: Transaction,
): Generator<readonly [Key, Uint8Array], void, undefined> {
  const options = lmdbRange(range);
  if (transaction !== undefined) options.transaction = transaction;
  for (const { key, value } of db.getRange(options)) yield [key, value];
}

interface LmdbRange {
  start: Key;
  end: Key;
  reverse?: boolean;
  exclusiveStart?: boolean;
  inclusiveEnd?: boolean;
  limit?: number;
  transaction?: Transaction;
}

/** lmdb counts a reversed range from its upper end, so there the excluded bound is its start. */
function lmdbRange({ from, to, reverse = false, limit }: KeyRange): LmdbRange {
  const low = from === '' ? LOWEST_KEY : from;
  const high = to.length > KEY_BYTES_LIMIT ? to.slice(0, KEY_BYTES_LIMIT + 1) : to === '' ? LOWEST_KEY : to;
  const bounded = limit === undefined ? {} : { limit };
  return reverse
    ? { start: high, end: low, reverse, exclusiveStart: true, inclusiveEnd: true, ...bounded }
    : { start: low, end: high, ...bounded };
}

function valueBytesOf(writes: readonly Write[]): number {
  let sum = 0;
  for (const write of writes) if (write.type === 'put') sum += write.value.length;
  return sum;
}

/** A new file is only there after a power cut when its directory entry was synced. */
function syncDirectory(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
