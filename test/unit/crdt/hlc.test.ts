import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { floorFor } from '../../../src/crdt/hlc.ts';
import { AHEAD_LIMIT_MS, compareHlc, formatHlc, type Hlc, HybridClock } from '../../../src/crdt/index.ts';

const self = 'self' as PeerId;
const other = 'other' as PeerId;

function clockAt(wallMs: number, floor?: { wallMs: number; counter: number }) {
  const wall = { ms: wallMs };
  const clock = new HybridClock(
    { peerId: self, wallMs: () => wall.ms },
    floor === undefined ? {} : { floor },
  );
  return { wall, clock };
}

describe('hybrid logical clock', () => {
  it('follows the wall clock, and counts within a millisecond', () => {
    const { wall, clock } = clockAt(1_000);
    assert.deepEqual(clock.now(), { wallMs: 1_000, counter: 0, peerId: self });
    assert.deepEqual(clock.now(), { wallMs: 1_000, counter: 1, peerId: self });
    wall.ms = 1_005;
    assert.deepEqual(clock.now(), { wallMs: 1_005, counter: 0, peerId: self });
  });

  it('H4: what is promised over a restart is above all stamps of the next seconds, and does not grow with restarts', () => {
    const begunMs = 1_000_000;
    let floor = { wallMs: 0, counter: 0 };
    for (let run = 0; run < 50; run += 1) {
      const { wall, clock } = clockAt(begunMs + run * 100, floor);
      floor = { wallMs: floorFor(clock.facts), counter: 0 };
      const given = Array.from({ length: 10 }, () => clock.now());
      wall.ms += 5_000;
      given.push(clock.now());
      for (const stamp of given) {
        assert.ok(stamp.wallMs < floor.wallMs);
        assert.ok(
          stamp.wallMs - begunMs <= AHEAD_LIMIT_MS,
          `run ${run} stamps ${stamp.wallMs - begunMs} ms ahead`,
        );
      }
    }
  });

  it('H4: a promise is kept where others are ahead, and is one that others would believe', () => {
    fc.assert(
      fc.property(fc.nat(AHEAD_LIMIT_MS), fc.nat(100_000), (aheadMs, lastAheadMs) => {
        const wallMs = 1_000_000;
        const facts = { wallMs, remoteMs: wallMs + aheadMs, lastMs: wallMs + Math.max(aheadMs, lastAheadMs) };
        const floorMs = floorFor(facts);
        assert.ok(floorMs > facts.lastMs);
        assert.ok(floorMs - wallMs <= Math.max(AHEAD_LIMIT_MS, facts.lastMs + 1 - wallMs));
      }),
    );
  });

  it('H1: stamps grow whatever the wall clock does within a minute and whatever was observed', () => {
    const step = fc.oneof(
      fc.record({ moveMs: fc.integer({ min: -5_000, max: 5_000 }) }),
      fc.record({
        observeAheadMs: fc.integer({ min: -AHEAD_LIMIT_MS, max: AHEAD_LIMIT_MS / 2 }),
        counter: fc.nat(65_535),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        const { wall, clock } = clockAt(1_000_000);
        let last: Hlc = clock.now();
        for (const each of steps) {
          if ('moveMs' in each) wall.ms += each.moveMs;
          else {
            const stamp = { wallMs: wall.ms + each.observeAheadMs, counter: each.counter, peerId: other };
            assert.equal(clock.observe(stamp), undefined);
            if (compareHlc(stamp, last) > 0) last = stamp;
          }
          const stamp = clock.now();
          assert.ok(compareHlc(stamp, last) > 0, `${JSON.stringify(stamp)} after ${JSON.stringify(last)}`);
          last = stamp;
        }
      }),
    );
  });

  it('H1: begins above what an earlier run may have given', () => {
    const { clock } = clockAt(1_000, { wallMs: 9_000, counter: 0 });
    assert.deepEqual(clock.now(), { wallMs: 9_000, counter: 1, peerId: self });
  });

  it('H1: borrows from the next millisecond when one is used up', () => {
    const { clock } = clockAt(1_000, { wallMs: 1_000, counter: 65_535 });
    assert.deepEqual(clock.now(), { wallMs: 1_001, counter: 0, peerId: self });
  });

  it('H2: says why it does not believe a clock that is more than a minute ahead, and stays as it was', () => {
    const { clock } = clockAt(1_000);
    const refusal = clock.observe({ wallMs: 1_001 + AHEAD_LIMIT_MS, counter: 0, peerId: other });
    assert.match(refusal ?? '', /its clock is 60001 ms ahead of ours/);
    assert.deepEqual(clock.now(), { wallMs: 1_000, counter: 0, peerId: self });
  });

  it('H3: does not follow its own wall clock into a future that nobody shares', () => {
    const { wall, clock } = clockAt(1_000_000);
    clock.observe({ wallMs: 1_000_000, counter: 7, peerId: other });
    wall.ms += 86_400_000;
    clock.now();
    wall.ms -= 86_400_000;
    assert.deepEqual(clock.now(), { wallMs: 1_000_000, counter: 8, peerId: self });
  });

  it('H3: keeps to the time of the others when the own wall clock falls back', () => {
    const { wall, clock } = clockAt(1_000_000);
    clock.observe({ wallMs: 1_000_000, counter: 0, peerId: other });
    wall.ms -= 600_000;
    assert.deepEqual(clock.now(), { wallMs: 1_000_000, counter: 1, peerId: self });
  });

  it('stamps are ordered totally, and their texts like they are', () => {
    const stamp: fc.Arbitrary<Hlc> = fc.record({
      wallMs: fc.oneof(fc.nat(20), fc.constantFrom(999, 1_000, 1_800_000_000_000)),
      counter: fc.constantFrom(0, 9, 10, 65_535),
      peerId: fc.constantFrom(self, other),
    });
    fc.assert(
      fc.property(stamp, stamp, (left, right) => {
        const [first, second] = [formatHlc(left), formatHlc(right)];
        const order = first < second ? -1 : first > second ? 1 : 0;
        assert.equal(Math.sign(compareHlc(left, right)), order);
        assert.equal(Math.sign(compareHlc(left, right)), -Math.sign(compareHlc(right, left)) + 0);
      }),
    );
  });
});
