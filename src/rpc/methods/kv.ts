import { z } from 'zod';
import { leaseIdSchema } from './coordination-shapes.ts';
import { cursorSchema, exactObject, method, mutating, pageLimitSchema } from './schema.ts';

/** Comparisons of a transaction, and operations of each of its branches, at most. */
export const KV_TXN_OPERATIONS_LIMIT = 128;
const KEY_LIMIT = 1_024;
const VALUE_LIMIT = 1_048_576;

/** Limits count bytes of UTF-8, which the machine does; what is beyond them in characters is refused here. */
function textSchema(most: number, limit: string) {
  return z
    .string()
    .max(most, `longer than the limit of ${most} bytes (${limit})`)
    .refine((text) => text.isWellFormed(), 'expected Unicode text, this has half a surrogate pair');
}

const keySchema = textSchema(KEY_LIMIT, 'KV_KEY_BYTES_LIMIT').min(1);
const prefixSchema = textSchema(KEY_LIMIT, 'KV_KEY_BYTES_LIMIT');
const valueSchema = textSchema(VALUE_LIMIT, 'KV_VALUE_BYTES_LIMIT');
const revisionSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const consistencySchema = z
  .enum(['linearizable', 'lease', 'stale'])
  .optional()
  .describe(
    'linearizable unless told; lease: the leader answers without asking a majority, trusting clocks; stale: a replica answers at once',
  );
const lifeShape = {
  ttlMs: z
    .number()
    .int()
    .min(1)
    .max(2 ** 52)
    .optional(),
  leaseId: leaseIdSchema.optional().describe('The key is deleted when this lease ends.'),
};
const entryShape = {
  value: z.string(),
  revision: z.number().describe('Of the command that wrote it.'),
  version: z.number().describe('Writes since it was absent.'),
  createRevision: z.number().describe('Of the first of these writes.'),
  leaseId: z.string().optional(),
};
/** What an answer says that is not linearizable. */
const labelShape = {
  consistency: z.enum(['lease', 'stale']).optional().describe('Present where it is not linearizable.'),
  ageMs: z
    .number()
    .nullable()
    .optional()
    .describe('stale: how long ago the replica was last known to be up to date; null: not since it started.'),
  appliedIndex: z.number().optional().describe('stale: the last log entry that the replica had applied.'),
};
const entriesShape = {
  entries: z.array(z.object({ key: z.string(), ...entryShape })),
  cursor: cursorSchema.optional(),
};

const operandSchema = z.union([valueSchema, z.number().int(), z.null()]);
const TARGETS = ['value', 'version', 'createRevision', 'modRevision', 'lease'] as const;
const compareSchema = exactObject({
  key: keySchema,
  op: z.enum(['=', '==', '!=', '>', '<']).optional().describe('= unless told'),
  target: z.enum(TARGETS).optional().describe('What is compared with `value`; or name it instead, as below.'),
  value: operandSchema.optional().describe('null: the key is absent.'),
  version: z.number().int().optional(),
  createRevision: z.number().int().optional(),
  modRevision: z.number().int().optional(),
  lease: z.string().nullable().optional().describe('null: it hangs on no lease.'),
}).superRefine((compare, { addIssue }) => {
  const given = TARGETS.filter((target) => compare[target] !== undefined);
  const isRight = compare.target === undefined ? given.length === 1 : given.join() === 'value';
  if (!isRight) addIssue(`give one of ${TARGETS.join(', ')}; or target, and value to compare it with`);
});

const operationSchema = exactObject({
  op: z.enum(['get', 'put', 'delete']),
  key: keySchema.optional(),
  prefix: prefixSchema.optional().describe('get and delete: all keys that begin with it, instead of one.'),
  value: valueSchema.optional().describe('put'),
  limit: z.number().int().min(1).max(1_000).optional().describe('get by prefix'),
  ...lifeShape,
}).superRefine(({ op, key, prefix, value, limit, ttlMs, leaseId }, { addIssue }) => {
  if ((key === undefined) === (prefix === undefined)) addIssue('give either key or prefix');
  if (op === 'put' && prefix !== undefined) addIssue('put takes a key');
  if ((op === 'put') !== (value !== undefined))
    addIssue(op === 'put' ? 'put takes a value' : `${op} takes no value`);
  if (op !== 'put' && (ttlMs ?? leaseId) !== undefined) addIssue(`${op} takes neither ttlMs nor leaseId`);
  if (limit !== undefined && (op !== 'get' || prefix === undefined))
    addIssue('limit goes with get by prefix');
});

const tooMany = `more than the limit of ${KV_TXN_OPERATIONS_LIMIT} (KV_TXN_OPERATIONS_LIMIT)`;
const branchSchema = z.array(operationSchema).max(KV_TXN_OPERATIONS_LIMIT, tooMany).optional();

const eventSchema = z.object({
  type: z.enum(['put', 'delete']),
  key: z.string(),
  value: z.string().nullable().describe('null: deleted'),
  revision: z.number(),
  version: z.number().describe('0: deleted'),
  previous: z
    .object({ value: z.string(), revision: z.number(), version: z.number() })
    .optional()
    .describe('What the key held before; absent when nothing.'),
});

export const kvMethods = {
  'kv.get': method({
    params: exactObject({ key: keySchema, consistency: consistencySchema }),
    result: z.object({ ...entryShape, ...labelShape }).nullable(),
    isMutating: false,
    summary: 'The value of a key; null when absent.',
  }),
  'kv.put': method({
    params: mutating({ key: keySchema, value: valueSchema, ...lifeShape }),
    result: z.object({ revision: z.number() }),
    isMutating: true,
    summary: 'Sets a key.',
  }),
  'kv.delete': method({
    params: mutating({ key: keySchema }),
    result: z.object({ deleted: z.boolean(), revision: z.number() }),
    isMutating: true,
    summary: 'Removes a key.',
  }),
  'kv.cas': method({
    params: mutating({ key: keySchema, expected: valueSchema.nullable(), value: valueSchema.nullable() }),
    result: z.object({ swapped: z.boolean(), current: z.string().nullable(), revision: z.number() }),
    isMutating: true,
    summary: 'Sets (or with value null deletes) a key if it has the expected value (null: is absent).',
  }),
  'kv.txn': method({
    params: mutating({
      compare: z.array(compareSchema).max(KV_TXN_OPERATIONS_LIMIT, tooMany).optional(),
      success: branchSchema,
      failure: branchSchema,
    }),
    result: z.object({
      succeeded: z.boolean().describe('Whether all that was compared held.'),
      responses: z
        .array(
          z.union([
            z.object({ deleted: z.boolean(), revision: z.number(), deletedCount: z.number().optional() }),
            z.object(entryShape),
            z.object(entriesShape),
            z.object({ revision: z.number() }),
            z.null(),
          ]),
        )
        .describe(
          'Of the branch that was done, in order: what kv.get, kv.scan, kv.put, kv.delete would answer.',
        ),
      revision: z.number(),
    }),
    isMutating: true,
    summary:
      'If all comparisons hold, does the operations of success, else those of failure: as one change, with one revision.',
  }),
  'kv.scan': method({
    params: exactObject({
      prefix: prefixSchema,
      limit: pageLimitSchema.optional().describe('1,000 unless told, at most 10,000.'),
      cursor: cursorSchema.optional(),
      consistency: consistencySchema,
    }),
    result: z.looseObject({ ...entriesShape, ...labelShape }),
    isMutating: false,
    summary: 'Keys with a prefix, in order.',
  }),
  'kv.watch': method({
    params: exactObject({
      key: keySchema.optional(),
      prefix: prefixSchema.optional(),
      fromRevision: revisionSchema
        .optional()
        .describe('The first one that is told; without it: from now on.'),
    }).refine(
      ({ key, prefix }) => (key === undefined) !== (prefix === undefined),
      'give either key or prefix',
    ),
    result: z.object({
      subscription: z.string(),
      revision: z.number().describe('Changes of later revisions are told.'),
    }),
    isMutating: false,
    summary:
      'Subscribes to changes of a key or of all with a prefix: notifications kv.event, kv.watchEnd at the end. COMPACTED when the history from there is no longer kept.',
  }),
  'kv.unwatch': method({
    params: exactObject({ subscription: z.string().max(128) }),
    result: z.object({ stopped: z.boolean() }),
    isMutating: false,
    summary: 'Ends a subscription of kv.watch.',
  }),
} as const;

/** Notifications of the agent to whoever called `kv.watch`. */
export const kvNotifications = {
  'kv.event': z.object({
    subscription: z.string(),
    events: z.array(eventSchema).describe('In order; empty when it only says how far the watch has come.'),
    revision: z
      .number()
      .describe('All changes up to here were told; a watch from the next one leaves nothing out.'),
  }),
  'kv.watchEnd': z.object({
    subscription: z.string(),
    revision: z.number().describe('All changes up to here were told.'),
    reason: z.string().optional().describe('Why it ended; absent when it was asked to.'),
    error: z
      .object({ code: z.number(), message: z.string(), data: z.record(z.string(), z.unknown()).optional() })
      .optional()
      .describe(
        'As an answer would have it: COMPACTED, or RESOURCE_EXHAUSTED where notifications were not read.',
      ),
  }),
} as const;
