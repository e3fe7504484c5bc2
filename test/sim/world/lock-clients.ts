import {
  AspenError,
  type Random,
  randomChance,
  randomFloat,
  randomInt,
  randomPick,
} from '../../../src/base/index.ts';
import type { Result } from '../../../src/rpc/index.ts';
import type { World } from './world.ts';

const LOCKS = ['l/a', 'l/b'];
/** Longest pause of a client between two locks. Unit: ms. */
const LONGEST_PAUSE_MS = 1_500;
const LONGEST_HOLD_MS = 5_000;
const TTL_CHOICES_MS = [500, 2_000, 6_000];
const LONGEST_WAIT_MS = 4_000;
/** Shares of a client that forgets to give back what it holds. */
const FORGETS = 0.2;

type Held = Result<'lock.acquire'>;

/** Clients that take locks through whichever node chance names, keep them for a while, and give most of them back. */
export class LockClients {
  readonly #world: World;
  readonly #random: Random;

  constructor(components: { readonly world: World; readonly random: Random }) {
    this.#world = components.world;
    this.#random = components.random;
  }

  async run(client: string, untilMs: number): Promise<void> {
    while (this.#world.nowMs < untilMs) {
      await this.#tenure(client, randomPick(this.#random, LOCKS) as string);
      await this.#world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    }
  }

  async #tenure(client: string, lock: string): Promise<void> {
    const ttlMs = randomPick(this.#random, TTL_CHOICES_MS) as number;
    const waitMs = randomChance(this.#random, 0.5)
      ? 0
      : randomInt(this.#random, { from: 1, to: LONGEST_WAIT_MS });
    const held = await this.#tried(() => this.#node().call('lock.acquire', { name: lock, ttlMs, waitMs }));
    if (held === undefined) return;
    this.#tell(client, lock, held);
    await this.#keep(client, lock, { held, ttlMs });
    if (randomChance(this.#random, FORGETS)) return;
    const { fencingToken: token, leaseId } = held;
    this.#world.observe({ type: 'givesBack', lock, token, atMs: this.#world.nowMs });
    await this.#tried(() => this.#node().call('lock.release', { name: lock, leaseId }));
  }

  /** Renews, until it has held the lock for long enough or has lost it. */
  async #keep(
    client: string,
    lock: string,
    { held, ttlMs }: { readonly held: Held; readonly ttlMs: number },
  ): Promise<void> {
    const endMs = this.#world.nowMs + randomFloat(this.#random) * LONGEST_HOLD_MS;
    while (this.#world.nowMs < endMs) {
      await this.#world.pause(Math.min(ttlMs / 3, endMs - this.#world.nowMs));
      if (this.#world.nowMs >= endMs) return;
      const { leaseId } = held;
      const renewed = await this.#tried(() => this.#node().call('lock.renew', { name: lock, leaseId }));
      if (renewed === undefined) continue;
      if (renewed.fencingToken !== held.fencingToken)
        this.#world.breach(
          `${lock} was renewed with ${renewed.fencingToken}, it is held with ${held.fencingToken}`,
        );
      this.#tell(client, lock, renewed);
    }
  }

  #tell(
    client: string,
    lock: string,
    { fencingToken: token, validMs }: Pick<Held, 'fencingToken' | 'validMs'>,
  ): void {
    const fromMs = this.#world.nowMs;
    this.#world.observe({ type: 'holds', lock, token, client, fromMs, untilMs: fromMs + validMs });
  }

  async #tried<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      this.#world.expectRefusal(error);
      if (error instanceof AspenError) return undefined;
      throw error;
    }
  }

  #node() {
    return this.#world.pickNode(this.#random);
  }
}
