import assert from 'node:assert/strict';
import fc from 'fast-check';
import { nextSlotCount } from '../../../src/jobs/pool-size.ts';

const bounds = { least: 4, most: 32 };

describe('the size of a pool (A7)', () => {
  for (const [what, slotCount, taken, backlog, next] of [
    ['grows by half while all of it is taken and more than that waits', 8, [8, 8, 8], 100, 12],
    ['grows by no more than waits', 8, [8, 8], 2, 10],
    ['stays where all of it is taken and nothing waits', 8, [8, 8], 0, 8],
    ['grows by half while all of it is taken where nobody says what waits', 8, [8, 8, 8], null, 12],
    ['grows by one at least', 1, [1, 1], 1, 4],
    ['grows no further than its owner lets it', 30, [30, 31], 100, 32],
    ['stays while some of it was free now and then', 8, [8, 7, 8], 9, 8],
    ['shrinks by a quarter while half of it is free and nothing waits', 16, [0, 8, 3], 0, 12],
    ['stays while half of it is free and something waits', 16, [0, 8, 3], 1, 16],
    ['shrinks no further than to what was taken', 5, [2, 2], 0, 4],
    ['shrinks no further than its owner lets it', 5, [0, 0], null, 4],
    ['stays where nobody looked', 8, [], 0, 8],
  ] as const)
    it(what, () => assert.equal(nextSlotCount({ slotCount, taken, backlog }, bounds), next));

  it('is the same for ever where the bounds are one number', () => {
    for (const taken of [[0], [8], [100]])
      assert.equal(nextSlotCount({ slotCount: 8, taken, backlog: 9 }, { least: 8, most: 8 }), 8);
  });

  it('stays within its bounds and comes to rest, whatever the load', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(64), (start, load) => {
        let slotCount = start;
        const seen: number[] = [];
        for (let round = 0; round < 30; round += 1) {
          const looks = { taken: [Math.min(load, slotCount)], backlog: Math.max(0, load - slotCount) };
          slotCount = nextSlotCount({ slotCount, ...looks }, bounds);
          assert.ok(slotCount >= bounds.least && slotCount <= bounds.most);
          seen.push(slotCount);
        }
        assert.equal(new Set(seen.slice(-5)).size, 1, `rests: ${seen.join(' ')}`);
        assert.ok(slotCount >= Math.min(load, bounds.most), 'enough for the load');
      }),
    );
  });
});
