import type { Bucket } from '../lease/machine/index.ts';
import type { HookBook } from './hooks/hook-book.ts';
import type { LimitBook } from './limits.ts';
import type { Key } from './machine-port.ts';
import {
  type Buckets,
  type Held,
  heldBack,
  type Limited,
  type Running,
  type StartRules,
  spendStart,
} from './starts.ts';
import type { QueueTally, Tally } from './tallies.ts';

/**
 * What may start in one plan: the agreed counts and buckets, and on top of them what this plan has given away already. It only forecasts;
 * `apply` decides (Q3 to Q5).
 */
export class StartBudget {
  readonly #limits: LimitBook;
  readonly #hooks: HookBook;
  readonly #groupMs: number;
  readonly #running: PlannedRunning;
  readonly #buckets: PlannedBuckets;
  #retryAfterMs = Number.POSITIVE_INFINITY;

  constructor({ limits, hooks, running, buckets, groupMs }: StartRules) {
    this.#limits = limits;
    this.#hooks = hooks;
    this.#groupMs = groupMs;
    this.#running = new PlannedRunning(running);
    this.#buckets = new PlannedBuckets(buckets);
  }

  /** How long until time alone lets a job start that was held back here; infinite when none waits for time. Unit: ms. */
  get retryAfterMs(): number {
    return this.#retryAfterMs;
  }

  held(job: Limited): Held | undefined {
    const rules = {
      limits: this.#limits,
      hooks: this.#hooks,
      running: this.#running,
      buckets: this.#buckets,
    };
    const held = heldBack(job, { ...rules, groupMs: this.#groupMs });
    if (held?.retryAfterMs != null) this.#retryAfterMs = Math.min(this.#retryAfterMs, held.retryAfterMs);
    return held;
  }

  start(job: Limited): void {
    spendStart(job, this.#limits, this.#buckets, this.#groupMs);
    this.#running.add(job);
  }
}

class PlannedRunning implements Running {
  readonly #agreed: Running;
  readonly #planned = new Map<string, number>();

  constructor(agreed: Running) {
    this.#agreed = agreed;
  }

  add({ queue, namespace, concurrencyKey }: Limited): void {
    this.#count(`q/${queue}`);
    this.#count(`n/${namespace}`);
    if (concurrencyKey !== null) this.#count(`k/${queue}\u0000${concurrencyKey}`);
  }

  ofQueue(name: string): QueueTally {
    const agreed = this.#agreed.ofQueue(name);
    return { ...agreed, running: agreed.running + this.#of(`q/${name}`) };
  }

  ofNamespace(name: string): Tally {
    const agreed = this.#agreed.ofNamespace(name);
    return { ...agreed, running: agreed.running + this.#of(`n/${name}`) };
  }

  runningOfKey(queue: string, concurrencyKey: string): number {
    return this.#agreed.runningOfKey(queue, concurrencyKey) + this.#of(`k/${queue}\u0000${concurrencyKey}`);
  }

  #count(name: string): void {
    this.#planned.set(name, this.#of(name) + 1);
  }

  #of(name: string): number {
    return this.#planned.get(name) ?? 0;
  }
}

class PlannedBuckets implements Buckets {
  readonly #agreed: Pick<Buckets, 'get'>;
  readonly #planned = new Map<Key, Bucket>();

  constructor(agreed: Pick<Buckets, 'get'>) {
    this.#agreed = agreed;
  }

  get(key: Key): Bucket | undefined {
    return this.#planned.get(key) ?? this.#agreed.get(key);
  }

  put(key: Key, bucket: Bucket): void {
    this.#planned.set(key, bucket);
  }
}
