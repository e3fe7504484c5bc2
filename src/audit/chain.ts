import type { Crypto } from '../base/index.ts';

/** What happened, as plain JSON. Never a value of an environment, a secret or a ticket. */
export interface AuditEvent {
  /** e.g. `execution.start`, `act`. */
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** One line of the log, read back. */
export interface AuditRecord extends AuditEvent {
  /** 1 for the first line of all; each one more than the line before. */
  readonly seq: number;
  /** Wall time, ISO 8601. */
  readonly at: string;
}

/** Where a chain stands: the line that was written last. */
export interface ChainEnd {
  readonly seq: number;
  /** Of that line, 64 hex digits. */
  readonly hash: string;
}

/** Before the first line. */
export const CHAIN_START: ChainEnd = { seq: 0, hash: '0'.repeat(64) };

/** Longest line; an event that would make a longer one is written without its fields. Unit: characters. */
export const LINE_LIMIT = 16_384;

const HASH = /^[0-9a-f]{64}$/;
const HASH_FIELD = ',"hash":"';
const HASH_LENGTH = 64;
const SUFFIX_LENGTH = HASH_FIELD.length + HASH_LENGTH + '"}'.length;

/**
 * The line of an event that follows on `end`, without its line feed.
 *
 * - L1 Each line names its number and the hash of the line before, and ends with a hash over all that stands before it: no line can be
 *   changed, left out, added or moved without breaking the chain at that place.
 */
export function chainLine(
  crypto: Pick<Crypto, 'sha256'>,
  end: ChainEnd,
  { event, at }: { readonly event: AuditEvent; readonly at: string },
): { readonly line: string; readonly end: ChainEnd } {
  const seq = end.seq + 1;
  const whole = JSON.stringify({ ...event, seq, at, prev: end.hash });
  const fits = whole.length + SUFFIX_LENGTH <= LINE_LIMIT;
  const text = fits
    ? whole
    : JSON.stringify({ kind: event.kind.slice(0, 128), isCut: true, seq, at, prev: end.hash });
  const body = text.slice(0, -1);
  const hash = hashOf(crypto, body);
  return { line: `${body}${HASH_FIELD}${hash}"}`, end: { seq, hash } };
}

/** Why a line does not follow on `end`, or what it says. */
export type CheckedLine =
  | { readonly ok: true; readonly record: AuditRecord; readonly end: ChainEnd }
  | { readonly ok: false; readonly reason: string };

/** L1. @param line without its line feed. */
export function checkLine(crypto: Pick<Crypto, 'sha256'>, end: ChainEnd, line: string): CheckedLine {
  const cut = line.length - SUFFIX_LENGTH;
  const body = line.slice(0, Math.max(0, cut));
  const hash = line.slice(-HASH_LENGTH - 2, -2);
  const isSealed = cut > 0 && line.startsWith(HASH_FIELD, cut) && line.endsWith('"}') && HASH.test(hash);
  if (!isSealed) return { ok: false, reason: 'it is no whole line of an audit log' };
  if (hashOf(crypto, body) !== hash)
    return { ok: false, reason: 'its hash does not fit what it says: it was changed' };
  const fields = parsed(`${body}}`);
  if (fields === undefined) return { ok: false, reason: 'it is not JSON' };
  const { prev, ...record } = fields;
  const { seq, kind, at } = record;
  if (typeof kind !== 'string' || typeof at !== 'string')
    return { ok: false, reason: 'it says neither what happened nor when' };
  if (seq !== end.seq + 1)
    return {
      ok: false,
      reason: `it has number ${String(seq)} where ${end.seq + 1} is due: lines are missing or moved`,
    };
  if (prev !== end.hash)
    return { ok: false, reason: 'it does not follow on the line before: that one was replaced' };
  return { ok: true, record: { ...record, kind, seq: end.seq + 1, at }, end: { seq: end.seq + 1, hash } };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

function hashOf(crypto: Pick<Crypto, 'sha256'>, body: string): string {
  return Buffer.from(crypto.sha256(Buffer.from(body))).toString('hex');
}
