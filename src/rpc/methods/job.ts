import { z } from 'zod';
import { jobSpecShape } from './job-spec.ts';
import {
  cursorSchema,
  durationMsSchema,
  exactObject,
  method,
  mutating,
  pageLimitSchema,
  wallMsSchema,
} from './schema.ts';

export const jobIdSchema = z.string().min(1).max(128);

export const jobStateSchema = z.enum([
  'blocked',
  'scheduled',
  'queued',
  'running',
  'cancelling',
  'succeeded',
  'failed',
  'dead',
  'cancelled',
  'skipped',
  'paused',
]);

export const jobSchema = z.object({
  id: jobIdSchema,
  spec: z.record(z.string(), z.unknown()),
  state: jobStateSchema,
  attempt: z.number().int().describe('0 before the first.'),
  node: z.string().nullable().describe('Peer id of the node of the latest attempt.'),
  fencingToken: z.number().nullable(),
  members: z
    .array(z.object({ node: z.string(), outcome: z.string().nullable() }))
    .optional()
    .describe('Of a group that runs: its members by rank; outcome is null while one is at it.'),
  submittedAt: wallMsSchema,
  startedAt: wallMsSchema.nullable(),
  finishedAt: wallMsSchema.nullable(),
  result: z.unknown(),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      retryable: z.boolean(),
      exitCode: z.number().int().optional().describe('Of the program, where it ended by itself.'),
      retryAfterMs: z.number().optional().describe('Least pause that whoever was asked wished for.'),
    })
    .nullable(),
  cancelReason: z.string().nullable().optional().describe('What job.cancel gave as its reason.'),
  history: z.array(z.looseObject({})),
});

const submitResultSchema = z.object({
  id: jobIdSchema,
  durability: z.enum(['mesh', 'local']),
  duplicate: z.boolean().describe('The id or idempotency key named a job that was there already.'),
});

const errorObjectSchema = z.object({
  code: z.number().int(),
  message: z.string(),
  data: z.looseObject({ code: z.string(), outcome: z.enum(['not-applied', 'unknown']) }),
});

const explainSchema = z.object({
  state: jobStateSchema,
  waitingFor: z.string().nullable(),
  nodes: z
    .array(
      z.looseObject({
        peerId: z.string(),
        pool: z.string().nullable().optional().describe('The attached worker that ranks first there.'),
        fits: z.boolean().describe('It could start the job now.'),
        isEligible: z
          .boolean()
          .optional()
          .describe('It could, once it is heard, has a free slot and is not draining.'),
        score: z.number().nullable().optional().describe('Comparable within one answer.'),
        reasons: z.array(z.string()).describe('What rules it out now.'),
        parts: z.array(z.object({ score: z.number(), reason: z.string() })).optional(),
      }),
    )
    .describe('Every member that was heard of, the best first.'),
});

const progressSchema = z
  .object({
    percent: z.number().nullable(),
    message: z.string().nullable(),
    counters: z.record(z.string(), z.number()),
    hlc: z.string(),
  })
  .nullable();

/** Jobs in one `job.submitMany`. */
export const SUBMIT_MANY_LIMIT = 10_000;

const id = { id: jobIdSchema };

export const jobMethods = {
  'job.submit': method({
    params: mutating(jobSpecShape),
    result: submitResultSchema,
    isMutating: true,
    summary: 'Hands a job to the mesh.',
  }),
  'job.submitMany': method({
    params: mutating({ jobs: z.array(z.unknown()).max(SUBMIT_MANY_LIMIT) }),
    result: z.object({
      results: z.array(z.union([submitResultSchema, z.object({ error: errorObjectSchema })])),
    }),
    isMutating: true,
    summary: 'Hands many jobs to the mesh; one result each, in order; an item in error harms no other.',
  }),
  'job.get': method({
    params: exactObject(id),
    result: jobSchema,
    isMutating: false,
    summary: 'One job, as the group knows it.',
  }),
  'job.list': method({
    params: exactObject({
      state: z.union([jobStateSchema, z.array(jobStateSchema).min(1)]).optional(),
      type: z.string().max(128).optional(),
      queue: z.string().max(128).optional(),
      namespace: z.string().max(128).optional(),
      label: z.string().max(512).optional().describe('"key=value"'),
      limit: pageLimitSchema.optional(),
      cursor: cursorSchema.optional(),
    }),
    result: z.object({ jobs: z.array(jobSchema), cursor: cursorSchema.optional() }),
    isMutating: false,
    summary: 'Jobs, newest first.',
  }),
  'job.wait': method({
    params: exactObject({ ...id, timeoutMs: durationMsSchema.optional() }),
    result: jobSchema,
    isMutating: false,
    summary: 'The job once it is final.',
  }),
  'job.cancel': method({
    params: mutating({ ...id, reason: z.string().max(1_024).optional() }),
    result: jobSchema,
    isMutating: true,
    summary: 'Ends a job before it is final.',
  }),
  'job.retry': method({
    params: mutating(id),
    result: jobSchema,
    isMutating: true,
    summary: 'Runs a dead, cancelled or skipped job once more; its history is kept.',
  }),
  'job.pause': method({
    params: mutating(id),
    result: jobSchema,
    isMutating: true,
    summary: 'Keeps a job that waits from going on until it is resumed.',
  }),
  'job.resume': method({
    params: mutating(id),
    result: jobSchema,
    isMutating: true,
    summary: 'Lets a paused job go on where it stood.',
  }),
  'job.explain': method({
    params: exactObject(id),
    result: explainSchema,
    isMutating: false,
    summary: 'Why a job is not running: every node with the constraint that ruled it out.',
  }),
  'job.logs': method({
    params: exactObject({
      ...id,
      follow: z.boolean().optional(),
      fromOffset: z
        .number()
        .int()
        .min(0)
        .optional()
        .describe(
          'Up to where the output was read before; of an attempt that is not the latest: the latest is given from its beginning.',
        ),
    }),
    result: z.object({ subscription: z.string() }),
    isMutating: false,
    summary: 'Subscribes to the output of a job: notifications job.log, then one job.logEnd.',
  }),
  'job.logsStop': method({
    params: exactObject({ subscription: z.string().max(128) }),
    result: z.object({ stopped: z.boolean() }),
    isMutating: false,
    summary: 'Ends a subscription of job.logs.',
  }),
  'job.watch': method({
    params: exactObject({
      filter: exactObject({
        id: jobIdSchema.optional(),
        state: z.union([jobStateSchema, z.array(jobStateSchema).min(1)]).optional(),
        type: z.string().min(1).max(128).optional(),
        queue: z.string().min(1).max(128).optional(),
        namespace: z.string().min(1).max(128).optional(),
        label: z.string().min(1).max(512).optional().describe('"key=value", or "key" for any value'),
      }).optional(),
      cursor: z.string().max(64).optional().describe('Of the last change that was seen: goes on after it.'),
    }),
    result: z.object({ subscription: z.string() }),
    isMutating: false,
    summary:
      'Subscribes to changes of jobs from now on: a notification job.change each, job.watchEnd at the end. Who falls far behind is cut.',
  }),
  'job.watchStop': method({
    params: exactObject({ subscription: z.string().max(128) }),
    result: z.object({ stopped: z.boolean() }),
    isMutating: false,
    summary: 'Ends a subscription of job.watch.',
  }),
  'job.result': method({
    params: exactObject(id),
    result: z.object({
      id: jobIdSchema,
      state: jobStateSchema,
      result: z.unknown(),
      error: jobSchema.shape.error,
    }),
    isMutating: false,
    summary: 'What a final job left behind; CONFLICT while it is not final.',
  }),
  'job.progress': method({
    params: exactObject(id),
    result: progressSchema,
    isMutating: false,
    summary: 'The latest progress known here; null where there is none.',
  }),
} as const;

/** Notifications of the agent to whoever called `job.logs`. */
export const jobNotifications = {
  'job.log': z.object({
    subscription: z.string(),
    stream: z.enum(['stdout', 'stderr']),
    offset: z
      .number()
      .int()
      .describe('Of the first byte: (attempt - 1) x 2^40 + its position in the output of the attempt.'),
    data: z.string(),
    encoding: z.enum(['utf8', 'base64']).optional().describe('base64 where the bytes are not UTF-8 text.'),
  }),
  'job.change': z.object({
    subscription: z.string(),
    id: jobIdSchema,
    type: z.string(),
    queue: z.string(),
    namespace: z.string(),
    state: jobStateSchema,
    before: jobStateSchema.nullable().describe('null where it was submitted.'),
    attempt: z.number().int(),
    node: z.string().nullable(),
    errorCode: z.string().nullable(),
    cursor: z.string(),
  }),
  'job.watchEnd': z.object({
    subscription: z.string(),
    reason: z.string().optional().describe('Why it ended; absent when it was asked to.'),
  }),
  'job.logEnd': z.object({
    subscription: z.string(),
    reason: z.string().optional().describe('Why the output ended early; absent at its regular end.'),
  }),
} as const;
