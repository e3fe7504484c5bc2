import { createHash } from 'node:crypto';
import { close, constants, fstat, mkdirSync, open, openSync, read, unlinkSync, writev } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { OutputStream } from './runner.ts';
import {
  type OutputArchive,
  type Segment,
  type Spool,
  type SpoolPage,
  type SpoolWriter,
  splitBySegments,
} from './spool.ts';

const openAsync = promisify(open);
const closeAsync = promisify(close);
const statAsync = promisify(fstat);

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
/** One entry of an index: stream, then where it begins. */
const ENTRY_BYTES = 8;
/** Of an index in one go; whole entries. */
const INDEX_READ_BYTES = 8_192 * ENTRY_BYTES;
/** Changes of the stream within one attempt; who switches more often than that has the rest dropped. */
const SEGMENTS_LIMIT = 2 ** 20;
const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

export interface ArchiveLimits {
  /** Attempts whose output is kept. @default 10_000 */
  readonly attemptsLimit?: number;
  /** Kept of all attempts together. Unit: bytes. @default 2 GiB */
  readonly bytesLimit?: number;
  /** Since it was last written. Unit: ms. @default 7 days */
  readonly ageLimitMs?: number;
}

/**
 * Output as files of one directory: `NAME.out` has the bytes of both streams as they came, so that an offset is a place in it; `NAME.idx` has
 * an entry wherever the stream changes, written before the bytes that it speaks of.
 *
 * - A1 Kept output goes when it is too old, or the oldest of too much, and never while its attempt runs.
 */
export class OsSpool implements Spool, OutputArchive {
  readonly #directory: string;
  readonly #limits: Required<ArchiveLimits>;
  readonly #indexes = new Map<string, ReadIndex>();

  constructor(directory: string, limits: ArchiveLimits = {}) {
    this.#directory = directory;
    this.#limits = {
      attemptsLimit: 10_000,
      bytesLimit: 2 * 1024 ** 3,
      ageLimitMs: 7 * 86_400_000,
      ...limits,
    };
    mkdirSync(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  }

  create(key: string, onWritten: () => void): SpoolWriter {
    return new OsSpoolWriter(this.#pathOf(key), onWritten);
  }

  async read(
    key: string,
    fromOffset: number,
    bytesLimit: number,
    into?: Uint8Array,
  ): Promise<SpoolPage | null> {
    const path = this.#pathOf(key);
    const bytes = await readRange(`${path}.out`, { from: fromOffset, bytesLimit, into });
    if (bytes === null) return null;
    // Entries are written before their bytes: an index read after the bytes knows all of them.
    const segments = await this.#indexOf(key).segments();
    return {
      chunks: splitBySegments(segments, fromOffset, bytes),
      nextOffset: fromOffset + bytes.length,
    };
  }

  /** Removes the oldest beyond the limits, but nothing under a key of `live`. @returns how many were removed. */
  async prune(live: readonly string[]): Promise<number> {
    const liveNames = new Set(live.map(nameOfKey));
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith('.out'));
    const files = await Promise.all(names.map((name) => this.#sizeOf(name)));
    files.sort((a, b) => b.changedMs - a.changedMs);
    const firstKeptMs = Date.now() - this.#limits.ageLimitMs;
    let [count, bytes, removedCount] = [0, 0, 0];
    for (const file of files) {
      count += 1;
      bytes += file.bytes;
      const isWithin = count <= this.#limits.attemptsLimit && bytes <= this.#limits.bytesLimit;
      if ((isWithin && file.changedMs > firstKeptMs) || liveNames.has(file.name)) continue;
      this.#indexes.delete(file.name);
      for (const end of ['.out', '.idx'])
        await unlink(join(this.#directory, file.name) + end).catch(ignoreMissing);
      removedCount += 1;
    }
    return removedCount;
  }

  async #sizeOf(file: string): Promise<{ name: string; bytes: number; changedMs: number }> {
    const facts = await stat(join(this.#directory, file)).catch(ignoreMissing);
    return { name: file.slice(0, -'.out'.length), bytes: facts?.size ?? 0, changedMs: facts?.mtimeMs ?? 0 };
  }

  #indexOf(key: string): ReadIndex {
    const name = nameOfKey(key);
    const known = this.#indexes.get(name) ?? new ReadIndex(`${this.#pathOf(key)}.idx`);
    this.#indexes.delete(name);
    this.#indexes.set(name, known);
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexes.size <= READ_INDEXES_LIMIT) break;
      this.#indexes.delete(oldest);
    }
    return known;
  }

  #pathOf(key: string): string {
    return join(this.#directory, nameOfKey(key));
  }
}

/** @returns a file name of its own for every key. */
function nameOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

/** Indexes that stay in memory, the latest read ones. */
const READ_INDEXES_LIMIT = 64;

/** The changes of the stream in one attempt's output, as far as they were read. */
class ReadIndex {
  readonly #path: string;
  readonly #segments: Segment[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  async segments(): Promise<readonly Segment[]> {
    const added = await readRange(this.#path, {
      from: this.#segments.length * ENTRY_BYTES,
      bytesLimit: INDEX_READ_BYTES,
    });
    const whole = Buffer.from(added ?? new Uint8Array(0));
    for (let at = 0; at + ENTRY_BYTES <= whole.length; at += ENTRY_BYTES) {
      const segment: Segment = {
        stream: STREAMS[whole.readUInt16BE(at)] ?? 'stdout',
        startOffset: whole.readUIntBE(at + 2, 6),
      };
      if (segment.startOffset > (this.#segments.at(-1)?.startOffset ?? -1)) this.#segments.push(segment);
    }
    if (whole.length === INDEX_READ_BYTES) return this.segments();
    return this.#segments;
  }
}

class OsSpoolWriter implements SpoolWriter {
  writtenBytes = 0;
  pendingBytes = 0;
  fault: string | null = null;
  readonly #onWritten: () => void;
  #out = -1;
  #index = -1;
  #pending: Uint8Array[] = [];
  #entries: Buffer[] = [];
  #lastStream: OutputStream | null = null;
  #segmentCount = 0;
  #givenBytes = 0;
  #writing: Promise<void> | null = null;
  #isEnded = false;

  constructor(path: string, onWritten: () => void) {
    this.#onWritten = onWritten;
    try {
      this.#out = createNew(`${path}.out`);
      this.#index = createNew(`${path}.idx`);
    } catch (error) {
      this.#fail(error);
    }
  }

  append(stream: OutputStream, bytes: Uint8Array): void {
    if (this.fault !== null || this.#isEnded) return;
    if (stream !== this.#lastStream) {
      if (this.#segmentCount === SEGMENTS_LIMIT) {
        this.fault = `more than ${SEGMENTS_LIMIT} changes between stdout and stderr`;
        return;
      }
      this.#segmentCount += 1;
      this.#lastStream = stream;
      const entry = Buffer.alloc(ENTRY_BYTES);
      entry.writeUInt16BE(STREAMS.indexOf(stream), 0);
      entry.writeUIntBE(this.#givenBytes, 2, 6);
      this.#entries.push(entry);
    }
    this.#givenBytes += bytes.length;
    this.pendingBytes += bytes.length;
    this.#pending.push(bytes);
    this.#writing ??= this.#write();
  }

  async flushed(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    await this.flushed();
    for (const fd of [this.#index, this.#out]) if (fd >= 0) await closeAsync(fd);
    this.#index = -1;
    this.#out = -1;
  }

  async #write(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const [entries, pieces] = [this.#entries, this.#pending];
        this.#entries = [];
        this.#pending = [];
        if (entries.length > 0) await writeAll(this.#index, [Buffer.concat(entries)]);
        const bytes = await writeAll(this.#out, pieces);
        this.pendingBytes -= bytes;
        this.writtenBytes += bytes;
        this.#onWritten();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#writing = null;
    }
  }

  /** A disk that takes no more ends the keeping of output, and not the job. */
  #fail(error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    this.fault = (error as Error).message;
    this.#pending = [];
    this.pendingBytes = 0;
  }
}

/** Pieces that one system call takes. */
const WRITEV_LIMIT = 512;

/** @returns how many bytes were written: all. */
async function writeAll(fd: number, pieces: readonly Uint8Array[]): Promise<number> {
  let total = 0;
  for (let at = 0; at < pieces.length; at += WRITEV_LIMIT) {
    let left = pieces.slice(at, at + WRITEV_LIMIT);
    while (left.length > 0) {
      const written = await writevAsync(fd, left);
      total += written;
      left = without(left, written);
    }
  }
  return total;
}

function writevAsync(fd: number, pieces: readonly Uint8Array[]): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, [...pieces], null, (error, written) => (error ? reject(error) : resolve(written)));
  });
}

function without(pieces: Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  let at = 0;
  while (at < pieces.length && left >= (pieces[at]?.length ?? 0)) {
    left -= pieces[at]?.length ?? 0;
    at += 1;
  }
  const rest = pieces.slice(at);
  const [first] = rest;
  if (first !== undefined && left > 0) rest[0] = first.subarray(left);
  return rest;
}

function createNew(path: string): number {
  try {
    unlinkSync(path); // an attempt of a job that was purged may have had the same name
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
  }
  return openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, OWNER_ONLY_FILE);
}

/** @returns null when there is no such file. */
async function readRange(
  path: string,
  {
    from,
    bytesLimit,
    into,
  }: { readonly from: number; readonly bytesLimit: number; readonly into?: Uint8Array | undefined },
): Promise<Uint8Array | null> {
  let fd: number;
  try {
    fd = await openAsync(path, constants.O_RDONLY);
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
    return null;
  }
  try {
    const wanted = Math.max(0, Math.min(bytesLimit, (await statAsync(fd)).size - from));
    const buffer =
      into !== undefined && wanted <= into.length ? into.subarray(0, wanted) : Buffer.alloc(wanted);
    let length = 0;
    if (wanted === 0) return buffer;
    for (;;) {
      const count = await readAsync(fd, buffer, { at: length, from: from + length });
      length += count;
      if (count === 0 || length === wanted) return buffer.subarray(0, length);
    }
  } finally {
    await closeAsync(fd);
  }
}

function readAsync(
  fd: number,
  buffer: Uint8Array,
  { at, from }: { readonly at: number; readonly from: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, at, buffer.length - at, from, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
