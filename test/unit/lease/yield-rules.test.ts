import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import type { MemberObservation } from '../../../src/lease/index.ts';
import { howToYield, wayOutOfStaying, type YieldInput } from '../../../src/lease/yield-rules.ts';

const ALL = [...'abcdef'] as unknown as PeerId[];
const self = 'a' as PeerId;

interface Drawn {
  readonly voters: readonly PeerId[];
  readonly outgoing: readonly PeerId[];
  readonly learners: readonly PeerId[];
  /** In good standing. */
  readonly members: readonly PeerId[];
  readonly keepers: readonly PeerId[];
  readonly inContact: readonly PeerId[];
  readonly caughtUp: readonly PeerId[];
}

const NOBODY: Drawn = {
  voters: [self],
  outgoing: [],
  learners: [],
  members: [self],
  keepers: [self],
  inContact: [],
  caughtUp: [],
};

const peers = (text: string) => text.split(' ') as PeerId[];

function inputOf(drawn: Partial<Drawn>): YieldInput {
  const { voters, outgoing, learners, members, keepers, inContact, caughtUp } = { ...NOBODY, ...drawn };
  const others = [...voters, ...learners].filter((peer) => peer !== self);
  const progress = others.map((peer, at) => {
    const seen = {
      matchIndex: at,
      nextIndex: at + 1,
      mode: 'replicate',
      isRecentlyActive: inContact.includes(peer),
    };
    return [peer, seen] as const;
  });
  const observed = members.map((peerId): MemberObservation => {
    const isConnected = peerId === self || inContact.includes(peerId);
    return { peerId, isEligible: true, isConnected, stateForMs: 60_000, zone: null };
  });
  const state = { configuration: { voters, outgoing, learners }, progress: new Map(progress) };
  return {
    self,
    state: state as unknown as YieldInput['state'],
    members: observed,
    keepers: new Set(keepers),
    caughtUp: new Set(caughtUp),
  };
}

describe('a leader that is to go', () => {
  it('hands over to the voter in contact that has most of the log', () => {
    const drawn = { voters: peers('a b c'), members: peers('a b c'), inContact: peers('b c') };
    assert.deepEqual(howToYield(inputOf(drawn)), { move: 'transfer', to: 'c' });
    assert.deepEqual(howToYield(inputOf({ ...drawn, inContact: peers('b') })), { move: 'transfer', to: 'b' });
  });

  it('passes over a voter that was let go itself and is still counted on', () => {
    const drawn = { voters: peers('a b c'), members: peers('a b'), inContact: peers('b c') };
    assert.deepEqual(howToYield(inputOf(drawn)), { move: 'transfer', to: 'b' });
  });

  it('gives its vote to a standby where it has the only one', () => {
    const drawn = {
      learners: peers('b c'),
      members: peers('a b c'),
      inContact: peers('b c'),
      caughtUp: peers('b'),
    };
    const change = { promote: ['b'], demote: ['a'] };
    assert.deepEqual(howToYield(inputOf(drawn)), { move: 'give-vote', to: 'b', change });
  });

  it('is taken out with the same step when it was let go already, by a standby that has the root key', () => {
    const drawn = {
      learners: peers('b c'),
      members: peers('b c'),
      keepers: peers('b'),
      inContact: peers('b c'),
      caughtUp: peers('b c'),
    };
    const change = { promote: ['b'], remove: ['a'] };
    assert.deepEqual(howToYield(inputOf(drawn)), { move: 'give-vote', to: 'b', change });
    assert.deepEqual(howToYield(inputOf({ ...drawn, keepers: [] })), { move: 'wait', isHopeless: true });
  });

  it('waits for a standby that has not caught up yet, and gives up where nobody is there', () => {
    const drawn = { learners: peers('b'), members: peers('a b'), inContact: peers('b') };
    assert.deepEqual(howToYield(inputOf(drawn)), { move: 'wait', isHopeless: false });
    assert.deepEqual(howToYield(inputOf({ ...drawn, inContact: [] })), { move: 'wait', isHopeless: true });
  });

  const observed = (peerId: string, isConnected: boolean, isEligible = true): MemberObservation => ({
    ...{ peerId: peerId as PeerId, isEligible, isConnected },
    ...{ stateForMs: 60_000, zone: null },
  });
  const stays: readonly (readonly [string, readonly MemberObservation[], string])[] = [
    [
      'the one other member is off',
      [observed('b', false)],
      'start the agent of b (aspen-agent up, there), and leave again once it is in contact; if it is gone for good: aspen-agent node revoke b, then leave, which ends the mesh',
    ],
    [
      'all others are off, one of them a worker',
      [observed('b', false), observed('c', false), observed('w', false, false)],
      'start the agent of b or c (aspen-agent up, there), and leave again once it is in contact; if they are gone for good: aspen-agent node revoke b, c and w, then leave, which ends the mesh',
    ],
    [
      'a worker is there, and needs the mesh',
      [observed('b', false), observed('w', true, false)],
      'start the agent of b (aspen-agent up, there), and leave again once it is in contact',
    ],
    [
      'only workers are there',
      [observed('w', true, false)],
      'let another voter join first (aspen-agent ticket create --role voter), and leave again then',
    ],
  ];
  for (const [why, others, says] of stays)
    it(`says what helps where nobody can go on: ${why}`, () => {
      assert.equal(wayOutOfStaying(self, [observed('a', true), ...others]), says);
    });

  it('K2 makes way only for members in contact that have the root key or can be given it, and never begins a second change', () => {
    const some = fc.subarray(ALL);
    const drawn = fc
      .record({
        voters: some,
        outgoing: some,
        learners: some,
        members: some,
        keepers: some,
        inContact: some,
        caughtUp: some,
      })
      .map(({ voters, learners, ...rest }) => ({
        ...rest,
        voters: [...new Set([self, ...voters])],
        learners: learners.filter((peer) => peer !== self && !voters.includes(peer)),
      }));
    fc.assert(
      fc.property(drawn, (view) => {
        const next = howToYield(inputOf(view));
        if (next.move === 'wait') return;
        const { to } = next;
        assert.notEqual(to, self);
        assert.ok(view.members.includes(to) && view.inContact.includes(to));
        assert.ok(view.keepers.includes(to) || view.keepers.includes(self));
        if (next.move === 'transfer') return assert.ok(view.voters.includes(to));
        assert.equal(view.outgoing.length, 0);
        assert.ok(view.learners.includes(to) && view.caughtUp.includes(to));
        const leaving = [...(next.change.demote ?? []), ...(next.change.remove ?? [])];
        assert.deepEqual(leaving, [self]);
      }),
    );
  });
});
