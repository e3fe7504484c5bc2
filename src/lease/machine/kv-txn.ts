import { textKey } from '../../storage/index.ts';
import { type Fields, fieldsOf, invalid, utf8Bytes } from './checks.ts';
import { checkedKey, keyField, lifeFields, prefixField, valueField } from './kv-fields.ts';
import { runGet, runScan, type ScanPage } from './kv-queries.ts';
import { createRevisionOf, findPair, isExpired, type KvEntry, pairsOf, tooMuch } from './kv-records.ts';
import { erasePair, type LifeOfKey, writePair } from './kv-write.ts';
import type { ApplyContext } from './module.ts';

/**
 * Several reads and writes as one command, if what it compares holds.
 *
 * - V6 A transaction does one of its branches wholly, in order, each operation seeing the ones before it, and all its writes have the one
 *   revision of the command; or it is refused and does nothing.
 * - V7 No branch writes a key twice, so that each key changes once a revision.
 */

/** Comparisons, and operations of each branch, at most. */
export const KV_TXN_OPERATIONS_LIMIT = 128;
/** Keys that a transaction deletes by prefixes at most. */
export const KV_TXN_DELETED_LIMIT = 10_000;
/** Entries of one read by a prefix at most. */
export const KV_TXN_READ_LIMIT = 1_000;
/** What a transaction reads, all together; its answer is kept for a repeated request. Unit: bytes. */
export const KV_TXN_READ_BYTES_LIMIT = 2 ** 20;

const TARGETS = ['value', 'version', 'createRevision', 'modRevision', 'lease'] as const;
const OPERATORS = ['=', '!=', '>', '<'] as const;
type Target = (typeof TARGETS)[number];
type Operator = (typeof OPERATORS)[number];

interface Compare {
  readonly key: string;
  readonly target: Target;
  readonly op: Operator;
  /** Null: the key is absent (`value`), or hangs on no lease (`lease`). */
  readonly value: string | number | null;
}

type Operation =
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'get'; readonly prefix: string; readonly limit: number }
  | { readonly op: 'put'; readonly key: string; readonly value: string; readonly life: LifeOfKey }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'delete'; readonly prefix: string };

export interface TxnBody {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

/** What the method of that name would answer; a deletion by prefix says how many. */
type Response =
  | KvEntry
  | null
  | ScanPage
  | { readonly revision: number }
  | { readonly deleted: boolean; readonly revision: number; readonly deletedCount?: number };

export interface TxnResult {
  readonly succeeded: boolean;
  readonly responses: readonly Response[];
  readonly revision: number;
}

export function applyTxn({ compare, success, failure }: TxnBody, context: ApplyContext): TxnResult {
  const succeeded = compare.every((each) => holds(each, context));
  const use = { deletedCount: 0, readBytes: 0 };
  const responses = (succeeded ? success : failure).map((operation) => perform(operation, context, use));
  return { succeeded, responses, revision: context.position };
}

/** What a transaction has used of its limits. */
interface Use {
  deletedCount: number;
  readBytes: number;
}

function perform(operation: Operation, context: ApplyContext, use: Use): Response {
  const revision = context.position;
  switch (operation.op) {
    case 'get':
      return 'key' in operation ? readOne(operation.key, context, use) : readRange(operation, context, use);
    case 'put':
      writePair(context, operation.key, operation.value, operation.life);
      return { revision };
    default: {
      if ('prefix' in operation) return deleteRange(operation.prefix, context, use);
      const deleted = findPair(context, operation.key) !== undefined;
      if (deleted) erasePair(context, textKey(operation.key));
      return { deleted, revision };
    }
  }
}

function readOne(key: string, context: ApplyContext, use: Use): KvEntry | null {
  const entry = runGet(key, context);
  useBytes(use, entry === null ? 0 : utf8Bytes(entry.value));
  return entry;
}

function readRange(
  { prefix, limit }: { readonly prefix: string; readonly limit: number },
  context: ApplyContext,
  use: Use,
): ScanPage {
  const page = runScan({ prefix, limit, cursor: null, bytesLimit: KV_TXN_READ_BYTES_LIMIT }, context);
  useBytes(
    use,
    page.entries.reduce((bytes, { key, value }) => bytes + utf8Bytes(key) + utf8Bytes(value), 0),
  );
  return page;
}

function useBytes(use: Use, bytes: number): void {
  use.readBytes += bytes;
  if (use.readBytes <= KV_TXN_READ_BYTES_LIMIT) return;
  const limit = { name: 'KV_TXN_READ_BYTES_LIMIT', most: KV_TXN_READ_BYTES_LIMIT };
  throw tooMuch(`the transaction reads at least ${use.readBytes} bytes`, limit);
}

function deleteRange(prefix: string, context: ApplyContext, use: Use): Response {
  const storedKeys: string[] = [];
  const limit = { name: 'KV_TXN_DELETED_LIMIT', most: KV_TXN_DELETED_LIMIT };
  for (const [storedKey, stored] of pairsOf(context).range({ prefix: textKey(prefix) })) {
    if (isExpired(stored, context.groupMs)) continue;
    storedKeys.push(storedKey);
    if (use.deletedCount + storedKeys.length <= limit.most) continue;
    throw tooMuch('the transaction deletes more keys than it may', limit);
  }
  for (const storedKey of storedKeys) erasePair(context, storedKey);
  use.deletedCount += storedKeys.length;
  return { deleted: storedKeys.length > 0, deletedCount: storedKeys.length, revision: context.position };
}

/** Numbers of an absent key are 0. Its value and lease are null, which equals null only; nothing is above or below null. */
function holds({ key, target, op, value }: Compare, context: ApplyContext): boolean {
  const stored = findPair(context, key);
  switch (target) {
    case 'value':
      return relates(stored?.value ?? null, op, value);
    case 'lease':
      return relates(stored?.leaseId ?? null, op, value);
    case 'version':
      return relates(stored?.version ?? 0, op, value);
    case 'modRevision':
      return relates(stored?.revision ?? 0, op, value);
    default:
      return relates(stored === undefined ? 0 : createRevisionOf(stored), op, value);
  }
}

function relates(left: string | number | null, op: Operator, right: string | number | null): boolean {
  if (op === '=') return left === right;
  if (op === '!=') return left !== right;
  if (left === null || right === null) return false;
  const order = typeof left === 'number' ? left - Number(right) : compareText(left, String(right));
  return op === '>' ? order > 0 : order < 0;
}

/** In the order of UTF-8, as keys are ordered. */
function compareText(left: string, right: string): number {
  const [a, b] = [textKey(left), textKey(right)];
  return a === b ? 0 : a < b ? -1 : 1;
}

// ---- what is foreign

export function parseTxn(body: unknown): TxnBody {
  const { compare = [], success = [], failure = [] } = fieldsOf(body, 'txn');
  return {
    compare: listOf(compare, 'compare').map((each, at) => parseCompare(each, `compare.${at}.`)),
    success: parseBranch(success, 'success'),
    failure: parseBranch(failure, 'failure'),
  };
}

function listOf(list: unknown, path: string): readonly Fields[] {
  if (!Array.isArray(list)) throw invalid(path, 'expected a list');
  if (list.length > KV_TXN_OPERATIONS_LIMIT) {
    throw invalid(
      path,
      `${list.length} are more than the limit of ${KV_TXN_OPERATIONS_LIMIT} (KV_TXN_OPERATIONS_LIMIT)`,
    );
  }
  return list.map((item, at) => {
    if (typeof item !== 'object' || item === null) throw invalid(`${path}.${at}`, 'expected an object');
    return item as Fields;
  });
}

function parseCompare({ key, target, op = '=', value = null }: Fields, at: string): Compare {
  if (!TARGETS.includes(target as Target)) {
    throw invalid(`${at}target`, `expected one of ${TARGETS.join(', ')}`);
  }
  if (!OPERATORS.includes(op as Operator)) throw invalid(`${at}op`, `expected one of ${OPERATORS.join(' ')}`);
  const isText = target === 'value' || target === 'lease';
  if (isText ? value !== null && typeof value !== 'string' : !Number.isSafeInteger(value)) {
    throw invalid(`${at}value`, isText ? 'expected a string or null' : 'expected a whole number');
  }
  const operand = value as Compare['value'];
  return { key: checkedKey(key, `${at}key`), target: target as Target, op: op as Operator, value: operand };
}

function parseBranch(list: unknown, path: string): readonly Operation[] {
  const operations = listOf(list, path).map((each, at) => parseOperation(each, `${path}.${at}.`));
  requireOnce(operations, path);
  return operations;
}

function parseOperation(fields: Fields, at: string): Operation {
  const { op, prefix, limit = KV_TXN_READ_LIMIT } = fields;
  if (op === 'put') {
    return {
      op,
      key: keyField(fields, at),
      value: valueField(fields, 'value', at),
      life: lifeFields(fields, at),
    };
  }
  if (op !== 'get' && op !== 'delete') throw invalid(`${at}op`, 'expected get, put or delete');
  if (op === 'delete') {
    return prefix === undefined ? { op, key: keyField(fields, at) } : { op, prefix: prefixField(fields, at) };
  }
  if (prefix === undefined) return { op, key: keyField(fields, at) };
  if (!Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > KV_TXN_READ_LIMIT) {
    throw invalid(`${at}limit`, `expected a whole number from 1 to ${KV_TXN_READ_LIMIT} (KV_TXN_READ_LIMIT)`);
  }
  return { op, prefix: prefixField(fields, at), limit: limit as number };
}

/** V7: also a key that a deletion by prefix would meet. */
function requireOnce(operations: readonly Operation[], path: string): void {
  const writes = operations.flatMap((each, at) => (each.op === 'get' ? [] : [{ each, at }]));
  for (const [index, { each, at }] of writes.entries()) {
    const earlier = writes.slice(0, index).find((other) => overlaps(other.each, each));
    if (earlier === undefined) continue;
    throw invalid(
      `${path}.${at}`,
      `writes what ${path}.${earlier.at} writes: a key changes once a transaction`,
    );
  }
}

function overlaps(one: Operation, other: Operation): boolean {
  if ('key' in one && 'key' in other) return one.key === other.key;
  if ('key' in one) return 'prefix' in other && one.key.startsWith(other.prefix);
  if ('key' in other) return other.key.startsWith(one.prefix);
  return one.prefix.startsWith(other.prefix) || other.prefix.startsWith(one.prefix);
}
