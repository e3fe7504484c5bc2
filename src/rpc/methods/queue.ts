import { z } from 'zod';
import { cursorSchema, exactObject, method, mutating, wallMsSchema } from './schema.ts';

const nameSchema = z.string().min(1).max(128);
const MOST = Number.MAX_SAFE_INTEGER;
/** Slowest and fastest. Unit: starts per second. */
const rateSchema = z
  .number()
  .min(1 / 86_400)
  .max(1_000_000);

const shape = {
  concurrency: z.number().int().min(1).max(MOST).nullable().describe('Attempts at one time.'),
  perKey: z.number().int().min(1).max(MOST).nullable().describe('The same for each concurrency key.'),
  ratePerSecond: rateSchema.nullable().describe('Starts per second, averaged over bursts.'),
  burst: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .nullable()
    .describe('Starts at one moment after a quiet time.'),
  maxWaiting: z.number().int().min(0).max(MOST).nullable().describe('A submit beyond it is refused.'),
  maxFinished: z.number().int().min(0).max(MOST).nullable().describe('Finished jobs kept, dead ones aside.'),
  maxFinishedBytes: z.number().int().min(0).max(MOST).nullable().describe('The same in bytes, as stored.'),
  deadRetentionMs: z.number().int().min(0).max(MOST).nullable().describe('Least time a dead job is kept.'),
};

const limitsSchema = z.object(shape).partial();

const queueSchema = z.object({
  queue: z.string(),
  paused: z.boolean(),
  pauseReason: z.string().nullable(),
  pausedAt: wallMsSchema.nullable(),
  waiting: z.number().int(),
  running: z.number().int(),
  states: z.record(z.string(), z.number().int()).describe('Jobs by state; states of no job are absent.'),
  limits: limitsSchema.describe('null is no limit of its own.'),
});

const boundedSchema = z.object({
  waiting: z.number().int(),
  running: z.number().int(),
  limits: limitsSchema,
});

export const queueMethods = {
  'queue.list': method({
    params: exactObject({
      queue: nameSchema.optional().describe('This queue alone.'),
      limit: z.number().int().min(1).max(1_000).optional(),
      cursor: cursorSchema.optional(),
    }),
    result: z.object({ queues: z.array(queueSchema), cursor: cursorSchema.optional() }),
    isMutating: false,
    summary: 'Queues that hold jobs or have limits, by name: counts by state, whether paused, limits.',
  }),
  'queue.pause': method({
    params: mutating({ queue: nameSchema, reason: z.string().max(1_024).optional() }),
    result: queueSchema,
    isMutating: true,
    summary: 'Lets nothing of a queue start; what runs goes on, what waits stays.',
  }),
  'queue.resume': method({
    params: mutating({ queue: nameSchema }),
    result: queueSchema,
    isMutating: true,
    summary: 'Lets jobs of a paused queue start again.',
  }),
  'queue.limit': method({
    params: mutating({ queue: nameSchema, ...limitsSchema.shape }),
    result: queueSchema,
    isMutating: true,
    summary: 'Sets limits of a queue; null lifts one, what is absent stays.',
  }),
  'queue.limitType': method({
    params: mutating({
      type: nameSchema,
      ratePerSecond: shape.ratePerSecond.optional(),
      burst: shape.burst.optional(),
    }),
    result: z.object({ type: z.string(), limits: limitsSchema }),
    isMutating: true,
    summary: 'Bounds how often jobs of a type start, over all queues.',
  }),
  'queue.limitAll': method({
    params: mutating({
      maxWaiting: shape.maxWaiting.optional(),
      maxFinished: shape.maxFinished.optional(),
      maxFinishedBytes: shape.maxFinishedBytes.optional(),
      deadRetentionMs: shape.deadRetentionMs.optional(),
    }),
    result: z.object({ limits: limitsSchema }),
    isMutating: true,
    summary: 'Bounds all jobs together.',
  }),
  'namespace.list': method({
    params: exactObject({}),
    result: z.object({
      all: boundedSchema,
      namespaces: z.array(
        z.object({
          namespace: z.string(),
          ...boundedSchema.shape,
          states: queueSchema.shape.states.optional(),
        }),
      ),
      types: z.array(z.object({ type: z.string(), limits: limitsSchema })),
    }),
    isMutating: false,
    summary: 'Namespaces that hold jobs or have quotas, types that have rates, and all jobs together.',
  }),
  'namespace.limit': method({
    params: mutating({
      namespace: nameSchema,
      concurrency: shape.concurrency.optional(),
      maxWaiting: shape.maxWaiting.optional(),
    }),
    result: z.object({ namespace: z.string(), limits: limitsSchema }),
    isMutating: true,
    summary: 'Sets the quotas of a namespace; null lifts one, what is absent stays.',
  }),
} as const;
