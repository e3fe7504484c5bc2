import assert from 'node:assert/strict';
import { LawBroken } from '../../../sim/raft/laws.ts';
import { LEASE_BUGS, livesByLease, TEMPTATIONS, type Temptation } from '../../../sim/raft/lease-life.ts';

const SEEDS = 8;

/** How each bug was seen to be caught, by the first seed. */
const CAUGHT: Readonly<Record<string, { temptation: Temptation; seed: number }>> = {
  'clock-beyond-its-bounds': { temptation: 'isolate', seed: 2 },
  'clock-stops-asleep': { temptation: 'sleep', seed: 1 },
  'forget-the-word': { temptation: 'restart-followers', seed: 3 },
};

describe('raft: lives by lease (R12)', () => {
  for (const temptation of TEMPTATIONS) {
    it(`${temptation}: no read is stale where clocks keep within their bound`, () => {
      let readCount = 0;
      for (let seed = 1; seed <= SEEDS; seed += 1) readCount += livesByLease(temptation, seed);
      assert.ok(readCount > SEEDS * 100, `only ${readCount} reads by lease`);
    });
  }

  it('every planted bug has a recorded seed', () => {
    assert.deepEqual(Object.keys(CAUGHT).sort(), Object.keys(LEASE_BUGS).sort());
  });

  for (const [name, { temptation, seed }] of Object.entries(CAUGHT)) {
    it(`catches ${name} with seed ${seed}`, () => {
      assert.throws(() => livesByLease(temptation, seed, LEASE_BUGS[name]), LawBroken);
    });
  }
});
