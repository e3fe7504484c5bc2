import { z } from 'zod';
import { AspenError } from '../base/index.ts';
import { withNamedSecrets } from './named-secrets.ts';
import { isPlainInput, type PlainInput } from './plain-input.ts';
import { type JobSpec, PLAIN_SPEC, PRIORITIES, SPEC_BASE, WEEK_MS } from './spec.ts';
import {
  blobIds,
  demands,
  dependencies,
  failurePolicy,
  group,
  idempotencyKey,
  jobIdSchema,
  LATEST_INSTANT_MS,
  labels,
  limitMs,
  payload,
  waitMs,
} from './spec-fields.ts';

/** Payloads travel in the log and stay in memory while the job waits. Unit: bytes of JSON. */
export const PAYLOAD_BYTES_LIMIT = 2 ** 20;
const HOLD_LEAST_MS = 4_000;

/** Where nothing bounds the pauses between attempts: none that was written is cut. */
function longestPauseMs({
  backoff,
  delayMs,
}: {
  readonly backoff: unknown;
  readonly delayMs: number;
}): number {
  const written = Array.isArray(backoff) ? backoff : [delayMs];
  return Math.max(SPEC_BASE.retry.maxDelayMs, ...written);
}

/** What a client may write; the socket's contract describes the same fields to people. */
const inputSchema = z.strictObject({
  type: z.string().min(1).max(128),
  payload: payload.optional(),
  id: jobIdSchema.optional(),
  idempotencyKey: idempotencyKey.optional(),
  queue: z.string().min(1).max(128).default('default'),
  priority: z
    .union([z.int().min(1).max(10), z.enum(['low', 'normal', 'high', 'critical'])])
    .default('normal'),
  runAt: z.union([z.number(), z.string()]).optional(),
  delayMs: waitMs.default(0),
  timeoutMs: limitMs.optional(),
  queueTimeoutMs: limitMs.optional(),
  heartbeatTimeoutMs: limitMs.optional(),
  deadlineAt: z.union([z.number(), z.string()]).optional(),
  dependsOn: z
    .array(
      z.union([
        jobIdSchema.transform((id) => ({ id, on: 'success' as const })),
        z.strictObject({ id: jobIdSchema, on: z.enum(['success', 'failure', 'any']).default('success') }),
      ]),
    )
    .pipe(dependencies)
    .optional(),
  onDependencyFailure: failurePolicy.default(SPEC_BASE.onDependencyFailure),
  retry: z
    .strictObject({
      maxAttempts: z.int().min(1).max(1_000).default(3),
      maxLosses: z.int().min(0).max(1_000).optional(),
      backoff: z
        .union([z.enum(['none', 'fixed', 'exponential']), z.array(waitMs).min(1).max(100)])
        .default('exponential'),
      delayMs: waitMs.default(1_000),
      maxDelayMs: waitMs.optional(),
      jitter: z.enum(['full', 'none']).default('full'),
      nonRetryableExitCodes: z.array(z.int().min(0).max(255)).max(256).default([]),
    })
    .transform((retry) => ({ ...retry, maxDelayMs: retry.maxDelayMs ?? longestPauseMs(retry) }))
    .prefault({}),
  affinity: z
    .strictObject({
      node: z
        .strictObject({
          peerId: z.string().min(1).max(128),
          mode: z.enum(['require', 'prefer']).default('require'),
        })
        .optional(),
      require: demands.default({}),
      prefer: demands.default({}),
      avoid: demands.default({}),
      near: z.string().min(1).max(128).optional(),
      data: blobIds.optional(),
      key: z.string().min(1).max(512).optional(),
      strategy: z.enum(['least-loaded', 'round-robin', 'spread']).default('least-loaded'),
      waitMs: waitMs.default(2_000),
    })
    .prefault({}),
  offline: z
    .union([
      z.enum(['wait', 'keep']),
      z.strictObject({
        submit: z.literal('wait').optional(),
        running: z.enum(['hold', 'keep']).optional(),
        holdMs: z.union([waitMs, z.literal('auto')]).optional(),
      }),
    ])
    .optional(),
  labels: labels.default({}),
  traceparent: z.string().max(256).optional(),
  retentionMs: waitMs.default(WEEK_MS),
  namespace: z.string().min(1).max(128).default(SPEC_BASE.namespace),
  concurrencyKey: z.string().min(1).max(512).optional(),
  group: group.optional(),
  requireMesh: z.boolean().optional(),
});

export type JobSpecInput = z.input<typeof inputSchema>;

/**
 * Turns what a client wrote into a complete spec.
 * @throws AspenError INVALID_PARAMS with the path of each issue; RESOURCE_EXHAUSTED naming the limit a payload exceeds.
 */
export function resolveJobSpec(input: unknown): JobSpec {
  return withNamedSecrets(resolved(input));
}

function resolved(input: unknown): JobSpec {
  if (isPlainInput(input)) return plainSpec(input);
  const parsed = inputSchema.safeParse(input);
  if (!parsed.success)
    throw invalidSpec(parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })));
  const {
    type,
    payload = null,
    idempotencyKey = null,
    queue,
    priority,
    delayMs,
    timeoutMs = null,
    retry,
    retentionMs,
    traceparent = null,
    namespace,
    concurrencyKey = null,
    queueTimeoutMs = null,
    heartbeatTimeoutMs = null,
    dependsOn = SPEC_BASE.dependsOn,
    onDependencyFailure,
    group = null,
  } = parsed.data;
  checkPayload(payload);
  const { node = null, key = null, near, data, ...others } = parsed.data.affinity;
  const placement = {
    node,
    ...others,
    key,
    ...(near !== undefined && { near }),
    ...(data !== undefined && { data }),
  };
  const given = (input ?? {}) as JobSpecInput;
  const runAtMs = resolveInstant('runAt', parsed.data.runAt);
  const deadlineAtMs = resolveInstant('deadlineAt', parsed.data.deadlineAt);
  checkDeadline(runAtMs, deadlineAtMs);
  if (group !== null && node?.mode === 'require') {
    const message = `one node is required, and ${group.nodes} nodes at once; prefer the node, or name a label`;
    throw invalidSpec([{ path: 'group', message }]);
  }
  return Object.freeze({
    type,
    payload,
    idempotencyKey,
    queue,
    priority: typeof priority === 'number' ? priority : PRIORITIES[priority],
    runAtMs,
    delayMs,
    timeoutMs,
    retry: given.retry === undefined ? SPEC_BASE.retry : retry,
    affinity: given.affinity === undefined ? SPEC_BASE.affinity : placement,
    hold: resolveHold(parsed.data.offline),
    labels: given.labels === undefined ? SPEC_BASE.labels : parsed.data.labels,
    traceparent,
    retentionMs,
    namespace,
    concurrencyKey,
    queueTimeoutMs,
    heartbeatTimeoutMs,
    deadlineAtMs,
    dependsOn: dependsOn.length === 0 ? SPEC_BASE.dependsOn : dependsOn,
    onDependencyFailure,
    group,
  });
}

function plainSpec({
  type,
  payload = null,
  queue = SPEC_BASE.queue,
  priority = PRIORITIES.normal,
}: PlainInput): JobSpec {
  checkPayload(payload);
  return Object.freeze({ ...PLAIN_SPEC, type, payload, queue, priority });
}

function resolveHold(offline: z.output<typeof inputSchema>['offline']): JobSpec['hold'] {
  if (offline === undefined || offline === 'wait') return 'auto';
  if (offline === 'keep' || offline.running === 'keep') return 'keep';
  return typeof offline.holdMs === 'number' ? Math.max(HOLD_LEAST_MS, offline.holdMs) : 'auto';
}

function resolveInstant(path: string, given: number | string | undefined): number | null {
  if (given === undefined) return null;
  const atMs = typeof given === 'number' ? given : Date.parse(given);
  if (!Number.isFinite(atMs)) {
    const message = `"${given}" is not an instant; write ms since 1970 or an ISO date`;
    throw invalidSpec([{ path, message }]);
  }
  if (atMs >= 0 && atMs <= LATEST_INSTANT_MS) return Math.round(atMs);
  throw invalidSpec([{ path, message: `"${given}" is not between the years 1970 and 9999` }]);
}

function checkDeadline(runAtMs: number | null, deadlineAtMs: number | null): void {
  if (runAtMs === null || deadlineAtMs === null || runAtMs < deadlineAtMs) return;
  throw invalidSpec([{ path: 'deadlineAt', message: 'is not after runAt' }]);
}

function checkPayload(payload: unknown): void {
  if (typeof payload === 'number' || typeof payload === 'boolean' || payload === null) return;
  const bytes = Buffer.byteLength(JSON.stringify(payload) ?? '', 'utf8');
  if (bytes <= PAYLOAD_BYTES_LIMIT) return;
  throw new AspenError(
    'RESOURCE_EXHAUSTED',
    `payload has ${bytes} bytes, the limit is ${PAYLOAD_BYTES_LIMIT}`,
    {
      details: { limit: 'PAYLOAD_BYTES_LIMIT' },
    },
  );
}

function invalidSpec(issues: readonly { readonly path: string; readonly message: string }[]): AspenError {
  const told = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
  return new AspenError('INVALID_PARAMS', `job spec: ${told}`, { details: { issues } });
}
