import type { Crypto } from '../base/index.ts';
import type { AuditFiles } from './audit-files.ts';
import { type AuditRecord, type ChainEnd, checkLine } from './chain.ts';
import type { Head } from './head.ts';

/** The first place where a log is not what was written. */
export interface Break {
  readonly file: string;
  /** Within its file, from 1. */
  readonly line: number;
  /** The number that is due there. */
  readonly seq: number;
  readonly reason: string;
}

export interface Walk {
  readonly end: ChainEnd;
  /** Length of what is whole. */
  readonly bytes: number;
  readonly break: Break | undefined;
  readonly lineCount: number;
}

const LINE_FEED = 0x0a;

/** Follows the lines of one file from `from` on, as far as they follow on `end`. */
export function walkFile(
  crypto: Pick<Crypto, 'sha256'>,
  { file, bytes, from = 0 }: { readonly file: string; readonly bytes: Uint8Array; readonly from?: number },
  start: ChainEnd,
): Walk {
  let end = start;
  let at = from;
  let lineCount = 0;
  const broken = (reason: string): Walk => {
    const line = lineCount + 1;
    return { end, bytes: at, break: { file, line, seq: end.seq + 1, reason }, lineCount };
  };
  while (at < bytes.length) {
    const feed = bytes.indexOf(LINE_FEED, at);
    if (feed === -1) return broken('it breaks off in the middle');
    const checked = checkLine(crypto, end, textOf(bytes.subarray(at, feed)));
    if (!checked.ok) return broken(checked.reason);
    ({ end } = checked);
    at = feed + 1;
    lineCount += 1;
  }
  return { end, bytes: at, break: undefined, lineCount };
}

export interface Verified {
  readonly ok: boolean;
  /** Lines that hold, from the first that is kept. */
  readonly lineCount: number;
  readonly fileCount: number;
  readonly lastSeq: number;
  readonly lastHash: string;
  readonly break: Break | null;
}

/**
 * - L2 What was written and is kept is all there, in order, unchanged: the lines follow on each other over all files, the first on what the
 *   head says was removed last, and the last one is the head's. The first place where that does not hold is named.
 */
export async function verifyFiles(
  crypto: Pick<Crypto, 'sha256'>,
  files: AuditFiles,
  head: Head,
): Promise<Verified> {
  let end: ChainEnd = head.base;
  let lineCount = 0;
  const names = await files.names();
  const verdict = (found: Break | null): Verified => {
    const { seq, hash } = end;
    const fileCount = names.length;
    return { ok: found === null, lineCount, fileCount, lastSeq: seq, lastHash: hash, break: found };
  };
  let last: Walk | undefined;
  for (const file of names) {
    const whole = await files.read(file);
    const bytes = file === head.file ? whole.subarray(0, head.bytes) : whole;
    last = walkFile(crypto, { file, bytes }, end);
    ({ end } = last);
    lineCount += last.lineCount;
    if (last.break !== undefined) return verdict(last.break);
  }
  if (end.seq === head.last.seq && end.hash === head.last.hash) return verdict(null);
  const file = names.at(-1) ?? head.file;
  const reason =
    end.seq < head.last.seq
      ? `the log ends at ${end.seq}, and ${head.last.seq} lines were written: the end is missing`
      : `the last line is not the one that was written as number ${head.last.seq}: the log was replaced`;
  return verdict({ file, line: (last?.lineCount ?? 0) + 1, seq: end.seq + 1, reason });
}

/** @returns the last records of one file, unchecked but for their form; at most `limit`. */
export function lastRecords(bytes: Uint8Array, limit: number): AuditRecord[] {
  const lines = textOf(bytes).split('\n').slice(0, -1).slice(-limit);
  return lines.flatMap((line) => recordOf(line) ?? []);
}

function recordOf(line: string): AuditRecord | undefined {
  const { prev: _prev, hash: _hash, ...record } = fieldsOf(line) ?? {};
  const { kind, seq, at } = record as Partial<AuditRecord>;
  if (typeof kind !== 'string' || typeof seq !== 'number' || typeof at !== 'string') return undefined;
  return { ...record, kind, seq, at };
}

function fieldsOf(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}
