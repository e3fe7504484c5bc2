import { z } from 'zod';
import { demandFault } from '../affinity/index.ts';
import { AspenError } from '../base/index.ts';
import { withNamedSecrets } from './named-secrets.ts';
import { isPlainInput, type PlainInput } from './plain-input.ts';
import { isShallow, PAYLOAD_DEPTH_LIMIT } from './shallow.ts';

/** Pause before a failed job runs again. */
export interface RetryPolicy {
  /** Runs in all, the first one included. Attempts that were lost with their node do not count. */
  readonly maxAttempts: number;
  /** An array names each pause in ms; its last one repeats. */
  readonly backoff: 'none' | 'fixed' | 'exponential' | readonly number[];
  readonly delayMs: number;
  readonly maxDelayMs: number;
  readonly jitter: 'full' | 'none';
  readonly nonRetryableExitCodes: readonly number[];
}

export interface Affinity {
  readonly node: { readonly peerId: string; readonly mode: 'require' | 'prefer' } | null;
  readonly require: Readonly<Record<string, string>>;
  readonly prefer: Readonly<Record<string, string>>;
  /** Labels, or the key `node` with a peer id. */
  readonly avoid: Readonly<Record<string, string>>;
  readonly key: string | null;
  /** A peer id; absent where it does not matter. */
  readonly near?: string | undefined;
  /** Blobs that the job reads; absent where it names none. */
  readonly data?: readonly string[] | undefined;
  /** Secrets that its payload names; absent where it names none. */
  readonly secrets?: readonly string[] | undefined;
  readonly strategy: 'least-loaded' | 'round-robin' | 'spread';
  /** How long a preferred node is waited for. */
  readonly waitMs: number;
}

/** How a parent must end: `failure` is dead or cancelled. */
export type DependencyOn = 'success' | 'failure' | 'any';

/** A job that has to end first. */
export interface Dependency {
  readonly id: string;
  readonly on: DependencyOn;
}

/** What becomes of a job whose parent did not end as it had to: it dies, is skipped, runs all the same, or waits for the parent's next run. */
export type FailurePolicy = 'fail' | 'skip' | 'continue' | 'block';

/** A job as it was asked for, complete: every default filled in, every name resolved. Part of the agreed record. */
export interface JobSpec {
  readonly type: string;
  readonly payload: unknown;
  readonly idempotencyKey: string | null;
  readonly queue: string;
  /** 1 to 10, 10 first. */
  readonly priority: number;
  /** Wall time before which it does not run; null for at once. */
  readonly runAtMs: number | null;
  readonly delayMs: number;
  /** For one attempt; null for no limit. */
  readonly timeoutMs: number | null;
  readonly retry: RetryPolicy;
  readonly affinity: Affinity;
  /** How long an attempt survives the silence of its node: `auto` is a tenth of its run time; `keep` for ever. */
  readonly hold: number | 'auto' | 'keep';
  readonly labels: Readonly<Record<string, string>>;
  readonly traceparent: string | null;
  /** How long the record is kept once final. */
  readonly retentionMs: number;
  /** Listed and bounded apart from other namespaces; ids and idempotency keys are shared by all. */
  readonly namespace: string;
  /** Jobs of one queue and one such key share the queue's limit for each key; null for none. */
  readonly concurrencyKey: string | null;
  /** Longest wait for a node, each time it is queued; null for no limit. */
  readonly queueTimeoutMs: number | null;
  /** Longest silence of an attempt: no progress, no output, no heartbeat; null for no limit. */
  readonly heartbeatTimeoutMs: number | null;
  /** Wall time by which all of it has to be over; null for no limit. */
  readonly deadlineAtMs: number | null;
  readonly dependsOn: readonly Dependency[];
  readonly onDependencyFailure: FailurePolicy;
  /** Runs on so many nodes at once, all or none; null for one. */
  readonly group: { readonly nodes: number } | null;
}

/** Payloads travel in the log and stay in memory while the job waits. Unit: bytes of JSON. */
export const PAYLOAD_BYTES_LIMIT = 2 ** 20;
const KEY_BYTES_LIMIT = 1_024;
const LABELS_LIMIT = 64;
const WEEK_MS = 7 * 86_400_000;
const PRIORITIES = { low: 2, normal: 5, high: 8, critical: 10 } as const;
const HOLD_LEAST_MS = 4_000;
/** Parents of one job. */
export const DEPENDENCIES_LIMIT = 1_000;
/** Instants lie between 1970 and the end of the year 9999. Unit: ms. */
const LATEST_INSTANT_MS = 253_402_300_799_999;

/** Nodes of one group. */
export const GROUP_NODES_LIMIT = 100;

/** What a spec has where nothing was said. Packed specs leave these out, so these values are for ever; a later default is written down. */
export const SPEC_BASE = Object.freeze({
  queue: 'default',
  retry: Object.freeze({
    maxAttempts: 3,
    backoff: 'exponential',
    delayMs: 1_000,
    maxDelayMs: 300_000,
    jitter: 'full',
    nonRetryableExitCodes: Object.freeze([]),
  }),
  affinity: Object.freeze({
    node: null,
    require: Object.freeze({}),
    prefer: Object.freeze({}),
    avoid: Object.freeze({}),
    key: null,
    strategy: 'least-loaded',
    waitMs: 2_000,
  }),
  labels: Object.freeze({}),
  namespace: 'default',
  dependsOn: Object.freeze([]),
  onDependencyFailure: 'fail',
}) satisfies Pick<
  JobSpec,
  'queue' | 'retry' | 'affinity' | 'labels' | 'namespace' | 'dependsOn' | 'onDependencyFailure'
>;

/** A job of which nothing was said but its type. */
export const PLAIN_SPEC = {
  type: '',
  payload: null,
  idempotencyKey: null,
  queue: SPEC_BASE.queue,
  priority: PRIORITIES.normal,
  runAtMs: null,
  delayMs: 0,
  timeoutMs: null,
  retry: SPEC_BASE.retry,
  affinity: SPEC_BASE.affinity,
  hold: 'auto',
  labels: SPEC_BASE.labels,
  traceparent: null,
  retentionMs: WEEK_MS,
  namespace: SPEC_BASE.namespace,
  concurrencyKey: null,
  queueTimeoutMs: null,
  heartbeatTimeoutMs: null,
  deadlineAtMs: null,
  dependsOn: SPEC_BASE.dependsOn,
  onDependencyFailure: SPEC_BASE.onDependencyFailure,
  group: null,
} as const satisfies JobSpec;

/** What the indexes in memory look at. */
export type IndexedSpec = Pick<
  JobSpec,
  'queue' | 'namespace' | 'priority' | 'concurrencyKey' | 'runAtMs' | 'deadlineAtMs' | 'dependsOn'
>;

/** The spec of most jobs, as far as indexes see it. */
export const ORDINARY_SPEC: IndexedSpec = PLAIN_SPEC;

/** Whether indexes need no look at the spec. */
export function isOrdinary(spec: IndexedSpec): boolean {
  return (
    spec.queue === ORDINARY_SPEC.queue &&
    spec.namespace === ORDINARY_SPEC.namespace &&
    spec.priority === ORDINARY_SPEC.priority &&
    spec.concurrencyKey === null &&
    spec.runAtMs === null &&
    spec.deadlineAtMs === null &&
    spec.dependsOn.length === 0
  );
}

/** Also the border of the module: what has no such id is refused before it is proposed. */
export const jobIdSchema = z
  .string()
  .regex(/^job_[0-9a-zA-Z_-]{1,64}$/, 'must be "job_" and up to 64 letters, digits, - or _');
export const labels = z
  .record(z.string().min(1).max(128), z.string().max(256))
  .refine((given) => Object.keys(given).length <= LABELS_LIMIT, `at most ${LABELS_LIMIT} labels`);
/** Labels, each with what is asked of its value. */
const demands = labels.superRefine((given, context) => {
  for (const [label, text] of Object.entries(given)) {
    const message = demandFault(text);
    if (message !== undefined) context.addIssue({ code: 'custom', path: [label], message });
  }
});
export const idempotencyKey = z
  .string()
  .min(1)
  .refine((key) => Buffer.byteLength(key) <= KEY_BYTES_LIMIT, `longer than ${KEY_BYTES_LIMIT} bytes`);
export const payload = z.unknown().refine(isShallow, `nested deeper than ${PAYLOAD_DEPTH_LIMIT}`);
export const waitMs = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const limitMs = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
export const instantMs = z.int().min(0).max(LATEST_INSTANT_MS);
const dependency = z.object({ id: jobIdSchema, on: z.enum(['success', 'failure', 'any']) });
export const dependencies = z
  .array(dependency)
  .max(DEPENDENCIES_LIMIT)
  .refine((edges) => new Set(edges.map(({ id }) => id)).size === edges.length, 'names a job twice');
export const failurePolicy = z.enum(['fail', 'skip', 'continue', 'block']);

export const group = z.strictObject({ nodes: z.int().min(2).max(GROUP_NODES_LIMIT) });

/** Blobs that one job may name. */
export const DATA_LIMIT = 64;
export const blobIds = z
  .array(z.string().regex(/^(bafkrei|bafybei)[a-z2-7]{52}$/, 'must be a blob id'))
  .max(DATA_LIMIT);

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
      backoff: z
        .union([z.enum(['none', 'fixed', 'exponential']), z.array(waitMs).min(1).max(100)])
        .default('exponential'),
      delayMs: waitMs.default(1_000),
      maxDelayMs: waitMs.default(300_000),
      jitter: z.enum(['full', 'none']).default('full'),
      nonRetryableExitCodes: z.array(z.int().min(0).max(255)).max(256).default([]),
    })
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
