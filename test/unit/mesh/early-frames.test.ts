import assert from 'node:assert/strict';
import { EarlyFrames } from '../../../src/mesh/early-frames.ts';

const KIB = 2 ** 10;

describe('what a peer says before its channel is a link', () => {
  it('is held in order, for each channel by itself, and told once', () => {
    const early = new EarlyFrames<object>();
    const [one, other] = [{}, {}];
    const frame = Uint8Array.of(1);
    early.hold(one, frame);
    early.hold(other, Uint8Array.of(7));
    early.hold(one, Uint8Array.of(2));
    frame.fill(9);
    assert.deepEqual(
      early.take(one).map(([byte]) => byte),
      [1, 2],
    );
    assert.deepEqual(early.take(one), []);
    assert.equal(early.take(other).length, 1);
  });

  it('is bounded in number and in bytes (T3)', () => {
    const early = new EarlyFrames<object>();
    const [many, large] = [{}, {}];
    for (let count = 0; count < 1_000; count += 1) early.hold(many, Uint8Array.of(1));
    for (let count = 0; count < 10; count += 1) early.hold(large, new Uint8Array(100 * KIB));
    assert.equal(early.take(many).length, 64);
    assert.equal(early.take(large).length, 2);
  });
});
