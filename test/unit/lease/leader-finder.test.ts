import assert from 'node:assert/strict';
import { AspenError, type LogIndex, type PeerId, SeededRandom, type Term } from '../../../src/base/index.ts';
import type { GroupStatus } from '../../../src/lease/index.ts';
import { LeaderFinder, type LeaderHint } from '../../../src/lease/leader-finder.ts';
import type { Messenger } from '../../../src/mesh/index.ts';
import { ManualClock } from './manual-clock.ts';

const peers = (text: string) => text.split(' ') as PeerId[];
const VOTERS = peers('a b c');
const STANDBYS = peers('d');
const ALL = peers('a b c d e f g h');
/** More than what others said is believed for. Unit: ms. */
const LATER_MS = 3_001;

const NOTHING_KNOWN = {
  role: 'spare',
  leader: null,
  term: 0 as Term,
  commitIndex: 0 as LogIndex,
  appliedIndex: 0 as LogIndex,
  voters: [],
  standbys: [],
  hasQuorum: false,
} satisfies GroupStatus;

/** A node that has no part in the group, linked with eight that answer as the test says. */
function ground() {
  const clock = new ManualClock();
  const answer: LeaderHint = {
    leader: 'a' as PeerId,
    term: 3 as Term,
    commitIndex: 10 as LogIndex,
    voters: VOTERS,
    standbys: STANDBYS,
  };
  const state = { linked: ALL, asked: [] as PeerId[], answerOf: (_peer: PeerId): unknown => answer };
  const messenger = {
    connected: () => state.linked,
    request: async (to: PeerId) => {
      state.asked.push(to);
      const said = state.answerOf(to);
      if (said === undefined) throw new AspenError('DEADLINE_EXCEEDED', 'silent');
      return said;
    },
  } as unknown as Messenger;
  const replica = { isMember: false, status: () => NOTHING_KNOWN };
  const finder = new LeaderFinder({ messenger, clock, replica, random: new SeededRandom(3) }, 'main');
  const keepUp = async (times = 1): Promise<PeerId[]> => {
    state.asked = [];
    for (let time = 0; time < times; time += 1) {
      await clock.advance(LATER_MS);
      await finder.refresh();
    }
    return state.asked;
  };
  return { finder, state, answer, keepUp };
}

describe('a node that keeps up with who leads (F1)', () => {
  it('asks several first, then always the same one that keeps the log, and now and then several again', async () => {
    const { keepUp, finder } = ground();
    assert.equal((await keepUp()).length, 5);
    assert.equal(finder.known(), 'a');
    const [teller, ...others] = await keepUp(9);
    assert.ok([...VOTERS, ...STANDBYS].includes(teller as PeerId));
    assert.deepEqual(new Set(others), new Set([teller]));
    assert.equal(others.length, 8);
  });

  it('does not ask again what it was told a moment ago', async () => {
    const { keepUp, finder, state } = ground();
    await keepUp();
    state.asked = [];
    await finder.refresh();
    assert.deepEqual(state.asked, []);
  });

  for (const [why, said] of [
    ['does not answer', undefined],
    ['knows of no leader', { leader: null, term: 3 }],
    ['knows an earlier term', { term: 2 }],
    ['knows less of the log', { commitIndex: 9 }],
  ] as const) {
    it(`asks several when the one ${why}`, async () => {
      const { keepUp, state, answer, finder } = ground();
      await keepUp();
      const [teller] = await keepUp();
      const bad = said === undefined ? undefined : { ...answer, ...said };
      state.answerOf = (peer) => (peer === teller ? bad : answer);
      assert.equal((await keepUp()).length, 6);
      assert.equal(finder.known(), 'a');
    });
  }

  it('asks another one when the link with the one it asked has ended', async () => {
    const { keepUp, state } = ground();
    await keepUp();
    const [teller] = await keepUp();
    state.linked = ALL.filter((peer) => peer !== teller);
    const asked = await keepUp();
    assert.equal(asked.length, 1);
    assert.notEqual(asked[0], teller);
  });

  it('takes no fault of its own for silence, whether it asks one or several', async () => {
    const { keepUp, state } = ground();
    const broken = () => {
      throw new TypeError('broken');
    };
    const { answerOf } = state;
    state.answerOf = broken;
    await assert.rejects(keepUp(), /broken/);
    state.answerOf = answerOf;
    await keepUp();
    state.answerOf = broken;
    await assert.rejects(keepUp(), /broken/);
  });

  it('asks several where it is linked with none that keeps the log', async () => {
    const { keepUp, state } = ground();
    await keepUp();
    state.linked = peers('e f g h');
    assert.equal((await keepUp()).length, 4);
  });
});
