import type { WorkerExecute } from '../rpc/index.ts';
import type { WorkerJob, WorkerSpec } from './attempt.ts';

/** What a spec says where the agent says nothing: a line to a worker carries only what is not the default. */
export const UNSAID = Object.freeze({
  idempotencyKey: null,
  queue: 'default',
  priority: 5,
  delayMs: 0,
  timeoutMs: null,
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
  traceparent: null,
  retentionMs: 604_800_000,
  namespace: 'default',
  concurrencyKey: null,
  offline: Object.freeze({ holdMs: 'auto' }),
});

/** The job of one request. A class, so that what few handlers ask for is made when they do. */
export class GivenJob implements WorkerJob<never> {
  readonly id: string;
  readonly type: string;
  readonly payload: never;
  readonly traceparent: string | null;
  readonly #told: WorkerExecute['job']['spec'];
  #spec: WorkerSpec | undefined;

  constructor({ id, spec }: WorkerExecute['job']) {
    const { traceparent } = spec;
    this.id = id;
    this.type = spec.type;
    this.payload = spec.payload as never;
    this.traceparent = typeof traceparent === 'string' ? traceparent : null;
    this.#told = spec;
  }

  get spec(): WorkerSpec {
    this.#spec ??= { ...UNSAID, ...this.#told };
    return this.#spec;
  }
}
