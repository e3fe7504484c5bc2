import assert from 'node:assert/strict';
import type { Message } from '../../../../src/lease/raft/index.ts';
import { CUTS, type CutName, healAfter } from '../../../sim/raft/healing.ts';

const SEEDS = 15;

/** @returns the first seed for which the claim does not hold, with what was seen. */
function findCounterexample(cut: CutName, holds: (of: ReturnType<typeof healAfter>) => boolean) {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const seen = healAfter(cut, seed);
    if (!holds(seen)) return { seed, ...seen };
  }
  return undefined;
}

describe('raft: what a cut costs (R13)', () => {
  for (const cut of Object.keys(CUTS) as CutName[]) {
    const isOfLeader = cut.startsWith('the leader is');
    it(`${cut}: ${isOfLeader ? 'one election' : 'no election, no term'}, and none more when it heals`, () => {
      const found = findCounterexample(cut, ({ elections, terms, isSettled }) => {
        const isCheap = isOfLeader
          ? elections.during + elections.after <= 1
          : elections.during + elections.after + terms.during + terms.after === 0;
        return isCheap && isSettled;
      });
      assert.equal(found, undefined);
    });
  }

  it('followers that are not loyal to a leader they hear let a half cut-off one unseat it, which the observer sees', () => {
    const bug = {
      distortMessage: (message: Message): Message =>
        message.type === 'preVote' || message.type === 'vote' ? { ...message, isTransfer: true } : message,
    };
    const seeds = Array.from({ length: SEEDS }, (_, at) => at + 1);
    const cut = 'a follower and the leader do not reach each other';
    assert.ok(seeds.some((seed) => healAfter(cut, seed, bug).elections.during > 0));
  });
});
