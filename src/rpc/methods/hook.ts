import { z } from 'zod';
import { exactObject, labelsSchema, method, mutating, wallMsSchema } from './schema.ts';

const EVENTS = ['job.succeeded', 'job.dead', 'job.cancelled', 'job.skipped'] as const;
const nameSchema = z.string().min(1).max(128);
const idSchema = z.string().min(1).max(128).describe('An id, a unique prefix of one, or "last".');

const hookSchema = z.object({
  id: z.string(),
  url: z.string(),
  on: z.array(z.string()),
  type: z.string().nullable(),
  queue: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  signed: z.boolean().describe('Whether deliveries are signed.'),
  secretName: z.string().nullable().describe('The secret that they are signed with.'),
  createdAt: wallMsSchema,
  paused: z.boolean(),
  pauseReason: z.string().nullable(),
  circuit: z.enum(['closed', 'open', 'half-open']),
  failures: z.number().int().describe('Attempts that failed since the last success.'),
  retryInMs: z.number().nullable().describe('How long nothing is tried yet.'),
  lastError: z.object({ message: z.string(), at: wallMsSchema }).nullable(),
  waiting: z.number().int(),
  running: z.number().int(),
  delivered: z.number().int().describe('Deliveries on record that arrived.'),
  dead: z.number().int().describe('Deliveries on record that were given up.'),
  dropped: z.number().int().describe('Events without a delivery, because too many waited.'),
});

export const hookMethods = {
  'hook.add': method({
    params: mutating({
      url: z.string().min(1).max(2_048).describe('http:// or https://, without a user name.'),
      on: z.array(z.enum(EVENTS)).min(1).max(EVENTS.length),
      type: nameSchema.optional().describe('Only jobs of this type.'),
      queue: nameSchema.optional().describe('Only jobs of this queue.'),
      labels: labelsSchema.optional().describe('Only jobs with all of these labels.'),
      secret: z
        .string()
        .max(1_024)
        .refine(
          (text) => text.length >= 16 || text.startsWith('secret://'),
          'must have 16 characters at least',
        )
        .optional()
        .describe(
          'What deliveries are signed with, sealed at once; or "secret://NAME" of a secret there is.',
        ),
    }),
    result: hookSchema,
    isMutating: true,
    summary: 'Tells a URL of jobs that end, at least once each.',
  }),
  'hook.list': method({
    params: exactObject({}),
    result: z.object({ hooks: z.array(hookSchema) }),
    isMutating: false,
    summary: 'Hooks with what waits, what arrived, and the state of their circuits.',
  }),
  'hook.get': method({
    params: exactObject({ id: idSchema }),
    result: hookSchema,
    isMutating: false,
    summary: 'One hook.',
  }),
  'hook.remove': method({
    params: mutating({ id: idSchema }),
    result: z.object({ id: z.string(), cancelled: z.number().int() }),
    isMutating: true,
    summary: 'Removes a hook; deliveries that wait are cancelled.',
  }),
  'hook.test': method({
    params: mutating({ id: idSchema }),
    result: z.object({ id: z.string(), job: z.string().describe('The job that delivers the test.') }),
    isMutating: true,
    summary: 'Sends an event of type hook.test.',
  }),
  'hook.pause': method({
    params: mutating({ id: idSchema, reason: z.string().max(1_024).optional() }),
    result: hookSchema,
    isMutating: true,
    summary: 'Lets deliveries of a hook wait.',
  }),
  'hook.resume': method({
    params: mutating({ id: idSchema }),
    result: hookSchema,
    isMutating: true,
    summary: 'Lets deliveries of a hook go on; an open circuit is tried at once.',
  }),
} as const;
