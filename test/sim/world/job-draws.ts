import { type Random, randomChance, randomFloat, randomInt, randomPick } from '../../../src/base/index.ts';
import { WORLD_EPOCH_MS } from '../ground/sim-clock.ts';
import type { Spec } from './story-world.ts';

/** What jobs may ask for. Each run has some of it: a run that has everything hides what few things show. */
export const JOB_FEATURES = [
  'delays',
  'timeouts',
  'deadlines',
  'priorities',
  'dependencies',
  'keys',
  'queues',
  'namespaces',
  'workers',
  'groups',
  'bulks',
  'reruns',
  'retention',
  'losses',
] as const;
export type JobFeature = (typeof JOB_FEATURES)[number];

/** Queues with a character each: the keeper of queues limits attempts, starts, what waits and what is kept of them. */
export const QUEUES = ['narrow', 'steady', 'bounded', 'brief'] as const;
export const TENANT = 'tenant';
/** What only attached workers run. */
export const WORKER_TYPE = 'sim.paint';

const FEATURE_SHARE = 0.6;
const LONGEST_WORK_MS = 4_000;
const SHARED_KEYS = 3;
/** As many as are always there once nothing goes wrong any more. */
const GROUP_NODES = 3;
const SHORTEST_RETENTION_MS = 1_000;

export interface Draft {
  readonly spec: Spec & { readonly id: string };
  /** Whether it may be sent again under its id: what was finished and removed meanwhile would be another job. */
  readonly isRepeatable: boolean;
}

export interface JobDrawsOptions {
  readonly nowMs: () => number;
  /** Unit: ms. @default 4_000 */
  readonly longestWorkMs?: number | undefined;
}

export function drawJobFeatures(random: Random): ReadonlySet<JobFeature> {
  return new Set(JOB_FEATURES.filter(() => randomChance(random, FEATURE_SHARE)));
}

/** Draws jobs that end, whatever happens to them, once nothing goes wrong any more. */
export class JobDraws {
  readonly #random: Random;
  readonly #features: ReadonlySet<JobFeature>;
  readonly #nowMs: () => number;
  readonly #longestWorkMs: number;

  constructor(
    random: Random,
    features: ReadonlySet<JobFeature>,
    { nowMs, longestWorkMs = LONGEST_WORK_MS }: JobDrawsOptions,
  ) {
    this.#random = random;
    this.#features = features;
    this.#nowMs = nowMs;
    this.#longestWorkMs = longestWorkMs;
  }

  has(feature: JobFeature): boolean {
    return this.#features.has(feature);
  }

  /** @param known ids that it may wait for. */
  draw(id: string, known: readonly string[]): Draft {
    const isPurged = this.#when('retention', 0.2);
    const deadline = this.#when('deadlines', 0.15) ? { deadlineAt: this.#deadline() } : {};
    const spec = {
      id,
      ...this.#work(),
      ...this.#retry(),
      ...deadline,
      ...this.#limits(),
      ...this.#owner(isPurged),
      ...(isPurged
        ? { retentionMs: randomInt(this.#random, { from: SHORTEST_RETENTION_MS, to: 10_000 }) }
        : this.#key(id)),
      ...(known.length > 0 &&
        this.#when('dependencies', 0.5) &&
        this.#parents(known, 'deadlineAt' in deadline)),
    };
    return { spec, isRepeatable: !isPurged };
  }

  /** An instant that comes soon. */
  #deadline(): number {
    return WORLD_EPOCH_MS + Math.floor(this.#nowMs()) + randomInt(this.#random, { from: 500, to: 15_000 });
  }

  /** Programs are watched where they run, and so is what attached workers do; `echo` only waits. */
  #work(): Pick<Spec, 'type' | 'payload' | 'group'> {
    const random = this.#random;
    const delayMs = Math.floor(randomFloat(random) ** 2 * this.#longestWorkMs);
    if (this.#when('workers', 0.3))
      return { type: WORKER_TYPE, payload: { delayMs, isGood: randomChance(random, 0.8) } };
    const group = this.#when('groups', 0.2) ? { group: { nodes: GROUP_NODES } } : {};
    if (randomChance(random, 0.1)) return { type: 'shell', payload: { command: 'false' }, ...group };
    if (randomChance(random, 0.5)) return { type: 'echo', payload: { delayMs }, ...group };
    return { type: 'shell', payload: { command: 'sleep', args: [String(delayMs / 1_000)] }, ...group };
  }

  #retry(): Pick<Spec, 'retry'> {
    const random = this.#random;
    if (this.#when('losses', 0.3)) return { retry: { maxAttempts: 1, maxLosses: 0 } };
    const backoff = randomPick(random, ['none', 'fixed', 'exponential'] as const) as 'fixed';
    const maxLosses = this.#when('losses', 0.3) && { maxLosses: randomInt(random, { from: 0, to: 8 }) };
    return {
      retry: { maxAttempts: randomInt(random, { from: 1, to: 5 }), backoff, delayMs: 100, ...maxLosses },
    };
  }

  #limits(): Partial<Spec> {
    const random = this.#random;
    return {
      ...(this.#when('delays', 0.25) && { delayMs: randomInt(random, { from: 1, to: 3_000 }) }),
      ...(this.#when('timeouts', 0.3) && { timeoutMs: randomInt(random, { from: 200, to: 1_500 }) }),
      ...(this.#when('timeouts', 0.1) && { queueTimeoutMs: randomInt(random, { from: 100, to: 10_000 }) }),
      ...(this.#when('priorities', 0.5) && { priority: randomInt(random, { from: 1, to: 11 }) }),
    };
  }

  /** Of the brief queue little is kept, so what is in it may be removed at any time. */
  #owner(isPurged: boolean): Partial<Spec> {
    const queues = QUEUES.filter((queue) => queue !== 'brief' || isPurged);
    return {
      ...(this.#when('queues', 0.6) && { queue: randomPick(this.#random, queues) as string }),
      ...(this.#when('queues', 0.4) && {
        concurrencyKey: `c${randomInt(this.#random, { from: 1, to: 3 })}`,
      }),
      ...(this.#when('namespaces', 0.5) && { namespace: TENANT }),
    };
  }

  /** A key of its own, or one that many jobs bring. */
  #key(id: string): Partial<Spec> {
    if (!this.#when('keys', 0.4)) return {};
    const shared = `shared-${randomInt(this.#random, { from: 1, to: SHARED_KEYS + 1 })}`;
    return { idempotencyKey: randomChance(this.#random, 0.5) ? shared : `key-${id}` };
  }

  /** What waits for a parent's next run may wait for ever, unless it has a deadline. */
  #parents(known: readonly string[], hasDeadline: boolean): Partial<Spec> {
    const random = this.#random;
    const names = new Set([randomPick(random, known), randomPick(random, known)] as string[]);
    const ons = ['success', 'success', 'failure', 'any'] as const;
    const policies = ['fail', 'skip', 'continue', ...(hasDeadline ? (['block'] as const) : [])] as const;
    return {
      dependsOn: [...names].map((id) => ({ id, on: randomPick(random, ons) as (typeof ons)[number] })),
      onDependencyFailure: randomPick(random, policies) as (typeof policies)[number],
    };
  }

  /** Whether this job has it: never in a run without the feature. */
  #when(feature: JobFeature, share: number): boolean {
    return this.#features.has(feature) && randomChance(this.#random, share);
  }
}
