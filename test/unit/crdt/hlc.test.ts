import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { floorAfter, NOTE_EVERY_MS, SET_BACK_LIMIT_MS } from '../../../src/crdt/hlc.ts';
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

  it('H1: a run begins above all stamps of the one before, though its wall clock was set back a little', () => {
    fc.assert(
      fc.property(
        fc.nat(NOTE_EVERY_MS),
        fc.nat(5_000),
        fc.nat(SET_BACK_LIMIT_MS),
        (sinceMs, offMs, backMs) => {
          const notedMs = 1_000_000;
          const { clock } = clockAt(notedMs + sinceMs);
          const last = clock.now();
          const wallMs = last.wallMs + offMs - backMs;
          const again = clockAt(wallMs, { wallMs: floorAfter(notedMs, wallMs), counter: 0 });
          assert.ok(compareHlc(again.clock.now(), last) > 0);
        },
      ),
    );
  });

  it('H4: where a run begins does not grow with restarts', () => {
    const begunMs = 1_000_000;
    let floor = { wallMs: 0, counter: 0 };
    for (let run = 0; run < 50; run += 1) {
      const { wall, clock } = clockAt(begunMs + run * 100, floor);
      const notedMs = clock.timeMs;
      const given = Array.from({ length: 10 }, () => clock.now());
      wall.ms += 5_000;
      given.push(clock.now());
      floor = { wallMs: floorAfter(notedMs, begunMs + (run + 1) * 100), counter: 0 };
      for (const { wallMs } of given) {
        assert.ok(wallMs < floor.wallMs);
        assert.ok(wallMs - begunMs <= 15_000, `run ${run} stamps ${wallMs - begunMs} ms ahead`);
      }
    }
  });

  it('H4: all that crash with clocks within 50 s, again and again and at any moment, are believed by those that are behind', () => {
    const offset = fc.nat(AHEAD_LIMIT_MS - SET_BACK_LIMIT_MS - 2_000);
    const step = fc.record({ node: fc.nat(2), offsetMs: offset, hears: fc.nat(2), isNoted: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let nowMs = 1_000_000;
        const nodes = Array.from({ length: 3 }, () => ({ ...clockAt(nowMs), notedMs: nowMs }));
        for (const { node: at, offsetMs, hears, isNoted } of steps) {
          nowMs += 100;
          const node = nodes[at] as (typeof nodes)[number];
          node.wall.ms = nowMs + offsetMs;
          node.clock.observe({ ...(nodes[hears] as typeof node).clock.now(), peerId: other });
          if (isNoted) node.notedMs = node.clock.timeMs;
          const { wallMs } = node.clock.now();
          assert.ok(wallMs - nowMs <= AHEAD_LIMIT_MS, `stamps ${wallMs - nowMs} ms ahead`);
          const floor = { wallMs: floorAfter(node.notedMs, node.wall.ms), counter: 0 };
          Object.assign(node, clockAt(node.wall.ms, floor));
          node.notedMs = node.clock.timeMs;
        }
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
