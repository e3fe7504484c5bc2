import assert from 'node:assert/strict';
import { BUGS } from '../../../sim/raft/bugs.ts';
import { type Outcome, simulate } from '../../../sim/raft/simulate.ts';

const SEEDS = 40;
const SEEDS_A_TEST = 5;

/** The first seed that was seen to catch each planted bug, and how. */
const CAUGHT: Readonly<Record<string, { seed: number; outcome: Outcome }>> = {
  'ack-before-majority': { seed: 7, outcome: 'wrong' },
  'skip-sync': { seed: 1, outcome: 'wrong' },
  'send-before-persist': { seed: 36, outcome: 'wrong' },
  'forget-vote': { seed: 34, outcome: 'wrong' },
  'commit-older-term-by-counting': { seed: 1676, outcome: 'wrong' },
  'one-majority-while-joint': { seed: 716, outcome: 'wrong' },
  'read-without-round': { seed: 1, outcome: 'wrong' },
  'install-blindly': { seed: 41, outcome: 'crashed' },
};

describe('raft: the simulator', () => {
  for (let first = 1; first <= SEEDS; first += SEEDS_A_TEST) {
    it(`the core obeys the law under every fault, and finishes when they stop: seeds from ${first}`, () => {
      for (let seed = first; seed < first + SEEDS_A_TEST; seed += 1) {
        const { outcome, error } = simulate(seed);
        assert.equal(outcome, 'ok', `seed ${seed}: ${error}`);
      }
    });
  }

  it('the same seed makes the same history, another seed another', () => {
    assert.equal(simulate(7).hash, simulate(7).hash);
    assert.notEqual(simulate(7).hash, simulate(8).hash);
  });

  it('every planted bug has a recorded seed', () => {
    assert.deepEqual(Object.keys(CAUGHT).sort(), Object.keys(BUGS).sort());
  });

  for (const [bugName, { seed, outcome }] of Object.entries(CAUGHT)) {
    it(`catches ${bugName} with seed ${seed}`, () =>
      assert.equal(simulate(seed, { bugName }).outcome, outcome));
  }
});
