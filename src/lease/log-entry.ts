import { crc32 } from 'node:zlib';
import { decode, encode, type LogIndex, type Term } from '../base/index.ts';
import { StorageFault } from '../storage/index.ts';
import { readConfiguration } from './disk-layout.ts';
import type { Entry, EntryKind } from './raft/index.ts';

/** Stored form: checksum (4 bytes), term (8 bytes), kind (1 byte), payload. */
const HEADER_BYTES = 13;
const KINDS: readonly EntryKind[] = ['command', 'configuration', 'empty'];

export interface StoredEntry {
  readonly bytes: Uint8Array;
  readonly crc: number;
}

/**
 * @param previousCrc checksum of the entry before.
 * @returns the entry as stored, and its own checksum, which covers everything before it too.
 */
export function encodeEntry(entry: Entry, previousCrc: number): StoredEntry {
  const payload = entry.kind === 'configuration' ? encode(entry.configuration) : entry.payload;
  const stored = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  stored.writeDoubleBE(entry.term, 4);
  stored[12] = KINDS.indexOf(entry.kind);
  stored.set(payload, HEADER_BYTES);
  const crc = chained(previousCrc, entry.index, stored);
  stored.writeUInt32BE(crc, 0);
  return { bytes: stored, crc };
}

/** @throws StorageFault `damaged` when the checksum does not follow from the one before. */
export function decodeEntry(index: LogIndex, stored: Uint8Array, previousCrc: number): Entry {
  const crc = storedCrc(stored);
  if (stored.length < HEADER_BYTES || chained(previousCrc, index, stored) !== crc) {
    throw new StorageFault('damaged', `log entry ${index} does not match its checksum`);
  }
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const kind = KINDS[stored[12] as number] as EntryKind;
  const term = view.getFloat64(4) as Term;
  const payload = stored.subarray(HEADER_BYTES);
  if (kind !== 'configuration') return { term, index, kind, payload };
  return {
    term,
    index,
    kind,
    payload: payload.subarray(0, 0),
    configuration: readConfiguration(decode(payload)),
  };
}

export function storedCrc(stored: Uint8Array): number {
  if (stored.length < HEADER_BYTES) return -1;
  return new DataView(stored.buffer, stored.byteOffset, stored.byteLength).getUint32(0);
}

/** The index is covered, so that an entry in another's place is noticed. */
function chained(previousCrc: number, index: number, stored: Uint8Array): number {
  const place = new Float64Array([index, previousCrc]);
  return crc32(stored.subarray(4), crc32(new Uint8Array(place.buffer)));
}
