import { type Random, randomChance, randomFloat, randomPick } from '../../../src/base/index.ts';
import type { ParamsInput } from '../../../src/rpc/index.ts';
import type { Method } from './sim-node.ts';
import type { World } from './world.ts';

const EVENTS = ['job.succeeded', 'job.dead', 'job.cancelled', 'job.skipped'] as const;
const TYPES = ['echo', 'shell'] as const;
const LONGEST_PAUSE_MS = 4_000;
const RETRY_MS = 500;
const URL = 'http://receiver.test/in';

/** Somebody who has a receiver told of jobs that end, and pauses that now and then; in the end nothing is held back. */
export class HookKeeper {
  readonly #world: World;
  readonly #random: Random;

  constructor({ world, random }: { readonly world: World; readonly random: Random }) {
    this.#world = world;
    this.#random = random;
  }

  async run(untilMs: number): Promise<void> {
    const random = this.#random;
    const dead = { url: URL, on: [...EVENTS], secret: 'a secret of some length' };
    await this.#insist('hook.add', dead);
    const type = randomPick(random, TYPES) as string;
    await this.#insist('hook.add', {
      url: URL,
      on: [randomPick(random, EVENTS) as (typeof EVENTS)[number]],
      type,
    });
    while (this.#world.nowMs < untilMs) {
      await this.#world.pause(randomFloat(random) * LONGEST_PAUSE_MS);
      const method = randomChance(random, 0.3) ? 'hook.pause' : 'hook.resume';
      await this.#world.tried(this.#world.pickNode(random), method, { id: 'last' });
    }
    this.#world.receiver.isFlaky = false;
    const { hooks } = await this.#insist('hook.list', {});
    for (const { id } of hooks) await this.#insist('hook.resume', { id });
  }

  async #insist<M extends Method>(method: M, params: ParamsInput<M>) {
    for (;;) {
      const answer = await this.#world.tried(this.#world.pickInsider(this.#random), method, params);
      if (answer !== undefined) return answer;
      await this.#world.pause(RETRY_MS);
    }
  }
}
