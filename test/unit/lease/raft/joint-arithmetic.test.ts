import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogIndex, PeerId, Term } from '../../../../src/base/brand.ts';
import { commitByMajority } from '../../../../src/lease/raft/commit-rule.ts';
import { changed, isJoint, isVoter, left, membersOf } from '../../../../src/lease/raft/membership.ts';
import { agreedValue, isQuorum, voteOutcome } from '../../../../src/lease/raft/quorum.ts';
import type { Configuration } from '../../../../src/lease/raft/types.ts';
import { peers } from './kit.ts';

const EVERYBODY = peers('a', 'b', 'c', 'd', 'e', 'f');

/** Joint as leaders make it: those who leave may be learners already, while the outgoing half still counts them. */
const someJoint: fc.Arbitrary<Configuration> = fc
  .record({
    voters: fc.subarray(EVERYBODY, { minLength: 1 }),
    outgoing: fc.subarray(EVERYBODY),
    learners: fc.subarray(EVERYBODY),
  })
  .map((c) => ({ ...c, learners: c.learners.filter((peer) => !c.voters.includes(peer)) }));

const someValues = fc.array(fc.nat(9), { minLength: EVERYBODY.length, maxLength: EVERYBODY.length });
const valueIn = (values: readonly number[]) => (peer: PeerId) => values[EVERYBODY.indexOf(peer)] ?? 0;

/** Every group that could be. */
const GROUPS: readonly PeerId[][] = Array.from({ length: 2 ** EVERYBODY.length }, (_, bits) =>
  EVERYBODY.filter((_peer, at) => (bits >> at) % 2 === 1),
);

const outnumbers = (list: readonly PeerId[], group: readonly PeerId[]): boolean =>
  list.filter((peer) => group.includes(peer)).length > list.filter((peer) => !group.includes(peer)).length;

/** The slow and obvious way: all groups that may decide. */
function quorumsOf({ voters, outgoing }: Configuration): PeerId[][] {
  return GROUPS.filter(
    (group) => outnumbers(voters, group) && (outgoing.length === 0 || outnumbers(outgoing, group)),
  );
}

describe('raft: joint majorities with learners, against every group that could be', () => {
  it('a group is a quorum when it is one of them', () => {
    fc.assert(
      fc.property(someJoint, fc.subarray(EVERYBODY), (configuration, group) => {
        const expected = quorumsOf(configuration).some((quorum) => quorum.join() === group.join());
        assert.equal(
          isQuorum(configuration, (peer) => group.includes(peer)),
          expected,
        );
      }),
    );
  });

  it('the agreed value is what the best of them has reached', () => {
    fc.assert(
      fc.property(someJoint, someValues, (configuration, values) => {
        const reached = quorumsOf(configuration).map((quorum) => Math.min(...quorum.map(valueIn(values))));
        assert.equal(agreedValue(configuration, valueIn(values)), Math.max(0, ...reached));
      }),
    );
  });

  it('an election is open as long as those who have not answered could still decide it', () => {
    const someVotes = fc.array(fc.constantFrom(true, false, undefined), {
      minLength: EVERYBODY.length,
      maxLength: EVERYBODY.length,
    });
    fc.assert(
      fc.property(someJoint, someVotes, (configuration, votes) => {
        const quorums = quorumsOf(configuration);
        const voteOf = (peer: PeerId) => votes[EVERYBODY.indexOf(peer)];
        const isWon = quorums.some((quorum) => quorum.every((peer) => voteOf(peer) === true));
        const isOpen = quorums.some((quorum) => quorum.every((peer) => voteOf(peer) !== false));
        assert.equal(voteOutcome(configuration, voteOf), isWon ? 'won' : isOpen ? 'pending' : 'lost');
      }),
    );
  });

  it('what learners hold and whom they would vote for changes nothing', () => {
    fc.assert(
      fc.property(someJoint, someValues, fc.nat(9), (configuration, values, other) => {
        const of = valueIn(values);
        const changedOf = (peer: PeerId) => (isVoter(configuration, peer) ? of(peer) : other);
        assert.equal(agreedValue(configuration, changedOf), agreedValue(configuration, of));
        const vote = (of: (peer: PeerId) => number) => voteOutcome(configuration, (peer) => of(peer) > 4);
        assert.equal(vote(changedOf), vote(of));
      }),
    );
  });

  it('a leader commits the highest entry of its term that one of them holds, and nothing else (R7)', () => {
    const someTerms = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 9, maxLength: 9 });
    fc.assert(
      fc.property(someJoint, someValues, someTerms, fc.nat(5), (configuration, values, drawn, commit) => {
        const terms = [...drawn].sort();
        const term = terms.at(-1) as number;
        const termAt = (index: number) => (index === 0 ? 0 : terms[index - 1]) as Term | undefined;
        const held = quorumsOf(configuration).map((quorum) => Math.min(...quorum.map(valueIn(values))));
        const own = held.filter((index) => index > commit && termAt(index) === term);
        const matchOf = valueIn(values);
        const input = { configuration, term: term as Term, commitIndex: commit as LogIndex, matchOf, termAt };
        assert.equal(commitByMajority(input), Math.max(commit, ...own));
      }),
    );
  });
});

describe('raft: a history of changes', () => {
  const someSteps = fc.array(
    fc.array(fc.constantFrom('addLearners', 'promote', 'demote', 'remove', 'none', 'none'), {
      minLength: EVERYBODY.length,
      maxLength: EVERYBODY.length,
    }),
    { minLength: 1, maxLength: 6 },
  );

  /** @returns each configuration that was in force, one after the other. */
  function historyOf(steps: readonly (readonly string[])[]): Configuration[] {
    const history: Configuration[] = [{ voters: peers('a'), outgoing: [], learners: [] }];
    for (const kinds of steps) {
      const current = history.at(-1) as Configuration;
      const named = (kind: string) => EVERYBODY.filter((_, at) => kinds[at] === kind);
      const remaining = EVERYBODY.filter((peer, at) =>
        current.voters.includes(peer)
          ? !['demote', 'remove'].includes(kinds[at] as string)
          : kinds[at] === 'promote',
      );
      if (remaining.length === 0) continue; // refused
      const next = changed(current, {
        addLearners: named('addLearners'),
        promote: named('promote'),
        demote: named('demote'),
        remove: named('remove'),
      });
      if (next === undefined) continue;
      history.push(next);
      if (isJoint(next)) history.push(left(next));
    }
    return history;
  }

  it('any group that may decide in one shares a voter with any that may decide in the next', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const history = historyOf(steps);
        for (const [at, next] of history.slice(1).entries()) {
          const before = history[at] as Configuration;
          for (const group of quorumsOf(before))
            assert.ok(
              !isQuorum(next, (peer) => !group.includes(peer)),
              `${group} of ${JSON.stringify(before)}`,
            );
        }
      }),
    );
  });

  it('nobody is voter and learner at once, lists are sorted and name each once, outgoing are those who voted before', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const history = historyOf(steps);
        for (const [at, configuration] of history.entries()) {
          const { voters, outgoing, learners } = configuration;
          for (const list of [voters, outgoing, learners, membersOf(configuration)])
            assert.deepEqual(list, [...new Set(list)].sort());
          assert.deepEqual(
            learners.filter((peer) => voters.includes(peer)),
            [],
          );
          if (isJoint(configuration)) assert.deepEqual(outgoing, history[at - 1]?.voters);
        }
      }),
    );
  });
});
