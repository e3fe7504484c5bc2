import assert from 'node:assert/strict';
import type { LogIndex, PeerId, Term } from '../../../src/base/index.ts';
import type { RaftState } from '../../../src/lease/raft/index.ts';
import { SecondDisk } from '../../../src/lease/second-disk.ts';
import { ManualClock } from './manual-clock.ts';

const [self, standby, other] = ['a', 'b', 'c'] as unknown as [PeerId, PeerId, PeerId];

function leaderOf(voters: readonly PeerId[]) {
  const clock = new ManualClock();
  let matchIndex = 0;
  let isRecentlyActive = true;
  const state = (): RaftState => ({
    role: 'leader',
    term: 1 as Term,
    leader: self,
    commitIndex: 9 as LogIndex,
    lastIndex: 9 as LogIndex,
    configuration: { voters, outgoing: [], learners: [standby] },
    hasQuorum: true,
    transferee: null,
    leaseUntilMs: undefined,
    progress: new Map([
      [
        standby,
        {
          matchIndex: matchIndex as LogIndex,
          nextIndex: 9 as LogIndex,
          mode: 'replicate' as const,
          isRecentlyActive,
        },
      ],
    ]),
  });
  const disk = new SecondDisk(self, clock, state);
  const said: number[] = [];
  return {
    clock,
    disk,
    said,
    hold: (index: number) => disk.hold(index as LogIndex, () => said.push(index)),
    match: (index: number) => {
      matchIndex = index;
      disk.advance();
    },
    lose: () => {
      isRecentlyActive = false;
    },
  };
}

describe('an acknowledgment of a single voter', () => {
  it('D2: waits for the disk of a standby, in the order of the log', () => {
    const { hold, match, said } = leaderOf([self]);
    hold(1);
    hold(2);
    assert.deepEqual(said, []);
    match(1);
    assert.deepEqual(said, [1]);
    match(5);
    assert.deepEqual(said, [1, 2]);
    hold(5);
    assert.deepEqual(said, [1, 2, 5]);
  });

  it('D1: waits a quarter of a second at most, and not at all with other voters or without a standby', async () => {
    const alone = leaderOf([self]);
    alone.hold(1);
    await alone.clock.advance(249);
    assert.deepEqual(alone.said, []);
    await alone.clock.advance(1);
    assert.deepEqual(alone.said, [1]);
    const three = leaderOf([self, standby, other]);
    three.hold(1);
    assert.deepEqual(three.said, [1]);
    const left = leaderOf([self]);
    left.lose();
    left.hold(1);
    assert.deepEqual(left.said, [1]);
  });

  it('D3: does not wait again for a standby that kept it waiting, until that has caught up', async () => {
    const { hold, match, said, clock } = leaderOf([self]);
    hold(1);
    hold(2);
    await clock.advance(250);
    assert.deepEqual(said, [1, 2]);
    hold(3);
    assert.deepEqual(said, [1, 2, 3]);
    match(2);
    hold(4);
    assert.deepEqual(said, [1, 2, 3], 'it is back');
    match(4);
    assert.deepEqual(said, [1, 2, 3, 4]);
  });

  it('is given at once when the leadership ends: it is agreed', () => {
    const { hold, disk, said } = leaderOf([self]);
    hold(1);
    disk[Symbol.dispose]();
    assert.deepEqual(said, [1]);
  });
});
