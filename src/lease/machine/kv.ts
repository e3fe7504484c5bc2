import { textKey } from '../../storage/index.ts';
import { fieldsOf } from './checks.ts';
import { keyField, lifeFields, valueField } from './kv-fields.ts';
import {
  type HistoryLimits,
  type HistorySegment,
  KV_HISTORY_BYTES_LIMIT,
  KV_HISTORY_EVENTS_LIMIT,
  KvHistory,
  storeHistory,
} from './kv-history.ts';
import { kvQueries, parseKey } from './kv-queries.ts';
import { findPair, KV_TABLES } from './kv-records.ts';
import { applyTxn, parseTxn } from './kv-txn.ts';
import {
  deleteKeysOfLease,
  erasePair,
  FOR_EVER,
  type LifeOfKey,
  removeExpired,
  writePair,
} from './kv-write.ts';
import type { ApplyContext, MachineModule } from './module.ts';

interface PutBody {
  readonly key: string;
  readonly value: string;
  readonly life: LifeOfKey;
}

interface CasBody {
  readonly key: string;
  readonly expected: string | null;
  readonly value: string | null;
}

const LIMITS: HistoryLimits = {
  eventsLimit: KV_HISTORY_EVENTS_LIMIT,
  bytesLimit: KV_HISTORY_BYTES_LIMIT,
};

/**
 * Keys and values of programs.
 *
 * - V1 A key whose time has come is absent to every command, whether or not `expire` has removed it yet.
 *
 * @param limits of the history; equal on all replicas of a group.
 */
export function createKvModule(limits: HistoryLimits = LIMITS): MachineModule {
  return {
    name: 'kv',
    tables: KV_TABLES,
    derive: (tables) => new KvHistory(tables.table<HistorySegment>('history'), limits),
    commands: {
      put: { since: 1, parse: parsePut, apply: applyPut },
      delete: { since: 1, parse: parseKey, apply: applyDelete },
      cas: { since: 1, parse: parseCas, apply: applyCas },
      txn: { since: 1, parse: parseTxn, apply: applyTxn },
      expire: {
        since: 1,
        isLeadersOnly: true,
        parse: () => null,
        apply: (_body, context) => ({ expired: removeExpired(context) }),
      },
    },
    endEntry: storeHistory,
    queries: kvQueries,
    reactions: {
      leases: {
        leaseEnded: ({ leaseId }, context) => deleteKeysOfLease(context, leaseId as string),
      },
    },
  };
}

export const kvModule = createKvModule();

function applyPut({ key, value, life }: PutBody, context: ApplyContext): { revision: number } {
  writePair(context, key, value, life);
  return { revision: context.position };
}

function applyDelete(key: string, context: ApplyContext): { deleted: boolean; revision: number } {
  const deleted = findPair(context, key) !== undefined;
  if (deleted) erasePair(context, textKey(key));
  return { deleted, revision: context.position };
}

/** What is swapped in lives for ever. */
function applyCas({ key, expected, value }: CasBody, context: ApplyContext) {
  const current = findPair(context, key)?.value ?? null;
  if (current !== expected) return { swapped: false, current, revision: context.position };
  if (value !== null) writePair(context, key, value, FOR_EVER);
  else if (current !== null) erasePair(context, textKey(key));
  return { swapped: true, current: value, revision: context.position };
}

function parsePut(body: unknown): PutBody {
  const fields = fieldsOf(body, 'put');
  return { key: keyField(fields), value: valueField(fields, 'value'), life: lifeFields(fields) };
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
