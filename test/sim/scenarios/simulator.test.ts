import assert from 'node:assert/strict';
import { BUGS } from '../world/bugs.ts';
import type { Outcome } from '../world/outcome.ts';
import { simulate } from '../world/simulate.ts';

/** A seed that was seen to catch each planted bug, and how. */
const CAUGHT: Readonly<Record<string, { readonly seed: number; readonly outcome: Outcome; readonly law: RegExp }>> = {
  'ack-before-majority': { seed: 7, outcome: 'wrong', law: /replicas apply the same/ },
  'skip-sync': { seed: 10, outcome: 'wrong', law: /replicas apply the same/ },
  'ignore-fence': { seed: 11, outcome: 'wrong', law: /completes with stale token/ },
};

describe('the simulated mesh', function () {
  this.timeout(60_000);

  it('obeys the law under every fault, and finishes when they stop', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const { outcome, error } = await simulate(seed);
      assert.equal(outcome, 'ok', `seed ${seed}: ${error}`);
    }
  });

  it('has one history for one seed, and another for another', async () => {
    const [first, again, other] = [await simulate(7), await simulate(7), await simulate(8)];
    assert.equal(first.hash, again.hash);
    assert.notEqual(first.hash, other.hash);
  });

  it('has a recorded seed for every planted bug', () => {
    assert.deepEqual(Object.keys(CAUGHT).sort(), Object.keys(BUGS).sort());
  });

  for (const [bugName, { seed, outcome, law }] of Object.entries(CAUGHT)) {
    it(`catches ${bugName} with seed ${seed}`, async () => {
      const run = await simulate(seed, { bugName });
      assert.equal(run.outcome, outcome, String(run.error));
      assert.match(String(run.error), law);
    });
  }
});
