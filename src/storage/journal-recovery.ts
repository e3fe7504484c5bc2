import {
  isHeaderBlank,
  isTorn,
  isZero,
  RECORD_ALIGNMENT,
  type RecordHeader,
  readBody,
  readHeader,
  recordBytes,
} from './journal-record.ts';
import { StorageFault, type Write } from './store.ts';

/** Up to where the store behind a journal holds what the journal held. */
export interface Checkpoint {
  /** Of the last record that is in the store; 0 before the first one. */
  readonly sequence: number;
  readonly salt: number;
}

export interface Recovered {
  /** Of all records after the checkpoint, in their order. */
  readonly writes: readonly Write[];
  /** Of the last of them; that of the checkpoint when there is none. */
  readonly sequence: number;
}

interface Scan {
  /** Sequence numbers of the first and the last record. */
  readonly first: number;
  readonly last: number;
  readonly writes: readonly Write[];
  /** Its last record did not reach the disk as a whole. */
  readonly isTorn: boolean;
}

/**
 * What the segments of a journal hold that its store does not.
 *
 * Records were written one at a time, each after the one before it was durable, into segments full of zeros; a segment is filled with zeros
 * again when the store has what it held.
 *
 * - D6 A power cut leaves sectors of the very last record unwritten, and nothing else: it was never acknowledged, and is dropped. Anything else
 *   that is not as it was written is damage, and said to be.
 *
 * @throws StorageFault `damaged`.
 */
export function recoverJournal(segments: readonly Buffer[], checkpoint: Checkpoint): Recovered {
  const scans = segments
    .map((segment) => scan(segment, checkpoint))
    .filter((each) => each !== undefined)
    .sort((left, right) => left.first - right.first);
  let { sequence } = checkpoint;
  const writes: Write[] = [];
  for (const [at, each] of scans.entries()) {
    if (each.first !== sequence + 1) throw damaged(`record ${sequence + 1} is missing`);
    if (each.isTorn && at < scans.length - 1) throw damaged(`record ${each.last + 1} is not whole`);
    for (const write of each.writes) writes.push(write);
    sequence = each.last;
  }
  return { writes, sequence };
}

/** @returns undefined for a segment with nothing that the store does not have. */
function scan(segment: Buffer, checkpoint: Checkpoint): Scan | undefined {
  const first = headerAt(segment, 0, checkpoint.salt);
  if (first !== undefined && first.sequence <= checkpoint.sequence) return undefined; // to be filled with zeros yet
  const writes: Write[] = [];
  let sequence = (first?.sequence ?? 0) - 1;
  let at = 0;
  for (let header = first; header !== undefined; header = headerAt(segment, at, checkpoint.salt)) {
    if (header.sequence !== sequence + 1) throw damaged(`record ${sequence + 1} is missing`);
    const body = readBody(segment, at, header);
    if (body === undefined) {
      if (!isTorn(segment, at, header))
        throw damaged(`record ${header.sequence} does not match its checksum`);
      break;
    }
    for (const write of body) writes.push(write);
    sequence = header.sequence;
    at += recordBytes(header.bodyBytes);
  }
  const isCut = !isZero(segment, at, segment.length);
  if (isCut) requireNothingAfter(segment, at + RECORD_ALIGNMENT, checkpoint);
  return first === undefined ? undefined : { first: first.sequence, last: sequence, writes, isTorn: isCut };
}

/** @returns undefined where nothing was written. */
function headerAt(segment: Buffer, at: number, salt: number): RecordHeader | undefined {
  const header = readHeader(segment, at, salt);
  if (header === undefined && !isHeaderBlank(segment, at)) {
    throw damaged(`what lies at byte ${at} is no record of it`);
  }
  return header;
}

/** A record that the store does not have, behind one that is not whole: the latter was whole once. */
function requireNothingAfter(segment: Buffer, from: number, { sequence, salt }: Checkpoint): void {
  for (let at = from; at < segment.length; at += RECORD_ALIGNMENT) {
    const header = readHeader(segment, at, salt);
    if (header === undefined || header.sequence <= sequence) continue;
    throw damaged(`record ${header.sequence} follows one that is not whole`);
  }
}

function damaged(what: string): StorageFault {
  return new StorageFault('damaged', `the journal of the store is damaged: ${what}`);
}
