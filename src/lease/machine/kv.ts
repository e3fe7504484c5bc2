import { AspenError } from '../../base/index.ts';
import { keyNumber, keyText, numberKey, textKey } from '../../storage/index.ts';
import { type Fields, fieldsOf, invalid, utf8Bytes } from './checks.ts';
import type { ApplyContext, MachineModule, QueryContext, ReadonlyTable } from './module.ts';

/** Longest key, in bytes of UTF-8. */
export const KV_KEY_BYTES_LIMIT = 1_024;
/** Longest value, in bytes of UTF-8. */
export const KV_VALUE_BYTES_LIMIT = 2 ** 20;
export const KV_SCAN_LIMIT = 10_000;
const KV_SCAN_DEFAULT = 1_000;
/** A page of a scan ends here, so that its answer fits a frame. Unit: bytes. */
const KV_SCAN_BYTES = 2 * 2 ** 20;
/** Keys that one `expire` removes at most. */
const KV_EXPIRE_LIMIT = 1_000;

/** What a key holds. `revision` is the position of the command that wrote it, `version` counts its writes since it was absent. */
export interface KvEntry {
  readonly value: string;
  readonly revision: number;
  readonly version: number;
}

interface Stored extends KvEntry {
  /** Group time from which it counts as absent; null for ever. */
  readonly expiresAtMs: number | null;
}

interface PutBody {
  readonly key: string;
  readonly value: string;
  readonly ttlMs: number | null;
}

interface CasBody {
  readonly key: string;
  readonly expected: string | null;
  readonly value: string | null;
}

interface ScanBody {
  readonly prefix: string;
  readonly limit: number;
  readonly cursor: string | null;
}

/**
 * Keys and values of programs.
 *
 * - V1 A key whose time has come is absent to every command, whether or not `expire` has removed it yet.
 * - V2 The expiry index holds exactly the keys with a time.
 */
export const kvModule: MachineModule = {
  name: 'kv',
  tables: ['pairs', 'expiry'],
  commands: {
    put: { since: 1, parse: parsePut, apply: applyPut },
    delete: { since: 1, parse: parseKey, apply: applyDelete },
    cas: { since: 1, parse: parseCas, apply: applyCas },
    expire: {
      since: 1,
      isLeadersOnly: true,
      parse: () => null,
      apply: (_body, context) => applyExpire(context),
    },
  },
  queries: {
    get: { parse: parseKey, run: (key: string, context) => runGet(key, context) },
    scan: { parse: parseScan, run: runScan },
    /** Group time at which the next key expires; null when none has a time. */
    nextExpiry: { parse: () => null, run: (_body, context) => nextExpiryMs(context) },
  },
};

function applyPut({ key, value, ttlMs }: PutBody, context: ApplyContext): { revision: number } {
  write(context, key, value, ttlMs === null ? null : context.groupMs + ttlMs);
  return { revision: context.position };
}

function applyDelete(key: string, context: ApplyContext): { deleted: boolean; revision: number } {
  const deleted = find(context, key) !== undefined;
  if (deleted) erase(context, key);
  return { deleted, revision: context.position };
}

function applyCas({ key, expected, value }: CasBody, context: ApplyContext) {
  const current = find(context, key)?.value ?? null;
  if (current !== expected) return { swapped: false, current, revision: context.position };
  if (value !== null) write(context, key, value, null);
  else if (current !== null) erase(context, key);
  return { swapped: true, current: value, revision: context.position };
}

function applyExpire(context: ApplyContext): { expired: number } {
  const due = context
    .table<1>('expiry')
    .range({ from: '', to: numberKey(context.groupMs + 1), limit: KV_EXPIRE_LIMIT });
  const keys = Array.from(due, ([indexKey]) => keyText(indexKey.slice(8)));
  for (const key of keys) erase(context, key);
  return { expired: keys.length };
}

/** @returns what the key holds now; V1: nothing when its time has come. */
function find(context: QueryContext | ApplyContext, key: string): Stored | undefined {
  const stored = pairs(context).get(textKey(key));
  return stored === undefined || isExpired(stored, context.groupMs) ? undefined : stored;
}

function write(context: ApplyContext, key: string, value: string, expiresAtMs: number | null): void {
  const storedKey = textKey(key);
  const stored = context.table<Stored>('pairs').get(storedKey);
  if (stored !== undefined) unindex(context, key, stored);
  const version =
    stored === undefined || isExpired(stored, context.groupMs) ? 1 : (stored.version as number) + 1;
  context.table<Stored>('pairs').put(storedKey, { value, revision: context.position, version, expiresAtMs });
  if (expiresAtMs !== null) context.table<1>('expiry').put(numberKey(expiresAtMs) + storedKey, 1); // V2
  context.emit({ type: 'changed', key, revision: context.position, isDeleted: false });
}

function erase(context: ApplyContext, key: string): void {
  const storedKey = textKey(key);
  const stored = context.table<Stored>('pairs').get(storedKey);
  if (stored === undefined) return;
  unindex(context, key, stored);
  context.table<Stored>('pairs').delete(storedKey);
  context.emit({ type: 'changed', key, revision: context.position, isDeleted: true });
}

function unindex(context: ApplyContext, key: string, { expiresAtMs }: Stored): void {
  if (expiresAtMs !== null) context.table<1>('expiry').delete(numberKey(expiresAtMs) + textKey(key)); // V2
}

function isExpired({ expiresAtMs }: Stored, groupMs: number): boolean {
  return expiresAtMs !== null && groupMs >= expiresAtMs;
}

function runGet(key: string, context: QueryContext): KvEntry | null {
  const stored = find(context, key);
  return stored === undefined ? null : entryOf(stored);
}

function runScan({ prefix, limit, cursor }: ScanBody, context: QueryContext) {
  const entries: ({ readonly key: string } & KvEntry)[] = [];
  let bytes = 0;
  for (const [storedKey, stored] of scanRange(pairs(context), textKey(prefix), cursor)) {
    if (isExpired(stored, context.groupMs)) continue;
    if (entries.length === limit || bytes >= KV_SCAN_BYTES) {
      return { entries, cursor: entries.at(-1)?.key as string };
    }
    entries.push({ key: keyText(storedKey), ...entryOf(stored) });
    bytes += storedKey.length + utf8Bytes(stored.value);
  }
  return { entries };
}

function scanRange(table: ReadonlyTable<Stored>, prefix: string, cursor: string | null) {
  if (cursor === null) return table.range({ prefix });
  return within(table.range({ from: `${textKey(cursor)}\u0000` }), prefix);
}

function* within(range: Iterable<readonly [string, Stored]>, prefix: string) {
  for (const item of range) {
    if (!item[0].startsWith(prefix)) return;
    yield item;
  }
}

function nextExpiryMs(context: QueryContext): number | null {
  for (const [indexKey] of context.table<1>('expiry').range({ limit: 1 })) return keyNumber(indexKey);
  return null;
}

function pairs(context: QueryContext | ApplyContext): ReadonlyTable<Stored> {
  return context.table<Stored>('pairs');
}

function entryOf({ value, revision, version }: Stored): KvEntry {
  return { value, revision, version };
}

function parsePut(body: unknown): PutBody {
  const fields = fieldsOf(body, 'put');
  return { key: keyField(fields), value: valueField(fields, 'value'), ttlMs: ttlField(fields) };
}

function parseKey(body: unknown): string {
  return keyField(fieldsOf(body, 'this'));
}

function parseCas(body: unknown): CasBody {
  const fields = fieldsOf(body, 'cas');
  const { expected, value } = fields;
  return {
    key: keyField(fields),
    expected: expected === null ? null : valueField(fields, 'expected'),
    value: value === null ? null : valueField(fields, 'value'),
  };
}

function parseScan(body: unknown): ScanBody {
  const { prefix = '', limit = KV_SCAN_DEFAULT, cursor = null } = fieldsOf(body, 'scan');
  if (typeof prefix !== 'string') throw invalid('prefix', 'expected a string');
  if (cursor !== null && typeof cursor !== 'string') throw invalid('cursor', 'expected a string');
  if (!Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > KV_SCAN_LIMIT) {
    throw invalid('limit', `expected a whole number from 1 to ${KV_SCAN_LIMIT}`);
  }
  return { prefix, limit: limit as number, cursor };
}

function keyField({ key }: Fields): string {
  if (typeof key !== 'string' || key.length === 0) throw invalid('key', 'expected a string, not empty');
  const bytes = utf8Bytes(key);
  if (bytes > KV_KEY_BYTES_LIMIT) {
    throw invalid('key', `a key of ${bytes} bytes exceeds the limit of ${KV_KEY_BYTES_LIMIT}`);
  }
  return key;
}

function valueField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw invalid(name, 'expected a string');
  const bytes = utf8Bytes(value);
  if (bytes <= KV_VALUE_BYTES_LIMIT) return value;
  throw new AspenError(
    'RESOURCE_EXHAUSTED',
    `${name} has ${bytes} bytes, the limit is ${KV_VALUE_BYTES_LIMIT}`,
    { details: { limit: 'KV_VALUE_BYTES_LIMIT' } },
  );
}

function ttlField({ ttlMs = null }: Fields): number | null {
  if (ttlMs === null) return null;
  if (!Number.isSafeInteger(ttlMs) || (ttlMs as number) < 1 || (ttlMs as number) > 2 ** 52) {
    throw invalid('ttlMs', 'expected a whole number of milliseconds above 0');
  }
  return ttlMs as number;
}
