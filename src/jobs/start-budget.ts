import type { HookBook } from './hooks/hook-book.ts';
import type { LimitBook } from './limits.ts';
import type { Key } from './machine-port.ts';
import type { PlannedStart, PlannedStarts } from './planned-starts.ts';
import type { Buckets, Held, Limited, Running, StartRules } from './start-rules.ts';
import { heldBack, spendStart } from './starts.ts';

/**
 * What may start in one plan: the agreed counts and buckets, and on top of them what this plan and those still on their way have given away.
 * It only forecasts; `apply` decides (Q3 to Q5).
 */
export class StartBudget {
  readonly #limits: LimitBook;
  readonly #hooks: HookBook;
  readonly #groupMs: number;
  readonly #planned: PlannedStarts;
  readonly #running: Running;
  readonly #buckets: Buckets;
  readonly #starts: PlannedStart[] = [];
  #retryAfterMs = Number.POSITIVE_INFINITY;
  #hasHeld = false;

  constructor({ limits, hooks, running, buckets, groupMs }: StartRules, planned: PlannedStarts) {
    this.#limits = limits;
    this.#hooks = hooks;
    this.#groupMs = groupMs;
    this.#planned = planned;
    this.#running = planned.over(running);
    this.#buckets = planned.bucketsOver(buckets);
  }

  /** How long until time alone lets a job start that was held back here; infinite when none waits for time. Unit: ms. */
  get retryAfterMs(): number {
    return this.#retryAfterMs;
  }

  /** Whether anything was held back here. */
  get hasHeld(): boolean {
    return this.#hasHeld;
  }

  /** What was started here, to be ended once it is known whether it was agreed. */
  get starts(): readonly PlannedStart[] {
    return this.#starts;
  }

  held(job: Limited): Held | undefined {
    const rules = {
      limits: this.#limits,
      hooks: this.#hooks,
      running: this.#running,
      buckets: this.#buckets,
    };
    const held = heldBack(job, { ...rules, groupMs: this.#groupMs });
    this.#hasHeld ||= held !== undefined;
    if (held?.retryAfterMs != null) this.#retryAfterMs = Math.min(this.#retryAfterMs, held.retryAfterMs);
    return held;
  }

  start(job: Limited): void {
    const spent: Key[] = [];
    const buckets: Buckets = {
      get: (key) => this.#buckets.get(key),
      put: (key, bucket) => {
        this.#buckets.put(key, bucket);
        spent.push(key);
      },
    };
    spendStart(job, this.#limits, buckets, this.#groupMs);
    this.#starts.push(this.#planned.begin(job, spent));
  }
}
