import { z } from 'zod';
import { durationMsSchema, exactObject, instantSchema, labelsSchema, peerIdSchema } from './schema.ts';

const affinitySchema = exactObject({
  node: exactObject({ peerId: peerIdSchema, mode: z.enum(['require', 'prefer']).default('require') })
    .optional()
    .describe('The node itself, by peer id.'),
  require: labelsSchema
    .optional()
    .describe('Labels the node must have: a value, or a demand such as ">=32", "!=eu" or "in(eu, us)".'),
  prefer: labelsSchema.optional().describe('Labels that rank a node higher; values as in require.'),
  avoid: labelsSchema.optional().describe('Labels (or "node": peer id) that rule a node out.'),
  near: peerIdSchema.optional().describe('A node to which the round trip should be short.'),
  data: z
    .array(z.string().regex(/^(bafkrei|bafybei)[a-z2-7]{52}$/, 'must be a blob id'))
    .max(64)
    .optional()
    .describe('Blobs that the job reads: a node ranks higher the more of them it holds.'),
  key: z.string().min(1).max(512).optional().describe('Jobs of one key meet on one node (rendezvous).'),
  strategy: z.enum(['least-loaded', 'round-robin', 'spread']).optional(),
  waitMs: durationMsSchema.optional().describe('How long to wait for a preferred node.'),
});

const retrySchema = exactObject({
  maxAttempts: z.number().int().min(1).max(1_000).optional().describe('Runs in all, the first included.'),
  maxLosses: z
    .number()
    .int()
    .min(0)
    .max(1_000)
    .optional()
    .describe(
      'Attempts lost with their node after which it is begun again, 5 unless told; 0 for at most once.',
    ),
  backoff: z
    .union([z.enum(['none', 'fixed', 'exponential']), z.array(durationMsSchema).min(1).max(100)])
    .optional()
    .describe('How the pause grows; an array names each pause in ms.'),
  delayMs: durationMsSchema.optional(),
  maxDelayMs: durationMsSchema.optional(),
  jitter: z.enum(['full', 'none']).optional(),
  nonRetryableExitCodes: z.array(z.number().int().min(0).max(255)).max(256).optional(),
});

/** Parents of one job. */
const DEPENDENCIES_LIMIT = 1_000;

/** Work on a node's own authority comes with a later version. */
const runSchema = z.literal('run').refine(() => false, '"run" is not supported yet by this version');

const offlineSchema = z
  .union([
    z.enum(['wait', 'keep']),
    runSchema,
    exactObject({
      submit: z.union([z.literal('wait'), runSchema]).optional(),
      running: z.enum(['hold', 'keep']).optional(),
      holdMs: z.union([durationMsSchema, z.literal('auto')]).optional(),
    }),
  ])
  .describe('What becomes of a running attempt whose node is cut off from the group.');

const prioritySchema = z.union([
  z.number().int().min(1).max(10),
  z.enum(['low', 'normal', 'high', 'critical']),
]);

const jobIdInput = z
  .string()
  .regex(/^job_[0-9a-zA-Z_-]{1,64}$/, 'must be "job_" and up to 64 letters, digits, - or _');

const dependsOnSchema = z
  .array(
    z.union([
      jobIdInput,
      exactObject({ id: jobIdInput, on: z.enum(['success', 'failure', 'any']).optional() }),
    ]),
  )
  .max(DEPENDENCIES_LIMIT)
  .describe('Jobs that have to end first, by full id; jobs of one job.submitMany may name each other.');

/** Longest pause before a job may run: 100 years. Beyond, somebody has mistaken a unit. */
const DELAY_LIMIT_MS = 36_525 * 24 * 3_600_000;

const limitMsSchema = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

/** The keys of a job spec; `type` is the only one that must be there. */
export const jobSpecShape = {
  type: z.string().min(1).max(128),
  payload: z.json().optional(),
  id: jobIdInput.optional(),
  idempotencyKey: z.string().min(1).max(512).optional(),
  namespace: z.string().min(1).max(128).optional().describe('"default" unless told.'),
  queue: z.string().min(1).max(128).optional(),
  concurrencyKey: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('Jobs of one queue and key share the limit of that queue for each key.'),
  priority: prioritySchema.optional().describe('1 to 10; low is 2, normal 5, high 8, critical 10.'),
  runAt: instantSchema.optional(),
  delayMs: durationMsSchema
    .max(DELAY_LIMIT_MS, 'longer than 100 years')
    .optional()
    .describe('How long to wait before it may run, 100 years at most.'),
  timeoutMs: limitMsSchema.optional().describe('For one attempt.'),
  queueTimeoutMs: limitMsSchema
    .optional()
    .describe('Longest wait for a node, each time it is queued; then it is dead with QUEUE_TIMEOUT.'),
  heartbeatTimeoutMs: limitMsSchema
    .optional()
    .describe(
      'Longest silence of an attempt, which then fails with HEARTBEAT_TIMEOUT; progress and output break it.',
    ),
  deadlineAt: instantSchema
    .optional()
    .describe(
      'By when all of it has to be over; a running attempt is stopped, the job is dead with DEADLINE.',
    ),
  dependsOn: dependsOnSchema.optional(),
  onDependencyFailure: z
    .enum(['fail', 'skip', 'continue', 'block'])
    .optional()
    .describe(
      'What becomes of the job when a parent does not end as it had to; "fail" where nothing is said.',
    ),
  retry: retrySchema.optional(),
  affinity: affinitySchema.optional(),
  offline: offlineSchema.optional(),
  labels: labelsSchema.optional(),
  traceparent: z.string().max(256).optional(),
  retentionMs: durationMsSchema.optional(),
  requireMesh: z.boolean().optional(),
  group: exactObject({ nodes: z.number().int().min(2).max(100) })
    .optional()
    .describe('Runs on so many nodes at once: all or none, one attempt, tried again as a whole.'),
};

export const jobSpecSchema = exactObject(jobSpecShape);

export type JobSpec = z.infer<typeof jobSpecSchema>;

/**
 * A spec that says no more than type, payload and queue, as most do, told without the schema, which takes much longer. What came over the
 * socket was JSON, so a payload without lists and objects needs no look.
 */
export function isPlainJobSpec(value: unknown): value is JobSpec {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const key in value) if (key !== 'type' && key !== 'payload' && key !== 'queue') return false;
  const { type, payload, queue } = value as Readonly<Record<string, unknown>>;
  return isName(type) && isPlainPayload(payload) && (queue === undefined || isName(queue));
}

function isPlainPayload(payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null) return true;
  if (Array.isArray(payload)) return false;
  for (const key in payload) {
    if (key === '__proto__') return false;
    const part = (payload as Readonly<Record<string, unknown>>)[key];
    if (typeof part === 'object' && part !== null) return false;
  }
  return true;
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= 128;
}
