import { closeSync, openSync, readSync } from 'node:fs';
import { StorageFault } from './store.ts';

/** The magic number of lmdb's first meta page, little-endian, behind the page header. */
const MAGIC = 0xbeefc0de;
const MAGIC_OFFSETS = [16, 24];
const HEADER_BYTES = 28;

/**
 * Looks at a file before lmdb does, because lmdb 3.5.6 ends the process with a segmentation fault over a file that is not its own.
 * Nothing at `path`, or an empty file, is where a new store begins.
 * @throws StorageFault `damaged` when the file does not begin like a store.
 */
export function checkLmdbHeader(path: string): void {
  const header = readHeader(path);
  if (header === undefined || header.length === 0) return;
  const isStore =
    header.length === HEADER_BYTES && MAGIC_OFFSETS.some((offset) => header.readUInt32LE(offset) === MAGIC);
  if (!isStore) throw new StorageFault('damaged', `${path} does not begin like a store`);
}

function readHeader(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    return header.subarray(0, readSync(file, header, 0, HEADER_BYTES, 0));
  } finally {
    closeSync(file);
  }
}
