import assert from 'node:assert/strict';
import { BUGS } from '../world/bugs.ts';
import { simulate } from '../world/simulate.ts';

/** Seeds that were seen to catch each planted bug. Each change of the agent changes what happens under a seed, so there are some to spare. */
const CAUGHT: Readonly<Record<string, { readonly seeds: readonly number[]; readonly law: RegExp }>> = {
  'ack-before-majority': { seeds: [1, 2, 3, 5, 7], law: /replicas apply the same|not known any more/ },
  'skip-sync': { seeds: [1, 2, 3, 4, 5, 8, 10], law: /replicas apply the same|not known any more/ },
  'forget-the-held': { seeds: [2, 3, 5, 8], law: /attempts never overlap/ },
  'begin-twice': { seeds: [8, 9, 10], law: /begins with token/ },
  'count-retry-twice': { seeds: [2, 3, 4, 5, 1], law: /counts \d+ failures of/ },
  'stale-index-on-cancel': { seeds: [2, 3, 5, 6, 7, 8, 9], law: /differ from a rebuild/ },
  'release-on-failure': {
    seeds: [4, 8, 10, 12, 1, 9, 16, 18, 2, 5, 11],
    law: /begins, but its parent|differ from a rebuild/,
  },
  'release-too-soon': { seeds: [1, 2, 3, 4], law: /before it is due|ends by its deadline before/ },
  'purge-too-soon': { seeds: [1, 2, 3, 4], law: /is removed \d+ ms too soon/ },
  'forget-rates': { seeds: [1, 2, 3, 4, 5, 8, 9], law: /jobs of (queue|type) \S+ start within/ },
  'free-keys-at-the-end': { seeds: [1, 2, 3, 4, 5], law: /key \S+ names/ },
  'forget-who-asked': { seeds: [3, 4, 5, 6, 1], law: /no delivery tells of the end/ },
  'limit-one-too-many': { seeds: [5, 6, 10, 11, 17, 18, 21, 23], law: /runs: \S+ has \d+, not/ },
  'ignore-fence': {
    seeds: [3, 8, 24, 14, 17, 23, 18, 21, 30],
    law: /completes with stale token|attempts never overlap/,
  },
  'snapshot-without-memory': { seeds: [69, 80, 120, 66, 56], law: /replicas apply the same/ },
  'snapshot-without-keys': {
    seeds: [28, 31, 33, 36, 56],
    law: /key \S+ names|replicas apply the same/,
  },
  'renew-after-expiry': { seeds: [5, 8, 17, 22, 24], law: /locks exclude/ },
  'clock-beyond-its-bounds': {
    seeds: [13, 15, 18, 22, 29, 39, 63],
    law: /attempts never overlap|locks exclude/,
  },
  'renewals-of-a-deposed-leader': { seeds: [18, 36, 43], law: /attempts never overlap/ },
  'go-on-after-sleep': { seeds: [2, 5, 8, 21, 22, 25, 28], law: /sleepers complete nothing/ },
  'apply-twice-after-snapshot': { seeds: [10, 12, 16, 19], law: /replicas apply the same/ },
  'never-refuted': { seeds: [17, 28, 31], law: /as gone since/ },
  'watch-skips-a-revision': { seeds: [4, 5, 6, 7], law: /watches leave nothing out/ },
};

/** Runs end by virtual limits of their own; this is for one that spins. A run that mocha gives up goes on beside the next. Unit: ms. */
const TEST_LIMIT_MS = 600_000;

describe('the simulated mesh', function () {
  this.timeout(TEST_LIMIT_MS);

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

  for (const [bugName, { seeds, law }] of Object.entries(CAUGHT)) {
    it(`catches ${bugName}`, async () => {
      for (const seed of seeds) {
        const { outcome, error } = await simulate(seed, { bugName });
        if (outcome === 'wrong' && law.test(String(error))) return;
      }
      assert.fail(`none of the seeds ${seeds.join(', ')} catches it`);
    });
  }
});
