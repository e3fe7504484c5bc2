import { z } from 'zod';
import { jobIdSchema } from './job.ts';
import { exactObject, labelsSchema, method, mutating } from './schema.ts';

const workerIdSchema = z.string().min(1).max(64);

/** Names an attempt that the agent gave to a worker on this connection. */
const attemptName = { jobId: jobIdSchema, attempt: z.number().int().min(1) };

/** As many attempts as a worker may hold. */
const ATTEMPTS_LIMIT = 10_000;
const COUNTERS_LIMIT = 64;
/** Characters of output in one message. */
const LOG_LENGTH_LIMIT = 2 ** 20;

export const workerMethods = {
  'worker.attach': method({
    params: mutating({
      types: z.array(z.string().min(1).max(128)).min(1).max(64),
      concurrency: z.number().int().min(1).max(10_000).describe('Attempts that the worker takes at once.'),
      labels: labelsSchema.optional().describe('Added to those of the node, for this worker.'),
    }),
    result: z.object({ workerId: workerIdSchema }),
    isMutating: true,
    summary:
      'Makes this connection a worker: the agent sends requests worker.execute, whose result completes and whose error fails the attempt.',
  }),
  'worker.detach': method({
    params: mutating({ workerId: workerIdSchema }),
    result: z.object({
      workerId: workerIdSchema,
      running: z.number().int().describe('Attempts that it still holds; it is given no more.'),
    }),
    isMutating: true,
    summary: 'Gives a worker no more attempts; it goes once those that it holds are settled.',
  }),
  'worker.heartbeat': method({
    params: exactObject({
      workerId: workerIdSchema,
      attempts: z.array(exactObject({ ...attemptName, fencingToken: z.number() })).max(ATTEMPTS_LIMIT),
    }),
    result: z.object({
      lost: z
        .array(z.object(attemptName))
        .describe('Attempts that this worker does not hold, or has been told to end.'),
    }),
    isMutating: false,
    summary:
      'Signs of life of attempts with a heartbeatTimeoutMs; from any connection, so that a program whose handlers block can send them beside these.',
  }),
  'worker.progress': method({
    params: exactObject({
      ...attemptName,
      percent: z.number().min(0).max(100).optional(),
      message: z.string().max(1_024).optional(),
      counters: z
        .record(z.string().min(1).max(64), z.number())
        .refine(
          (counters) => Object.keys(counters).length <= COUNTERS_LIMIT,
          `at most ${COUNTERS_LIMIT} counters`,
        )
        .optional(),
    }),
    result: z.object({}),
    isMutating: false,
    summary: 'How far an attempt is; from the worker that runs it.',
  }),
  'worker.log': method({
    params: exactObject({
      ...attemptName,
      stream: z.enum(['stdout', 'stderr']).default('stdout'),
      data: z.string().max(LOG_LENGTH_LIMIT),
      encoding: z.enum(['utf8', 'base64']).default('utf8'),
    }),
    result: z.object({}),
    isMutating: false,
    summary: 'Output of an attempt, from the worker that runs it; answered when there is room for more.',
  }),
} as const;

/** What the agent sends to a worker. `worker.execute` is a request, the others are notifications. */
export const workerMessages = {
  'worker.execute': z.object({
    workerId: workerIdSchema,
    job: z.looseObject({
      id: jobIdSchema,
      spec: z
        .looseObject({ type: z.string(), payload: z.unknown() })
        .describe('As job.get shows it, but for what has its default: that is absent.'),
    }),
    attempt: z.number().int(),
    fencingToken: z.number(),
    deadlineMs: z.number().nullable().describe('Time that the attempt has; null for no limit.'),
    group: z
      .object({ rank: z.number().int(), size: z.number().int(), peers: z.array(z.string()) })
      .optional()
      .describe('Of a job that runs on several nodes at once: its place, and the node of each.'),
  }),
  'worker.cancel': z.object({
    workerId: workerIdSchema,
    ...attemptName,
    reason: z.enum(['cancelled', 'timeout', 'heartbeat', 'lost', 'shutdown']),
  }),
  'worker.settled': z.object({
    workerId: workerIdSchema,
    ...attemptName,
    accepted: z.boolean(),
    state: z.string().nullable().describe('State of the job afterwards, where it is known.'),
    reason: z.string().optional(),
  }),
} as const;
