import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../../src/base/brand.ts';
import { changed, left } from '../../../../src/lease/raft/membership.ts';
import { agreedValue, isQuorum, voteOutcome } from '../../../../src/lease/raft/quorum.ts';
import type { Configuration } from '../../../../src/lease/raft/types.ts';
import { peers, voters } from './kit.ts';

const EVERYBODY = peers('a', 'b', 'c', 'd', 'e', 'f', 'g');
const somePeers = fc.subarray(EVERYBODY);
const someVoters = fc.subarray(EVERYBODY, { minLength: 1 });
const someConfiguration: fc.Arbitrary<Configuration> = fc
  .record({ voters: someVoters, outgoing: somePeers, learners: somePeers })
  .map((c) => ({ ...c, learners: c.learners.filter((peer) => !c.voters.includes(peer)) }));
const someValues = fc.dictionary(fc.constantFrom(...EVERYBODY), fc.nat(20));

/** Counts heads, the slow and obvious way. */
function hasMajority(list: readonly PeerId[], isIn: (peer: PeerId) => boolean): boolean {
  let inside = 0;
  for (const peer of list) inside += isIn(peer) ? 1 : 0;
  return inside * 2 > list.length;
}

function isNaiveQuorum(c: Configuration, isIn: (peer: PeerId) => boolean): boolean {
  return hasMajority(c.voters, isIn) && (c.outgoing.length === 0 || hasMajority(c.outgoing, isIn));
}

describe('raft: majorities', () => {
  it('the agreed value is the highest that every majority has reached', () => {
    fc.assert(
      fc.property(someConfiguration, someValues, (configuration, values) => {
        const of = (peer: PeerId) => values[peer] ?? 0;
        let expected = 0;
        for (let value = 1; value <= 20; value += 1) {
          if (isNaiveQuorum(configuration, (peer) => of(peer) >= value)) expected = value;
        }
        assert.equal(agreedValue(configuration, of), expected);
      }),
    );
  });

  it('an election is won with every majority, lost when one is out of reach, else open', () => {
    fc.assert(
      fc.property(someConfiguration, somePeers, somePeers, (configuration, yes, no) => {
        const voteOf = (peer: PeerId) => (yes.includes(peer) ? true : no.includes(peer) ? false : undefined);
        const isWon = isNaiveQuorum(configuration, (peer) => voteOf(peer) === true);
        const isOpen = isNaiveQuorum(configuration, (peer) => voteOf(peer) !== false);
        assert.equal(voteOutcome(configuration, voteOf), isWon ? 'won' : isOpen ? 'pending' : 'lost');
      }),
    );
  });

  it('without voters nobody agrees on anything', () => {
    const nobody = { voters: [], outgoing: [], learners: EVERYBODY };
    assert.equal(
      agreedValue(nobody, () => 9),
      0,
    );
    assert.equal(
      isQuorum(nobody, () => true),
      false,
    );
  });
});

const someChange = fc.array(fc.constantFrom('addLearners', 'promote', 'demote', 'remove', 'none'), {
  minLength: EVERYBODY.length,
  maxLength: EVERYBODY.length,
});

function changeOf(kinds: readonly string[]) {
  const named = (kind: string) => EVERYBODY.filter((_, at) => kinds[at] === kind);
  return {
    addLearners: named('addLearners'),
    promote: named('promote'),
    demote: named('demote'),
    remove: named('remove'),
  };
}

type Standing = 'voter' | 'learner' | 'none';

/** What becomes of one peer: a table, where the code walks sets. */
const MOVES: Readonly<Record<string, Readonly<Record<Standing, Standing>>>> = {
  addLearners: { voter: 'voter', learner: 'learner', none: 'learner' },
  promote: { voter: 'voter', learner: 'voter', none: 'voter' },
  demote: { voter: 'learner', learner: 'learner', none: 'none' },
  remove: { voter: 'none', learner: 'none', none: 'none' },
  none: { voter: 'voter', learner: 'learner', none: 'none' },
};

describe('raft: membership', () => {
  const simple = someConfiguration.map((c) => ({ ...c, outgoing: [] }));

  it('every peer ends where the table says', () => {
    fc.assert(
      fc.property(simple, someChange, (current, kinds) => {
        const standing = (c: Configuration, peer: PeerId): Standing =>
          c.voters.includes(peer) ? 'voter' : c.learners.includes(peer) ? 'learner' : 'none';
        const expected = EVERYBODY.map((peer, at) => MOVES[kinds[at] as string]?.[standing(current, peer)]);
        if (!expected.includes('voter')) {
          assert.throws(() => changed(current, changeOf(kinds)), /at least 1 voter/);
          return;
        }
        const next = changed(current, changeOf(kinds)) ?? current;
        assert.deepEqual(
          EVERYBODY.map((peer) => standing(next, peer)),
          expected,
        );
      }),
    );
  });

  it('a quorum before and a quorum after always share a voter', () => {
    fc.assert(
      fc.property(simple, someChange, somePeers, (current, kinds, group) => {
        if (changeOf(kinds).promote.length === 0) return;
        const next = changed(current, changeOf(kinds));
        if (next === undefined) return;
        const isIn = (peer: PeerId) => group.includes(peer);
        const isOut = (peer: PeerId) => !group.includes(peer);
        assert.ok(!(isQuorum(current, isIn) && isQuorum(next, isOut)));
        assert.ok(!(isQuorum(next, isIn) && isQuorum(left(next), isOut)));
      }),
      { numRuns: 500 },
    );
  });

  it('one vote changes simply, two need a joint configuration', () => {
    assert.deepEqual(changed(voters('a', 'b', 'c'), { promote: peers('d') }), voters('a', 'b', 'c', 'd'));
    assert.deepEqual(changed(voters('a', 'b', 'c'), { promote: peers('d'), remove: peers('a') }), {
      ...voters('b', 'c', 'd'),
      outgoing: peers('a', 'b', 'c'),
    });
  });

  it('a change that names a peer twice is refused', () => {
    assert.throws(
      () => changed(voters('a'), { promote: peers('b'), remove: peers('b') }),
      /once, got b twice/,
    );
  });
});
