import { z } from 'zod';
import { listParams, nameSchema } from './coordination-shapes.ts';
import { cursorSchema, exactObject, method, mutating } from './schema.ts';

const wholeSchema = z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER);
const revisionSchema = z
  .number()
  .describe('Position of the last change; grows with every change of anything.');
const counterShape = { value: wholeSchema, revision: revisionSchema };

export const counterMethods = {
  'counter.get': method({
    params: exactObject({ name: nameSchema }),
    result: z.object({ value: wholeSchema, revision: z.number().nullable() }),
    isMutating: false,
    summary: 'The value of a counter; 0 when it was never set.',
  }),
  'counter.add': method({
    params: mutating({ name: nameSchema, delta: wholeSchema.optional().describe('1 unless told.') }),
    result: z.object(counterShape),
    isMutating: true,
    summary: 'Adds to a counter.',
  }),
  'counter.cas': method({
    params: mutating({ name: nameSchema, expected: wholeSchema, value: wholeSchema }),
    result: z.object({ swapped: z.boolean(), value: wholeSchema, revision: z.number().nullable() }),
    isMutating: true,
    summary: 'Sets a counter if it has the expected value (absent: 0); answers the value it has now.',
  }),
  'counter.delete': method({
    params: mutating({ name: nameSchema }),
    result: z.object({ deleted: z.boolean() }),
    isMutating: true,
    summary: 'Removes a counter; it is 0 again.',
  }),
  'counter.list': method({
    params: exactObject(listParams),
    result: z.object({
      items: z.array(z.object({ name: z.string(), ...counterShape })),
      cursor: cursorSchema.optional(),
    }),
    isMutating: false,
    summary: 'Counters, by name.',
  }),
  'sequence.next': method({
    params: mutating({
      name: nameSchema,
      count: z.number().int().min(1).max(1_000_000).optional().describe('Numbers to take. 1 unless told.'),
    }),
    result: z.object({ first: wholeSchema, last: wholeSchema, revision: revisionSchema }),
    isMutating: true,
    summary: 'Takes the next numbers of a sequence: from 1, each once, without a gap.',
  }),
  'ratelimit.take': method({
    params: mutating({
      name: nameSchema,
      permits: z.number().int().min(1).max(1_000_000).optional().describe('1 unless told.'),
      ratePerSecond: z.number().positive().max(1_000_000).describe('How fast permits flow in.'),
      burst: z.number().int().min(1).max(1_000_000).describe('How many gather while nobody takes any.'),
    }),
    result: z.object({
      allowed: z.boolean(),
      remaining: z.number().int().describe('Permits that could be taken now.'),
      retryAfterMs: z.number().describe('Until as many can be had; 0 when allowed.'),
    }),
    isMutating: true,
    summary: 'Takes permits of a token bucket in group time, if there are enough; a refusal costs nothing.',
  }),
} as const;
