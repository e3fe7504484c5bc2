import { crc32 } from 'node:zlib';
import { StorageFault, type Write } from './store.ts';

/** What a disk writes whole or not at all. Unit: bytes. */
export const SECTOR_BYTES = 512;
/** Records begin at multiples of this, so that a header lies in one sector. Unit: bytes. */
export const RECORD_ALIGNMENT = 32;
const HEADER_BYTES = 32;
const OVERLAP_AT = 20;
const HEADER_CHECK_AT = 28;
const MAGIC = 0x41_4a_30_31;
const SEQUENCE_BYTES = 6;
const KEY_LENGTH_BYTES = 2;
const VALUE_LENGTH_BYTES = 4;

const ZEROS = Buffer.alloc(64 * 2 ** 10);

const TYPES = ['put', 'delete', 'deleteRange'] as const;

/**
 * A record of the journal: a header in one sector, the writes of some batches, and zeros up to the next multiple of
 * {@link RECORD_ALIGNMENT}.
 *
 * | at | bytes | what |
 * |---|---|---|
 * | 0 | 4 | magic |
 * | 4 | 4 | length of the body |
 * | 8 | 6 | sequence number |
 * | 14 | 2 | sectors of this record that are zero as written |
 * | 16 | 4 | CRC-32 of the body and the zeros behind it |
 * | 20 | 1 | 1 where the record before it was under way yet when this one was written, else 0 |
 * | 28 | 4 | CRC-32 of the header so far, begun with the salt of the journal |
 *
 * All numbers big-endian.
 */
export interface RecordHeader {
  readonly sequence: number;
  readonly bodyBytes: number;
  readonly zeroSectors: number;
  readonly bodyCheck: number;
  readonly isOverlapping: boolean;
}

/** Where a record goes, and whose it is. */
export interface RecordPlace {
  readonly sequence: number;
  /** In the segment. Unit: bytes. */
  readonly at: number;
  /** Drawn once for a journal: nothing that was made elsewhere passes for a record of it. */
  readonly salt: number;
  /** The record before it may not be durable yet. @default false */
  readonly isOverlapping?: boolean;
}

/** Unit: bytes, the header and the zeros behind the body included. */
export function recordBytes(bodyBytes: number): number {
  return Math.ceil((HEADER_BYTES + bodyBytes) / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
}

/** What `batch` takes in the body of a record. Unit: bytes. */
export function bodyBytesOf(batch: readonly Write[]): number {
  let bytes = 0;
  for (const write of batch) {
    bytes += 1 + KEY_LENGTH_BYTES;
    if (write.type === 'put') bytes += write.key.length + VALUE_LENGTH_BYTES + write.value.length;
    else if (write.type === 'delete') bytes += write.key.length;
    else bytes += write.from.length + KEY_LENGTH_BYTES + write.to.length;
  }
  return bytes;
}

/**
 * @param target at least {@link recordBytes} of them long.
 * @returns the record, a view of `target`.
 */
export function encodeRecord(
  target: Buffer,
  batches: readonly (readonly Write[])[],
  { sequence, at, salt, isOverlapping = false }: RecordPlace,
): Buffer {
  let end = HEADER_BYTES;
  for (const batch of batches) for (const write of batch) end = putWrite(target, write, end);
  const record = target.subarray(0, recordBytes(end - HEADER_BYTES));
  record.fill(0, end);
  record.writeUInt32BE(MAGIC, 0);
  record.writeUInt32BE(end - HEADER_BYTES, 4);
  record.writeUIntBE(sequence, 8, SEQUENCE_BYTES);
  record.writeUInt16BE(zeroSectorsIn(record, at, HEADER_BYTES), 14);
  record.writeUInt32BE(crc32(record.subarray(HEADER_BYTES)), 16);
  record.fill(0, OVERLAP_AT, HEADER_CHECK_AT);
  record[OVERLAP_AT] = isOverlapping ? 1 : 0;
  record.writeUInt32BE(crc32(record.subarray(0, HEADER_CHECK_AT), salt), HEADER_CHECK_AT);
  return record;
}

/** @returns undefined when there is no whole header of this journal at `at`. */
export function readHeader(segment: Buffer, at: number, salt: number): RecordHeader | undefined {
  if (at + HEADER_BYTES > segment.length || segment.readUInt32BE(at) !== MAGIC) return undefined;
  const check = segment.readUInt32BE(at + HEADER_CHECK_AT);
  if (crc32(segment.subarray(at, at + HEADER_CHECK_AT), salt) !== check) return undefined;
  return {
    bodyBytes: segment.readUInt32BE(at + 4),
    sequence: segment.readUIntBE(at + 8, SEQUENCE_BYTES),
    zeroSectors: segment.readUInt16BE(at + 14),
    bodyCheck: segment.readUInt32BE(at + 16),
    isOverlapping: segment[at + OVERLAP_AT] === 1,
  };
}

/** Whether the place of a header holds nothing. */
export function isHeaderBlank(segment: Buffer, at: number): boolean {
  return isZero(segment, at, Math.min(at + HEADER_BYTES, segment.length));
}

/** @returns the writes of all its batches in their order; undefined when the body is not what was written. */
export function readBody(segment: Buffer, at: number, header: RecordHeader): Write[] | undefined {
  const from = at + HEADER_BYTES;
  const end = at + recordBytes(header.bodyBytes);
  if (end > segment.length || crc32(segment.subarray(from, end)) !== header.bodyCheck) return undefined;
  const body = segment.subarray(from, from + header.bodyBytes);
  const writes: Write[] = [];
  for (let next = 0; next < body.length; ) next = takeWrite(body, next, writes);
  return writes;
}

/**
 * Whether a sector of the record never reached the disk: segments hold zeros before they are written to. A record that is not what was
 * written and has all its sectors was damaged later.
 */
export function isTorn(segment: Buffer, at: number, { bodyBytes, zeroSectors }: RecordHeader): boolean {
  const end = Math.min(at + recordBytes(bodyBytes), segment.length);
  return zeroSectorsIn(segment.subarray(at, end), at, HEADER_BYTES) > zeroSectors;
}

/** @param from what is before it in `record` is not zero. @returns how many sectors `record` has only zeros in, if it begins at `at`. */
function zeroSectorsIn(record: Buffer, at: number, from: number): number {
  let count = 0;
  let start = 0;
  while (start < record.length) {
    const end = Math.min(start + SECTOR_BYTES - ((at + start) % SECTOR_BYTES), record.length);
    if (start >= from && isZero(record, start, end)) count += 1;
    start = end;
  }
  return count;
}

/** Whether `bytes` hold nothing but zeros from `from` up to `to`; true where there are none between. */
/** Whether there are only zeros from `from` to before `to`. */
export function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += ZEROS.length) {
    const end = Math.min(at + ZEROS.length, to);
    if (bytes[at] !== 0 || bytes.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function putWrite(target: Buffer, write: Write, at: number): number {
  target[at] = TYPES.indexOf(write.type) + 1;
  if (write.type === 'deleteRange') return putKey(target, write.to, putKey(target, write.from, at + 1));
  const end = putKey(target, write.key, at + 1);
  if (write.type === 'delete') return end;
  target.writeUInt32BE(write.value.length, end);
  target.set(write.value, end + VALUE_LENGTH_BYTES);
  return end + VALUE_LENGTH_BYTES + write.value.length;
}

function putKey(target: Buffer, key: string, at: number): number {
  target.writeUInt16BE(key.length, at);
  return at + KEY_LENGTH_BYTES + target.write(key, at + KEY_LENGTH_BYTES, 'latin1');
}

/** The checksum has vouched for the body: what does not read was written by another program. */
function takeWrite(body: Buffer, at: number, writes: Write[]): number {
  const type = TYPES[(body[at] as number) - 1];
  const first = takeKey(body, at + 1);
  if (type === 'put') {
    const from = first.end + VALUE_LENGTH_BYTES;
    const end = from + body.readUInt32BE(first.end);
    writes.push({ type, key: first.key, value: new Uint8Array(body.subarray(from, end)) });
    return end;
  }
  if (type === 'delete') {
    writes.push({ type, key: first.key });
    return first.end;
  }
  if (type === undefined) throw new StorageFault('damaged', 'the journal holds a write of an unknown type');
  const second = takeKey(body, first.end);
  writes.push({ type, from: first.key, to: second.key });
  return second.end;
}

function takeKey(body: Buffer, at: number): { readonly key: string; readonly end: number } {
  const from = at + KEY_LENGTH_BYTES;
  const end = from + body.readUInt16BE(at);
  return { key: body.toString('latin1', from, end), end };
}
