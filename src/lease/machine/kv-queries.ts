import { type Key, keyNumber, keyText, textKey } from '../../storage/index.ts';
import { fieldsOf, invalid, utf8Bytes } from './checks.ts';
import { keyField, prefixField } from './kv-fields.ts';
import { type AnyContext, entryOf, findPair, isExpired, type KvEntry, pairsOf } from './kv-records.ts';
import type { QueryContext, QueryKind } from './module.ts';

/** Keys of one page at most, and where none is asked for. */
export const KV_SCAN_LIMIT = 10_000;
export const KV_SCAN_DEFAULT = 1_000;
/** A page of a scan ends here, so that its answer fits a frame. Unit: bytes. */
export const KV_SCAN_BYTES = 2 * 2 ** 20;

export interface ScanBody {
  readonly prefix: string;
  readonly limit: number;
  /** The last key of the page before. */
  readonly cursor: string | null;
  /** @default KV_SCAN_BYTES */
  readonly bytesLimit?: number;
}

export interface ScanPage {
  readonly entries: readonly ({ readonly key: string } & KvEntry)[];
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string;
}

export const kvQueries = {
  get: { parse: parseKey, run: runGet },
  scan: { parse: parseScan, run: runScan },
  /** Position of the last command applied: a watch from the next one on misses nothing that happens from now on. */
  revision: { parse: () => null, run: (_body, context) => context.position },
  /** Group time at which the next key expires; null when none has a time. */
  nextExpiry: { parse: () => null, run: (_body, context) => nextExpiryMs(context) },
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own body type; `parse` is what proves it
} satisfies Readonly<Record<string, QueryKind<any, unknown>>>;

export function runGet(key: string, context: AnyContext): KvEntry | null {
  const stored = findPair(context, key);
  return stored === undefined ? null : entryOf(stored);
}

/** Keys in the order of their UTF-8. A key that is there all through a scan is on exactly one of its pages, whatever is written meanwhile. */
export function runScan(
  { prefix, limit, cursor, bytesLimit = KV_SCAN_BYTES }: ScanBody,
  context: AnyContext,
): ScanPage {
  const entries: ({ readonly key: string } & KvEntry)[] = [];
  let bytes = 0;
  for (const [storedKey, stored] of scanRange(context, textKey(prefix), cursor)) {
    if (isExpired(stored, context.groupMs)) continue;
    if (entries.length === limit || bytes >= bytesLimit) {
      return { entries, cursor: entries.at(-1)?.key as string };
    }
    entries.push({ key: keyText(storedKey), ...entryOf(stored) });
    bytes += storedKey.length + utf8Bytes(stored.value);
  }
  return { entries };
}

function scanRange(context: AnyContext, prefix: Key, cursor: string | null) {
  const table = pairsOf(context);
  const after = cursor === null ? '' : `${textKey(cursor)}\u0000`;
  return after <= prefix ? table.range({ prefix }) : within(table.range({ from: after }), prefix);
}

function* within<V>(range: Iterable<readonly [Key, V]>, prefix: Key) {
  for (const item of range) {
    if (!item[0].startsWith(prefix)) return;
    yield item;
  }
}

function nextExpiryMs(context: QueryContext): number | null {
  for (const [indexKey] of context.table<1>('expiry').range({ limit: 1 })) return keyNumber(indexKey);
  return null;
}

export function parseKey(body: unknown): string {
  return keyField(fieldsOf(body, 'this'));
}

function parseScan(body: unknown): ScanBody {
  const { prefix = '', limit = KV_SCAN_DEFAULT, cursor = null } = fieldsOf(body, 'scan');
  if (cursor !== null && typeof cursor !== 'string') throw invalid('cursor', 'expected a string');
  if (!Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > KV_SCAN_LIMIT) {
    throw invalid('limit', `expected a whole number from 1 to ${KV_SCAN_LIMIT} (KV_SCAN_LIMIT)`);
  }
  return { prefix: prefixField({ prefix }), limit: limit as number, cursor };
}
