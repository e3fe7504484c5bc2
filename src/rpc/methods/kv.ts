import { z } from 'zod';
import { cursorSchema, exactObject, method, mutating, pageLimitSchema } from './schema.ts';

const keySchema = z.string().min(1).max(1_024);
const valueSchema = z.string().max(1_048_576);
const consistencySchema = z
  .enum(['linearizable', 'lease', 'stale'])
  .optional()
  .describe('linearizable unless told');
const entryShape = { value: z.string(), revision: z.number(), version: z.number() };

export const kvMethods = {
  'kv.get': method({
    params: exactObject({ key: keySchema, consistency: consistencySchema }),
    result: z.object(entryShape).nullable(),
    isMutating: false,
    summary: 'The value of a key; null when absent.',
  }),
  'kv.put': method({
    params: mutating(
      {
        key: keySchema,
        value: valueSchema,
        ttlMs: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
      },
      { later: ['leaseId'] },
    ),
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
  'kv.scan': method({
    params: exactObject({
      prefix: z.string().max(1_024),
      limit: pageLimitSchema.optional(),
      cursor: cursorSchema.optional(),
      consistency: consistencySchema,
    }),
    result: z.looseObject({
      entries: z.array(z.object({ key: z.string(), ...entryShape })),
      cursor: cursorSchema.optional(),
    }),
    isMutating: false,
    summary: 'Keys with a prefix, in order.',
  }),
} as const;
