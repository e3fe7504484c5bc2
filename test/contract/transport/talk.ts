import assert from 'node:assert/strict';
import type { Node, World } from './worlds.ts';

const FRAME_BYTES = 2_000;

/** Two linked nodes that send each other one numbered frame after the other, and take note of what they hear and are told. */
export class Talk {
  readonly #world: World;
  readonly #ends: readonly [Node, Node];
  readonly #events: string[] = [];
  readonly #heard: [number[], number[]] = [[], []];
  readonly #talking: Promise<void>;
  #count = 0;
  #isOver = false;

  constructor(world: World, ends: readonly [Node, Node]) {
    this.#world = world;
    this.#ends = ends;
    for (const [at, { transport }] of ends.entries()) {
      transport.onLink(({ type }) => this.#events.push(type));
      transport.onFrame((_from, frame) => this.#heard[at]?.push(Buffer.from(frame).readUInt32BE()));
    }
    this.#talking = this.#talk();
    this.#talking.catch(() => undefined); // told by the end of it
  }

  /** Ends it: every frame has arrived once, and nobody was told of a link that opened or closed. */
  async endWell(): Promise<void> {
    this.#isOver = true;
    await this.#talking;
    const hasArrived = () => this.#heard.every((frames) => frames.length === this.#count);
    await this.#world.until(hasArrived, 'every frame has arrived');
    const all = Array.from({ length: this.#count }, (_, at) => at);
    for (const frames of this.#heard)
      assert.deepEqual(
        frames.toSorted((one, other) => one - other),
        all,
      );
    assert.deepEqual(this.#events, []);
  }

  async #talk(): Promise<void> {
    const [left, right] = this.#ends;
    while (!this.#isOver) {
      const frame = Buffer.alloc(FRAME_BYTES);
      frame.writeUInt32BE(this.#count);
      assert.ok(left.transport.send(right.identity.peerId, frame, 'control'));
      assert.ok(right.transport.send(left.identity.peerId, frame, 'control'));
      this.#count += 1;
      await this.#world.pass(1);
    }
  }
}
