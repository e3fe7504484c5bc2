import assert from 'node:assert/strict';
import { SeededRandom } from '../../../src/base/index.ts';
import { type Node, World } from './world.ts';

interface Page {
  readonly entries: readonly { readonly key: string; readonly version: number }[];
}

/** Five nodes under kills and cuts, a log so short that snapshots are common, and writers that never stop. */
class Storm {
  readonly world = new World({ replica: { keepEntries: 5, dropEntries: 5 } });
  readonly acknowledged = new Set<string>();
  readonly #random: SeededRandom;
  readonly #hashes = new Map<number, number>();
  #writes = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  async begin(): Promise<void> {
    const first = await this.world.addNode();
    await this.world.found(first);
    for (let made = 1; made < 5; made += 1) await this.world.admit(await this.world.addNode());
    await this.world.untilTrue('three vote', () => first.group.status().voters.length === 3);
    for (const node of this.world.nodes) this.#compareApplied(node);
  }

  async round(): Promise<void> {
    const { world } = this;
    const writes = this.#write(this.#pick());
    await world.clock.advance(this.#below(5));
    const victim = this.#pick();
    const deed = this.#below(4);
    if (deed === 0) await this.#killAndRestart(victim);
    if (deed === 1) await this.#cutOff(victim);
    await world.clock.advance(this.#below(3_000));
    if (this.#below(2) === 0) await world.clock.until(writes);
  }

  async end(): Promise<void> {
    await this.world.clock.advance(30_000);
    await this.world.link();
    await this.world.clock.advance(10_000);
  }

  #compareApplied({ group }: Node): void {
    group.onApplied(({ index, hash }) => {
      assert.equal(hash, this.#hashes.get(index) ?? hash, `replicas differ at ${index}`);
      this.#hashes.set(index, hash);
    });
  }

  async #write({ group }: Node): Promise<void> {
    const writes = Array.from({ length: 40 }, () => {
      this.#writes += 1;
      const key = `k${this.#writes}`;
      return group.client.propose({ module: 'kv', kind: 'put', body: { key, value: key } }).then(
        () => void this.acknowledged.add(key),
        () => undefined, // refused or unknown: nothing is promised
      );
    });
    await Promise.all(writes);
  }

  async #killAndRestart(node: Node): Promise<void> {
    await this.world.kill(node);
    await this.world.clock.advance(this.#below(8_000));
    this.#compareApplied(await this.world.restart(node));
  }

  async #cutOff(node: Node): Promise<void> {
    this.world.isolate(node);
    await this.world.clock.advance(this.#below(20_000));
    await this.world.heal();
    await this.world.clock.advance(6_000);
    await this.world.link();
  }

  #pick(): Node {
    return this.world.nodes[this.#below(this.world.nodes.length)] as Node;
  }

  #below(most: number): number {
    return this.#random.uint32() % most;
  }
}

describe('a group in a storm of kills and cuts', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`loses no acknowledged write, applies none twice, and its replicas stay equal (seed ${seed})`, async () => {
      const storm = new Storm(seed);
      await storm.begin();
      for (let round = 0; round < 15; round += 1) await storm.round();
      await storm.end();
      for (const node of storm.world.nodes) {
        assert.deepEqual(node.fatal, []);
        const body = { prefix: 'k', limit: 10_000 };
        const { entries } = await storm.world.clock.until(
          node.group.client.query<Page>({ module: 'kv', kind: 'scan', body }),
        );
        assert.ok(entries.every(({ version }) => version === 1));
        const keys = new Set(entries.map(({ key }) => key));
        assert.deepEqual(storm.acknowledged.difference(keys), new Set());
      }
      await storm.world.stop();
    });
  }
});
