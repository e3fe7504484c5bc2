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

/** The whole records of a segment, and what lies behind them. */
interface Scan {
  /** Sequence numbers of the first and the last record, which is before the first where that is not whole; undefined without a header of the first. */
  readonly range: { readonly first: number; readonly last: number } | undefined;
  readonly writes: readonly Write[];
  /** A record did not reach the disk as a whole. */
  readonly isTorn: boolean;
  /** Headers of records behind that one which the store does not have. */
  readonly beyond: readonly RecordHeader[];
}

/**
 * What the segments of a journal hold that its store does not.
 *
 * Records were written into segments full of zeros, each when at most the one before it was not durable yet, which it says of itself; a segment is
 * filled with zeros again when the store has what it held.
 *
 * - D6 A power cut leaves sectors of the very last record unwritten, or of the last two where they were under way together, and nothing else:
 *   the first that is not whole was never acknowledged, nor was the one after it, and they are dropped. Anything else that is not as it was written
 *   is damage, and said to be.
 *
 * @throws StorageFault `damaged`.
 */
export function recoverJournal(segments: readonly Buffer[], checkpoint: Checkpoint): Recovered {
  const scans = segments.map((segment) => scan(segment, checkpoint)).filter((each) => each !== undefined);
  const held = scans
    .filter(({ range }) => range !== undefined)
    .sort((left, right) => firstOf(left) - firstOf(right));
  let { sequence } = checkpoint;
  const writes: Write[] = [];
  for (const [at, each] of held.entries()) {
    if (firstOf(each) !== sequence + 1) throw damaged(`record ${sequence + 1} is missing`);
    sequence = each.range?.last ?? sequence;
    if (each.isTorn && at < held.length - 1) throw damaged(`record ${sequence + 1} is not whole`);
    for (const write of each.writes) writes.push(write);
  }
  for (const { beyond } of scans) for (const header of beyond) requireUnderWay(header, sequence);
  return { writes, sequence };
}

function firstOf({ range }: Scan): number {
  return range?.first ?? Number.POSITIVE_INFINITY;
}

/** @param last of the records that are whole: the next one is not. */
function requireUnderWay({ sequence, isOverlapping }: RecordHeader, last: number): void {
  if (isOverlapping && sequence === last + 2) return;
  throw damaged(`record ${sequence} follows one that is not whole`);
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
  const beyond = isCut ? headersAfter(segment, at + RECORD_ALIGNMENT, checkpoint) : [];
  const range = first && { first: first.sequence, last: sequence };
  return range === undefined && !isCut ? undefined : { range, writes, isTorn: isCut, beyond };
}

/** @returns undefined where nothing was written. */
function headerAt(segment: Buffer, at: number, salt: number): RecordHeader | undefined {
  const header = readHeader(segment, at, salt);
  if (header === undefined && !isHeaderBlank(segment, at)) {
    throw damaged(`what lies at byte ${at} is no record of it`);
  }
  return header;
}

/** @returns those of records that the store does not have. */
function headersAfter(segment: Buffer, from: number, { sequence, salt }: Checkpoint): RecordHeader[] {
  const headers: RecordHeader[] = [];
  for (let at = from; at < segment.length; at += RECORD_ALIGNMENT) {
    const header = readHeader(segment, at, salt);
    if (header !== undefined && header.sequence > sequence) headers.push(header);
  }
  return headers;
}

function damaged(what: string): StorageFault {
  return new StorageFault('damaged', `the journal of the store is damaged: ${what}`);
}
