import { crc32 } from 'node:zlib';
import type { LogIndex, Term } from '../base/index.ts';
import type { Key } from '../storage/index.ts';
import { parseConfiguration, type SnapshotMeta } from './raft/index.ts';

/** Keys and values of one chunk; a single larger record travels alone. Short, since writes wait while one is made ready. Unit: bytes. */
export const SNAPSHOT_CHUNK_BYTES = 256 * 2 ** 10;

export type SnapshotRecords = readonly (readonly [key: Key, value: Uint8Array])[];

/** One step of a snapshot: records of the applied tables in key order, keys without their space. */
export interface SnapshotChunk {
  readonly type: 'chunk';
  /** Drawn by the sender for this transfer. */
  readonly transfer: number;
  /** From 0, each once, in order. */
  readonly number: number;
  readonly meta: SnapshotMeta;
  readonly records: SnapshotRecords;
  readonly isLast: boolean;
  /** Of everything sent so far, this chunk included. */
  readonly crc: number;
}

/** Asks how far a transfer has got, before it is gone on with after a cut. */
export interface SnapshotInquiry {
  readonly type: 'inquiry';
  readonly transfer: number;
}

/** The answer to both. */
export interface SnapshotPosition {
  /** Number of the chunk that is awaited; 0 when nothing of this transfer is held. */
  readonly next: number;
}

/** @returns the checksum of everything up to and with these records, the lengths of keys and values included. */
export function snapshotCrc(previous: number, records: SnapshotRecords): number {
  let crc = previous;
  const lengths = new Uint32Array(2);
  const bytes = new Uint8Array(lengths.buffer);
  for (const [key, value] of records) {
    lengths[0] = key.length;
    lengths[1] = value.length;
    crc = crc32(value, crc32(key, crc32(bytes, crc)));
  }
  return crc;
}

/** @returns undefined when the foreign value is neither. */
export function parseSnapshotRequest(value: unknown): SnapshotChunk | SnapshotInquiry | undefined {
  const { type, transfer } = (value ?? {}) as Partial<SnapshotChunk | SnapshotInquiry>;
  if (!isCount(transfer)) return undefined;
  if (type === 'inquiry') return { type, transfer };
  return type === 'chunk' ? parseChunk(value as Partial<SnapshotChunk>, transfer) : undefined;
}

/** @returns undefined when the foreign value is not a position. */
export function parsePosition(value: unknown): SnapshotPosition | undefined {
  const { next } = (value ?? {}) as Partial<SnapshotPosition>;
  return isCount(next) ? { next } : undefined;
}

export function parseSnapshotMeta(value: unknown): SnapshotMeta | undefined {
  const { index, term, configuration } = (value ?? {}) as Partial<SnapshotMeta>;
  const parsed = parseConfiguration(configuration);
  if (!isCount(index) || !isCount(term) || index === 0 || parsed === undefined) return undefined;
  return { index: index as LogIndex, term: term as Term, configuration: parsed };
}

function parseChunk(value: Partial<SnapshotChunk>, transfer: number): SnapshotChunk | undefined {
  const { number, meta, records, isLast, crc } = value;
  if (!isCount(number) || !isCount(crc) || typeof isLast !== 'boolean') return undefined;
  const parsedMeta = parseSnapshotMeta(meta);
  if (parsedMeta === undefined || !Array.isArray(records)) return undefined;
  for (const record of records) {
    if (!Array.isArray(record) || typeof record[0] !== 'string' || !(record[1] instanceof Uint8Array)) {
      return undefined;
    }
  }
  return { type: 'chunk', transfer, number, meta: parsedMeta, records, isLast, crc };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
