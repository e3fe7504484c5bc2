import assert from 'node:assert/strict';
import { AspenError, SeededRandom, silentLogger, sleep } from '../../../src/base/index.ts';
import { ClaimClient } from '../../../src/lease/index.ts';
import { type Node, World } from './world.ts';

const TTL_MS = 3_000;
const LOOK_MS = 20;

/** Programs on five nodes that want one lock without end, under kills and cuts. */
class LockStorm {
  readonly world = new World({ replica: { keepEntries: 5, dropEntries: 5 } });
  readonly abort = new AbortController();
  /** Who believes to hold the lock, by what it was told alone. */
  readonly believers = new Set<string>();
  holdings = 0;
  readonly #random: SeededRandom;
  #lastToken = 0;
  #programs: Promise<void>[] = [];

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  async begin(): Promise<void> {
    const { world } = this;
    const first = await world.addNode();
    await world.found(first);
    for (let made = 1; made < 5; made += 1) await world.admit(await world.addNode());
    await world.untilTrue('three vote', () => first.group.status().voters.length === 3);
    for (let at = 0; at < 6; at += 1) this.#programs.push(this.#program(`p${at}`, at % 5));
  }

  async round(): Promise<void> {
    const { world } = this;
    const victim = world.nodes[this.#below(world.nodes.length)] as Node;
    const deed = this.#below(4);
    if (deed === 0) {
      await world.kill(victim);
      await world.clock.advance(this.#below(2_000));
      const again = await world.restart(victim);
      world.nodes.splice(world.nodes.indexOf(again), 1);
      world.nodes.splice(this.#below(world.nodes.length + 1), 0, again);
    } else if (deed === 1) {
      world.isolate(victim);
      await world.clock.advance(this.#below(8_000));
      await world.heal();
    }
    await world.clock.advance(this.#below(4_000));
  }

  /** Faults stop: everybody gets the lock again, and then nobody wants it any more. */
  async end(): Promise<void> {
    const { world } = this;
    await world.heal();
    const before = this.holdings;
    await world.untilTrue('the lock goes round again', () => this.holdings > before + 6, 120_000);
    this.abort.abort(new Error('done'));
    await world.clock.until(Promise.all(this.#programs));
    await world.clock.advance(15_000);
    const query = { module: 'leases', kind: 'resource', body: { kind: 'lock', name: 'a' } };
    assert.equal(await world.clock.until(world.leader().group.client.query(query)), null);
    await world.stop();
  }

  async #program(name: string, at: number): Promise<void> {
    const { clock } = this.world;
    for (let run = 0; !this.abort.signal.aborted; run += 1) {
      const node = this.world.nodes[at % this.world.nodes.length] as Node;
      try {
        await this.#holdOnce(`${name}/${run}`, node);
      } catch (error) {
        if (!(error instanceof AspenError) && !this.abort.signal.aborted) throw error;
      }
      await sleep(clock, 50);
    }
  }

  async #holdOnce(who: string, { peerId, group }: Node): Promise<void> {
    const { clock, random } = this.world;
    const client = new ClaimClient({ self: peerId, client: group.client, clock, random, log: silentLogger });
    const wish = { kind: 'lock', name: 'a', capacity: 1, units: 1, ttlMs: TTL_MS, value: null } as const;
    const held = await client.claim({ ...wish, waitMs: 20_000 }, this.abort.signal);
    const { leaseId, fencingToken } = held;
    this.#believe(who, fencingToken);
    const untilMs = await this.#keep(leaseId, group, {
      validUntilMs: clock.monotonicMs() + held.validMs,
      doneAtMs: clock.monotonicMs() + this.#below(6_000),
    });
    this.believers.delete(who);
    if (clock.monotonicMs() < untilMs) {
      const body = { kind: 'lock', name: 'a', leaseId };
      await group.client.propose({ module: 'leases', kind: 'release', body });
    }
  }

  /** Renews until it is done, or may no longer believe. @returns until when it might have believed. */
  async #keep(
    leaseId: string,
    { client }: Node['group'],
    { validUntilMs, doneAtMs }: { validUntilMs: number; doneAtMs: number },
  ): Promise<number> {
    const { clock } = this.world;
    let untilMs = validUntilMs;
    let nextMs = clock.monotonicMs() + TTL_MS / 4;
    while (clock.monotonicMs() < doneAtMs && clock.monotonicMs() + LOOK_MS < untilMs) {
      if (clock.monotonicMs() >= nextMs) {
        nextMs += TTL_MS / 4;
        const sentAtMs = clock.monotonicMs();
        const body = { kind: 'lock', name: 'a', leaseId };
        client.propose({ module: 'leases', kind: 'renew', body }).then(
          () => {
            untilMs = Math.max(untilMs, sentAtMs + TTL_MS);
          },
          () => undefined, // not confirmed: nothing is believed
        );
      }
      await sleep(clock, LOOK_MS);
    }
    return untilMs;
  }

  /** The law. */
  #believe(who: string, token: number): void {
    assert.deepEqual([...this.believers], [], `${who} was let in too early`);
    assert.ok(token > this.#lastToken, `${who} has token ${token} after ${this.#lastToken}`);
    this.#lastToken = token;
    this.believers.add(who);
    this.holdings += 1;
  }

  #below(bound: number): number {
    return Math.floor((this.#random.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32) * bound);
  }
}

describe('a lock under kills and cuts', () => {
  for (let seed = 1; seed <= 6; seed += 1) {
    it(`has one holder at a time, tokens that grow, and no place that is kept for nobody (seed ${seed})`, async () => {
      const storm = new LockStorm(seed);
      await storm.begin();
      for (let round = 0; round < 20; round += 1) await storm.round();
      await storm.end();
    });
  }
});
