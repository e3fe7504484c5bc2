import { type Random, randomChance, randomFloat, randomInt, randomPick } from '../../../src/base/index.ts';
import type { ParamsInput } from '../../../src/rpc/index.ts';
import { type JobDraws, QUEUES, TENANT } from './job-draws.ts';
import type { Method } from './sim-node.ts';
import type { World } from './world.ts';

/** Longest pause between two changes. Unit: ms. */
const LONGEST_PAUSE_MS = 3_000;
const RETRY_MS = 500;
const UNLIMITED = { concurrency: null, perKey: null, ratePerSecond: null, burst: null };

type Limits = Omit<ParamsInput<'queue.limit'>, 'queue'>;

/** Somebody who sets limits of queues, types and namespaces while jobs go through them, and pauses queues; in the end nothing is held back. */
export class QueueKeeper {
  readonly #world: World;
  readonly #random: Random;
  readonly #draws: JobDraws;

  constructor(components: { readonly world: World; readonly random: Random; readonly draws: JobDraws }) {
    this.#world = components.world;
    this.#random = components.random;
    this.#draws = components.draws;
  }

  async run(untilMs: number): Promise<void> {
    const hasQueues = this.#draws.has('queues');
    const hasNamespaces = this.#draws.has('namespaces');
    if (!hasQueues && !hasNamespaces) return;
    if (hasQueues)
      for (const queue of QUEUES) await this.#tried('queue.limit', { queue, ...this.#limitsOf(queue) });
    while (this.#world.nowMs < untilMs) {
      if (hasQueues) await this.#changeQueue();
      if (hasNamespaces) await this.#tried('namespace.limit', this.#quotas());
      await this.#world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    }
    await this.#liftAll();
  }

  async #changeQueue(): Promise<void> {
    const draw = randomFloat(this.#random);
    const queue = randomPick(this.#random, QUEUES) as string;
    if (draw < 0.15) await this.#tried('queue.pause', { queue, reason: 'chance' });
    else if (draw < 0.5) await this.#tried('queue.resume', { queue });
    else if (draw < 0.6) await this.#tried('queue.limitType', { type: 'echo', ...this.#rate() });
    else await this.#tried('queue.limit', { queue, ...this.#limitsOf(queue) });
  }

  #limitsOf(queue: string): Limits {
    if (queue === 'narrow') return { concurrency: this.#count(3), perKey: this.#count(2) };
    if (queue === 'steady') return this.#rate();
    if (queue === 'bounded') return { maxWaiting: this.#count(6) };
    return { maxFinished: this.#count(3), deadRetentionMs: this.#count(5_000) };
  }

  #rate(): Pick<Limits, 'ratePerSecond' | 'burst'> {
    return { ratePerSecond: this.#count(3), burst: this.#count(3) };
  }

  #quotas(): ParamsInput<'namespace.limit'> {
    return { namespace: TENANT, concurrency: this.#count(5), maxWaiting: this.#count(10) };
  }

  /** Now and then the limit is lifted. */
  #count(most: number): number | null {
    return randomChance(this.#random, 0.2) ? null : randomInt(this.#random, { from: 1, to: most + 1 });
  }

  async #liftAll(): Promise<void> {
    for (const queue of QUEUES) {
      await this.#insist('queue.resume', { queue });
      await this.#insist('queue.limit', { queue, ...UNLIMITED });
    }
    await this.#insist('queue.limitType', { type: 'echo', ratePerSecond: null, burst: null });
    await this.#insist('namespace.limit', { namespace: TENANT, concurrency: null });
  }

  async #tried<M extends Method>(method: M, params: ParamsInput<M>): Promise<void> {
    await this.#world.tried(this.#world.pickNode(this.#random), method, params);
  }

  async #insist<M extends Method>(method: M, params: ParamsInput<M>): Promise<void> {
    const ask = () => this.#world.tried(this.#world.pickInsider(this.#random), method, params);
    while ((await ask()) === undefined) await this.#world.pause(RETRY_MS);
  }
}
