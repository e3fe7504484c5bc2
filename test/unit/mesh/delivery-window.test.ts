import assert from 'node:assert/strict';
import { DeliveryWindow } from '../../../src/mesh/delivery-window.ts';

/** A path that carries so much a second, behind buffers that take in everything. */
class Path {
  readonly window = new DeliveryWindow();
  readonly #bytesPerMs: number;
  readonly #roundTripMs: number;
  nowMs = 0;
  /** When what was sent will have arrived. */
  #freeMs = 0;

  constructor(bytesPerSecond: number, roundTripMs: number) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#roundTripMs = roundTripMs;
    this.#ask(); // the hello
  }

  /** Sends all there is room for, asks, and waits for the answer. @returns how long the last byte was on its way. Unit: ms. */
  round(): number {
    const bytes = Math.max(0, this.window.roomBytes);
    this.#freeMs = Math.max(this.nowMs, this.#freeMs) + bytes / this.#bytesPerMs;
    this.window.sent(bytes);
    const waitedMs = this.#freeMs - this.nowMs;
    this.#ask();
    return waitedMs;
  }

  #ask(): void {
    const askedMs = this.nowMs;
    this.window.asked(askedMs);
    this.nowMs = Math.max(this.nowMs, this.#freeMs) + this.#roundTripMs;
    this.window.answered(askedMs, this.nowMs);
  }
}

describe('how much may be on its way', () => {
  it('N3: on a slow path no more than it carries in about a second, after the first round', () => {
    const slow = new Path(8_000, 50);
    slow.round();
    for (let round = 0; round < 50; round += 1) assert.ok(slow.round() <= 1_100);
  });

  it('N3: on a path of 1 Mbit/s what is urgent waits for no more than a fifth of a second', () => {
    const path = new Path(125_000, 30);
    for (let round = 0; round < 10; round += 1) path.round();
    for (let round = 0; round < 50; round += 1) assert.ok(path.round() <= 250);
  });

  it('fills a fast one', () => {
    const fast = new Path(1_000_000_000, 1);
    let bytes = 0;
    for (let round = 0; round < 40; round += 1) {
      bytes += fast.window.roomBytes;
      fast.round();
    }
    assert.ok(bytes / fast.nowMs > 100_000, `${bytes} bytes in ${fast.nowMs} ms`);
  });

  it('asks of what nobody has asked yet, one question at a time', () => {
    const window = new DeliveryWindow();
    assert.equal(window.isUnasked, false);
    window.sent(100);
    assert.equal(window.isUnasked, true);
    window.asked(10);
    window.sent(100);
    assert.equal(window.isUnasked, false);
    window.answered(10, 11);
    assert.equal(window.isUnasked, true, 'the second hundred');
  });

  it('takes the answer to a later question for all before it, and one to an earlier for nothing', () => {
    const window = new DeliveryWindow();
    const room = window.roomBytes;
    window.sent(1_000);
    window.asked(10);
    window.answered(9, 20);
    assert.equal(window.roomBytes, room - 1_000);
    window.asked(15);
    window.answered(15, 20);
    assert.equal(window.roomBytes, room);
  });
});
