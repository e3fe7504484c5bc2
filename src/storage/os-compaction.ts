import { closeSync, existsSync, fstatSync, openSync, readSync, statfsSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Logger } from '../base/index.ts';
import { syncDirectory } from '../base/os-sync-directory.ts';
import { isSealed } from './checked-value.ts';
import {
  type Compacted,
  type CompactionNote,
  type Compactor,
  encodeCompactionNote,
  isWorthCompacting,
  NOTHING_NOTED,
  readCompactionNote,
  type StoreSpace,
  TRIES_LIMIT,
} from './compaction.ts';
import type { DataDirectory } from './data-directory.ts';
import { KEY_BYTES_LIMIT } from './key-table.ts';
import { checkStoreFile, type StoreCheckOptions } from './lmdb-check.ts';
import { META_BYTES, META_PAGES, type MetaFacts, readMeta, type TreeFacts } from './lmdb-pages.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { type Key, StorageFault, type Write } from './store.ts';

/** The file in the data directory that remembers what was asked for, and how the last one ended. */
const NOTE_FILE = 'compaction';
/** What a compaction writes, until it takes the place of the store. */
const COPY_SUFFIX = '.compact';
/** Values copied in one batch. */
const BATCH_VALUES = 10_000;
const BATCH_BYTES = 8 * 2 ** 20;
/** Left on the disk beside the copy. Unit: bytes. */
const RESERVE_BYTES = 64 * 2 ** 20;

/** @returns what the store at `path`, open or not, takes of the disk; undefined where there is none yet. */
export function readStoreSpace(path: string): StoreSpace | undefined {
  if (!existsSync(path)) return undefined;
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const meta = newestMeta(file);
    if (meta === undefined) return undefined;
    const { main, free, pageBytes } = meta;
    const usedBytes = Math.min(size, (pagesOf(main) + pagesOf(free) + META_PAGES) * pageBytes);
    return { fileBytes: size, usedBytes, freeBytes: size - usedBytes };
  } finally {
    closeSync(file);
  }
}

function newestMeta(file: number): MetaFacts | undefined {
  const first = readMetaAt(file, 0);
  if (first === undefined) return undefined;
  const second = readMetaAt(file, first.pageBytes);
  return second !== undefined && second.transaction > first.transaction ? second : first;
}

function readMetaAt(file: number, offset: number): MetaFacts | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  return readMeta(bytes.subarray(0, readSync(file, bytes, 0, META_BYTES, offset)));
}

function pagesOf({ branchPages, leafPages, overflowPages }: TreeFacts): number {
  return branchPages + leafPages + overflowPages;
}

/**
 * Writes the closed store at `path` anew, without its free pages.
 *
 * - P1 The store is the old one or the new one, whole, at any moment: the copy is synced and looked at from its root to every value before one rename
 *   puts it in its place.
 *
 * @param options how its values are looked at.
 * @throws StorageFault `full` where the disk has no room for both, `damaged` where the copy is not what was copied; the store is as it was then.
 */
export async function compactStore(path: string, options: StoreCheckOptions = {}): Promise<void> {
  await clearCopy(path);
  checkRoom(path);
  const copy = path + COPY_SUFFIX;
  try {
    const entries = await copyStore(path, copy);
    const found = checkStoreFile(copy, options);
    if (found?.entries !== entries)
      throw new StorageFault('damaged', `the copy of ${path} has ${found?.entries} of ${entries} values`);
    await rm(`${copy}-lock`, { force: true });
    await rename(copy, path);
    await rm(`${path}-lock`, { force: true });
    await syncDirectory(dirname(path));
  } catch (error) {
    await clearCopy(path);
    throw error;
  }
}

/** @returns how many values there are. */
async function copyStore(from: string, to: string): Promise<number> {
  await using source = openLmdbStore(from);
  await using target = openLmdbStore(to);
  using snapshot = source.snapshot();
  let batch: Write[] = [];
  let [bytes, count] = [0, 0];
  for (const [key, value] of snapshot.range({ from: '\u0000', to: LAST_KEY })) {
    batch.push({ type: 'put', key, value });
    bytes += key.length + value.length;
    count += 1;
    if (batch.length < BATCH_VALUES && bytes < BATCH_BYTES) continue;
    await target.write(batch);
    batch = [];
    bytes = 0;
  }
  await target.write(batch);
  return count;
}

const LAST_KEY: Key = '\u00ff'.repeat(KEY_BYTES_LIMIT);

/** What one that was cut off left behind. */
async function clearCopy(path: string): Promise<void> {
  for (const end of [COPY_SUFFIX, `${COPY_SUFFIX}-lock`]) await rm(path + end, { force: true });
}

function checkRoom(path: string): void {
  const { usedBytes } = readStoreSpace(path) ?? { usedBytes: 0 };
  const { bavail, bsize } = statfsSync(dirname(path));
  const neededBytes = usedBytes + RESERVE_BYTES;
  if (bavail * bsize < neededBytes)
    throw new StorageFault('full', `a compaction of ${path} needs ${neededBytes} bytes beside it`);
}

/** Compactions of the store of one node: asked for while it runs, done at its next start. */
export class StoreCompaction implements Compactor {
  readonly #directory: Pick<DataDirectory, 'storePath' | 'readFile' | 'writeFileAtomic'>;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(
    directory: Pick<DataDirectory, 'storePath' | 'readFile' | 'writeFileAtomic'>,
    { clock, log }: { readonly clock: Clock; readonly log: Logger },
  ) {
    this.#directory = directory;
    this.#clock = clock;
    this.#log = log;
  }

  space(): StoreSpace | undefined {
    return readStoreSpace(this.#directory.storePath);
  }

  async last(): Promise<Compacted | null> {
    return (await this.#read()).last;
  }

  async ask(): Promise<void> {
    await this.#write({ ...(await this.#read()), isAsked: true, tries: 0 });
  }

  /**
   * Compacts the closed store where that was asked for. What keeps it from it is said, and keeps nobody from starting: one that a crash cut off is
   * begun anew, three times at most.
   */
  async runIfAsked(): Promise<void> {
    await clearCopy(this.#directory.storePath);
    const note = await this.#read();
    if (!note.isAsked) return;
    const before = this.space();
    if (before === undefined) return this.#write({ ...note, isAsked: false, tries: 0 });
    if (note.tries >= TRIES_LIMIT)
      return this.#end(before, { startMs: this.#clock.monotonicMs(), fault: 'it was cut off three times' });
    await this.#write({ ...note, tries: note.tries + 1 });
    this.#log.info(before, 'compacts the store');
    const startMs = this.#clock.monotonicMs();
    try {
      if (isWorthCompacting(before)) await compactStore(this.#directory.storePath, { isGenuine: isSealed });
      await this.#end(before, { startMs, fault: null });
    } catch (error) {
      await this.#end(before, { startMs, fault: error instanceof Error ? error.message : String(error) });
    }
  }

  async #end(
    { fileBytes: beforeBytes }: StoreSpace,
    { startMs, fault }: { readonly startMs: number; readonly fault: string | null },
  ): Promise<void> {
    const afterBytes = statSync(this.#directory.storePath).size;
    const durationMs = Math.round(this.#clock.monotonicMs() - startMs);
    const last = { atMs: this.#clock.wallMs(), beforeBytes, afterBytes, durationMs, fault };
    await this.#write({ isAsked: false, tries: 0, last });
    if (fault === null) this.#log.info(last, 'the store is compacted');
    else this.#log.warn(last, 'the store is not compacted');
  }

  /** A note that a disk has damaged asks for nothing. */
  async #read(): Promise<CompactionNote> {
    const bytes = await this.#directory.readFile(NOTE_FILE);
    if (bytes === undefined) return NOTHING_NOTED;
    try {
      return readCompactionNote(bytes);
    } catch (err) {
      this.#log.warn({ err }, 'the note of compactions is damaged');
      return NOTHING_NOTED;
    }
  }

  #write(note: CompactionNote): Promise<void> {
    return this.#directory.writeFileAtomic(NOTE_FILE, encodeCompactionNote(note));
  }
}
