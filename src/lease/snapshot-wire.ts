import { crc32 } from 'node:zlib';
import type { LogIndex, Term } from '../base/index.ts';
import type { Key } from '../storage/index.ts';
import { parseConfiguration, type SnapshotMeta } from './raft/index.ts';

/** Keys and values of one chunk; a single larger record travels alone. Unit: bytes. */
export const SNAPSHOT_CHUNK_BYTES = 512 * 2 ** 10;

/** One step of a snapshot: records of the applied tables in key order, keys without their space. */
export interface SnapshotChunk {
  /** Drawn by the sender for this transfer. */
  readonly transfer: number;
  /** From 0, each once, in order. */
  readonly number: number;
  readonly meta: SnapshotMeta;
  readonly records: readonly (readonly [key: Key, value: Uint8Array])[];
  readonly isLast: boolean;
  /** Of everything sent so far, this chunk included. */
  readonly crc: number;
}

/** @returns the checksum of everything up to and with these records. */
export function snapshotCrc(previous: number, records: SnapshotChunk['records']): number {
  let crc = previous;
  for (const [key, value] of records) crc = crc32(value, crc32(key, crc));
  return crc;
}

/** @returns undefined when the foreign value is not a chunk. */
export function parseChunk(value: unknown): SnapshotChunk | undefined {
  const { transfer, number, meta, records, isLast, crc } = (value ?? {}) as Partial<SnapshotChunk>;
  if (!isCount(transfer) || !isCount(number) || !isCount(crc) || typeof isLast !== 'boolean')
    return undefined;
  const parsedMeta = parseMeta(meta);
  if (parsedMeta === undefined || !Array.isArray(records)) return undefined;
  for (const record of records) {
    if (!Array.isArray(record) || typeof record[0] !== 'string' || !(record[1] instanceof Uint8Array)) {
      return undefined;
    }
  }
  return { transfer, number, meta: parsedMeta, records, isLast, crc };
}

function parseMeta(value: unknown): SnapshotMeta | undefined {
  const { index, term, configuration } = (value ?? {}) as Partial<SnapshotMeta>;
  const parsed = parseConfiguration(configuration);
  if (!isCount(index) || !isCount(term) || index === 0 || parsed === undefined) return undefined;
  return { index: index as LogIndex, term: term as Term, configuration: parsed };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
