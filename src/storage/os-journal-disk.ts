import { constants, existsSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../base/os-sync-directory.ts';
import { type JournalDisk, RECORDS_UNDER_WAY, type Segment } from './journal.ts';
import { hasRoomFor } from './lmdb-room.ts';
import { osDiskRoom } from './os-disk-room.ts';
import { StorageFault } from './store.ts';

const SEGMENT_BYTES = 4 * 2 ** 20;
const OWNER_ONLY = 0o600;
/** On Linux a write returns when it is durable: one trip to a thread and back, where a write and a sync take two. Elsewhere only a sync says so. */
const IS_SYNCED_BY_WRITE = process.platform === 'linux';
const FLAGS = IS_SYNCED_BY_WRITE ? constants.O_RDWR | constants.O_DSYNC : constants.O_RDWR;
const ZEROS = Buffer.alloc(2 ** 20);

/** What is appended to the store's path for its journal. */
export const JOURNAL_SUFFIXES = ['-journal-0', '-journal-1'] as const;

/**
 * Opens the two files of the journal of the store at `path`, or makes them: full of zeros, their owner's alone. They never grow, so a write needs
 * no new block.
 * @throws StorageFault `damaged` for a file that is no segment, `full` when there is no room for a new one.
 */
export async function openOsJournalDisk(path: string): Promise<JournalDisk> {
  const paths = JOURNAL_SUFFIXES.map((suffix) => path + suffix);
  const missing = paths.filter((each) => !existsSync(each));
  for (const each of missing) await OsSegment.make(each);
  const [first, second] = paths as [string, string];
  const segments = [await OsSegment.open(first), await OsSegment.open(second)] as const;
  return {
    segmentBytes: SEGMENT_BYTES,
    segments,
    isNew: missing.length > 0,
    hasRoomFor: osDiskRoom(path),
    nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
    [Symbol.asyncDispose]: async () => {
      for (const segment of segments) await segment[Symbol.asyncDispose]();
    },
  };
}

class OsSegment implements Segment, AsyncDisposable {
  readonly #path: string;
  /**
   * Opened once for each write that may be under way: the kernel tells of a page that it could not write only once for each opening, to
   * whoever syncs first.
   */
  readonly #files: readonly FileHandle[];
  #turn = 0;

  constructor(path: string, files: readonly FileHandle[]) {
    this.#path = path;
    this.#files = files;
  }

  /** @throws StorageFault `damaged` for a file that is no segment. */
  static async open(path: string): Promise<OsSegment> {
    const opening = Array.from({ length: RECORDS_UNDER_WAY }, () => open(path, FLAGS));
    const segment = new OsSegment(path, await Promise.all(opening));
    const { size } = await segment.#file.stat();
    if (size === SEGMENT_BYTES) return segment;
    await segment[Symbol.asyncDispose]();
    throw new StorageFault('damaged', `${path} has ${size} bytes instead of ${SEGMENT_BYTES}`);
  }

  /** It is there whole or not at all. @throws StorageFault `full` when there is no room for it. */
  static async make(path: string): Promise<void> {
    if (!hasRoomFor(path, SEGMENT_BYTES)) {
      throw new StorageFault('full', `hardly any space is left for ${path}`);
    }
    const next = `${path}.new`;
    const file = await open(next, FLAGS | constants.O_CREAT | constants.O_TRUNC, OWNER_ONLY);
    await using segment = new OsSegment(next, [file]);
    await segment.clear(SEGMENT_BYTES);
    await rename(next, path);
    await syncDirectory(dirname(path));
  }

  get #file(): FileHandle {
    return this.#files[0] as FileHandle;
  }

  async read(): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(SEGMENT_BYTES);
    for (let at = 0; at < SEGMENT_BYTES; ) {
      const { bytesRead } = await this.#file.read(bytes, at, SEGMENT_BYTES - at, at);
      if (bytesRead === 0) throw new StorageFault('damaged', `${this.#path} has only ${at} bytes`);
      at += bytesRead;
    }
    return bytes;
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    const file = this.#files[this.#turn] as FileHandle;
    this.#turn = (this.#turn + 1) % this.#files.length;
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
        done += bytesWritten;
      }
      if (!IS_SYNCED_BY_WRITE) await file.datasync();
    } catch (cause) {
      throw new StorageFault('sync-failed', `cannot write ${this.#path}: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  async clear(byteLength: number): Promise<void> {
    for (let at = 0; at < byteLength; at += ZEROS.length) {
      await this.write(ZEROS.subarray(0, Math.min(ZEROS.length, byteLength - at)), at);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}
