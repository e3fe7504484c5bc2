/** Pause before a failed job runs again. */
export interface RetryPolicy {
  /** Runs in all, the first one included. Attempts that were lost with their node do not count. */
  readonly maxAttempts: number;
  /** Losses that are forgiven; 0 for at most once. Absent where nothing was said: see `retry.ts`. */
  readonly maxLosses?: number | undefined;
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

/** How long a job is kept after its end where it does not say. Unit: ms. */
export const WEEK_MS = 7 * 86_400_000;
/** What priorities are called. */
export const PRIORITIES = { low: 2, normal: 5, high: 8, critical: 10 } as const;

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
