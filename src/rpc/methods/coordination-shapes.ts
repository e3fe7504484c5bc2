import { z } from 'zod';
import { cursorSchema, exactObject, method, mutating, pageLimitSchema } from './schema.ts';

/** Longest name of a lock, an election, a counter, ... Unit: bytes of UTF-8. */
const NAME_BYTES_LIMIT = 1_024;

export const nameSchema = z
  .string()
  .min(1)
  .refine((name) => name.isWellFormed(), 'must be well-formed Unicode')
  .refine(
    (name) => Buffer.byteLength(name, 'utf8') <= NAME_BYTES_LIMIT,
    `at most ${NAME_BYTES_LIMIT} bytes of UTF-8`,
  );
export const leaseIdSchema = z.string().regex(/^lse_[0-9a-z]{26}$/, 'must be a lease id (lse_...)');
export const ttlMsSchema = z
  .number()
  .int()
  .min(100)
  .max(604_800_000)
  .describe('How long it lasts without a renewal, in group time; 100 ms to 7 days.');
export const waitMsSchema = z
  .number()
  .int()
  .min(0)
  .max(604_800_000)
  .optional()
  .describe('How long to queue for it; 0, the default, has it at once or is refused CONFLICT.');
export const fencingTokenSchema = z
  .number()
  .describe(
    'Greater than that of every holder before; give it to what you change, and let that refuse smaller ones.',
  );

export const heldSchema = z.object({
  fencingToken: fencingTokenSchema,
  leaseId: leaseIdSchema,
  validMs: z.number().describe('How long it holds at least from this answer on, without a renewal.'),
});
export const renewedSchema = z.object({
  fencingToken: fencingTokenSchema,
  ttlMs: ttlMsSchema,
  validMs: z.number().describe('How long it holds at least from this answer on.'),
});

export const claimViewSchema = z.object({
  leaseId: leaseIdSchema,
  owner: z.string().describe('Peer id of the node through which it was asked for.'),
  fencingToken: z.number().nullable().describe('null while it waits.'),
  units: z.number().int(),
  value: z.string().nullable(),
  ttlMs: z.number(),
  remainingMs: z.number().nullable().describe('Until its lease may end; null while it waits.'),
});

export const resourceSchema = z.object({
  name: z.string(),
  capacity: z.number().int(),
  used: z.number().int(),
  holderCount: z.number().int(),
  waiterCount: z.number().int(),
  holders: z.array(claimViewSchema).describe('The first 100.'),
  waiters: z.array(claimViewSchema).describe('The first 100, the next one first; empty in lists.'),
  revision: z
    .number()
    .nullable()
    .describe('Position of the last change of its holders; null when it is free.'),
});

export const listParams = {
  prefix: z.string().max(1_024).optional(),
  limit: pageLimitSchema.optional(),
  cursor: cursorSchema.optional(),
};

const heldRef = { name: nameSchema, leaseId: leaseIdSchema };

/** `renew`, `release`, `get` and `list`, the same for everything that is held by a lease. */
export function claimMethods<N extends string>(noun: N, what: string) {
  return {
    renew: method({
      params: mutating(heldRef),
      result: renewedSchema,
      isMutating: true,
      summary: `Prolongs the lease of ${what}; FENCED when it is lost.`,
    }),
    release: method({
      params: mutating(heldRef),
      result: z.object({ released: z.literal(true) }),
      isMutating: true,
      summary: `Gives ${what} back; FENCED when it was lost before.`,
    }),
    get: method({
      params: exactObject({ name: nameSchema }),
      result: resourceSchema,
      isMutating: false,
      summary: `Who holds ${what}, and who waits; one that nobody uses is free.`,
    }),
    list: method({
      params: exactObject(listParams),
      result: z.object({ items: z.array(resourceSchema), cursor: cursorSchema.optional() }),
      isMutating: false,
      summary: `Every ${noun} that is held or waited for.`,
    }),
  };
}
