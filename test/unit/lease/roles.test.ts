import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { decideRoles, type MemberObservation, type RolesInput } from '../../../src/lease/index.ts';
import type { Configuration, ConfigurationChange } from '../../../src/lease/raft/index.ts';
import { byPreference } from '../../../src/lease/role-preference.ts';

const LONG_MS = 600_000;
const GONE_MS = 31_000;

const peers = (text: string) => (text === '' ? [] : text.split(' ')) as PeerId[];

/** `a` is there, `-a` is away since long, `~a` is away since a moment, `+a` came a moment ago, `!a` may not vote. */
function members(text: string, zones: Record<string, string> = {}): MemberObservation[] {
  return peers(text).map((word) => {
    const mark = /^[-~+!]/.exec(word)?.[0] ?? '';
    const peerId = word.slice(mark.length) as PeerId;
    return {
      peerId,
      isEligible: mark !== '!',
      isConnected: mark !== '-' && mark !== '~',
      stateForMs: mark === '-' ? GONE_MS : mark === '~' || mark === '+' ? 500 : LONG_MS,
      zone: zones[peerId] ?? null,
    };
  });
}

interface Case {
  readonly why: string;
  readonly members: string;
  readonly voters: string;
  readonly learners?: string;
  readonly caughtUp?: string;
  readonly change: Record<string, string> | null;
}

const cases: readonly Case[] = [
  { why: 'alone there is nothing to do', members: 'a', voters: 'a', change: null },
  {
    why: 'a second member stands by: two voters would be worse than one',
    members: 'a b',
    voters: 'a',
    change: { addLearners: 'b' },
  },
  {
    why: 'with two members one vote is enough',
    members: 'a b',
    voters: 'a',
    learners: 'b',
    caughtUp: 'b',
    change: null,
  },
  { why: 'a newcomer is waited for until it has settled', members: 'a +b', voters: 'a', change: null },
  {
    why: 'the third makes three voters possible, learners first',
    members: 'a b c',
    voters: 'a',
    learners: 'b',
    caughtUp: 'b',
    change: { addLearners: 'c' },
  },
  {
    why: 'one learner that has not caught up holds the step to three back: never two voters',
    members: 'a b c',
    voters: 'a',
    learners: 'b c',
    caughtUp: 'b',
    change: null,
  },
  {
    why: 'both become voters in one step',
    members: 'a b c',
    voters: 'a',
    learners: 'b c',
    caughtUp: 'b c',
    change: { promote: 'b c' },
  },
  {
    why: 'further members stand by',
    members: 'a b c d e',
    voters: 'a b c',
    change: { addLearners: 'd e' },
  },
  {
    why: 'no more than three stand by',
    members: 'a b c d e f g',
    voters: 'a b c',
    learners: 'd e f',
    caughtUp: 'd e f',
    change: null,
  },
  {
    why: 'a voter that blinks keeps its vote',
    members: 'a b ~c d',
    voters: 'a b c',
    learners: 'd',
    caughtUp: 'd',
    change: null,
  },
  {
    why: 'a voter away too long gives its place to a standby',
    members: 'a b -c d',
    voters: 'a b c',
    learners: 'd',
    caughtUp: 'd',
    change: { promote: 'd', remove: 'c' },
  },
  {
    why: 'without a successor an absent voter keeps its vote',
    members: 'a b -c',
    voters: 'a b c',
    change: null,
  },
  {
    why: 'a successor that has not caught up does not take over yet',
    members: 'a b -c d',
    voters: 'a b c',
    learners: 'd',
    change: null,
  },
  {
    why: 'who left the mesh loses its vote; of two that stay one keeps it',
    members: 'a b',
    voters: 'a b c',
    change: { remove: 'c', demote: 'b' },
  },
  {
    why: 'who may no longer vote is replaced in the same step',
    members: 'a b !c d',
    voters: 'a b c',
    learners: 'd',
    caughtUp: 'd',
    change: { remove: 'c', promote: 'd' },
  },
  {
    why: 'a standby that left is forgotten',
    members: 'a b c',
    voters: 'a b c',
    learners: 'd',
    change: { remove: 'd' },
  },
  {
    why: 'a standby away too long gives its place to another',
    members: 'a b c -d -e -f g',
    voters: 'a b c',
    learners: 'd e f',
    change: { addLearners: 'g', remove: 'd' },
  },
  {
    why: 'nothing is taken out while the majority that would have to agree is away',
    members: 'a -b -c',
    voters: 'a b c',
    change: null,
  },
];

function decide(each: Omit<Case, 'why' | 'change'>, zones: Record<string, string> = {}) {
  const configuration = { voters: peers(each.voters), outgoing: [], learners: peers(each.learners ?? '') };
  const caughtUp = new Set(peers(each.caughtUp ?? ''));
  return decideRoles({ self: 'a' as PeerId, members: members(each.members, zones), configuration, caughtUp });
}

describe('who votes', () => {
  for (const each of cases) {
    it(each.why, () => {
      const change = decide(each);
      const told =
        change && Object.fromEntries(Object.entries(change).map(([how, who]) => [how, who.join(' ')]));
      assert.deepEqual(told, each.change);
    });
  }

  it('a failure domain without a voter comes first', () => {
    const each = { members: 'a b -c d e', voters: 'a b c', learners: 'd e', caughtUp: 'd e' };
    const change = decide(each, { a: 'x', b: 'y', c: 'z', d: 'x', e: 'z2' });
    assert.deepEqual(change, { promote: ['e'], remove: ['c'] });
  });

  it('in a joint configuration nothing is decided', () => {
    const configuration = { voters: peers('a b c'), outgoing: peers('a'), learners: [] };
    assert.equal(
      decideRoles({ self: 'a' as PeerId, members: members('a b c d'), configuration, caughtUp: new Set() }),
      null,
    );
  });

  it('never leaves a majority of the new voters away, never promotes a stranger, never removes the leader', () => {
    fc.assert(
      fc.property(anyView, (input) => {
        const change = decideRoles(input);
        if (change === null) return;
        const after = applied(input.configuration, change);
        const isThere = (peer: PeerId) =>
          peer === input.self ||
          input.members.some(({ peerId, isConnected }) => peerId === peer && isConnected);
        assert.ok(after.voters.includes(input.self));
        for (const peer of change.promote ?? []) {
          assert.ok(input.configuration.learners.includes(peer) && input.caughtUp.has(peer));
        }
        if (change.promote || change.demote || after.voters.length !== input.configuration.voters.length) {
          assert.ok(after.voters.filter(isThere).length > after.voters.length / 2);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('comes to rest: the same view does not ask for changes for ever', () => {
    fc.assert(
      fc.property(anyView, (input) => {
        let { configuration } = input;
        for (let step = 0; step < 12; step += 1) {
          const change = decideRoles({ ...input, configuration, caughtUp: new Set(configuration.learners) });
          if (change === null) return;
          configuration = applied(configuration, change);
        }
        assert.fail('still changing after 12 steps');
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('who comes first among candidates', () => {
  const at = (peerId: string, traits: Partial<MemberObservation>): MemberObservation => ({
    peerId: peerId as PeerId,
    isEligible: true,
    isConnected: true,
    stateForMs: LONG_MS,
    zone: null,
    ...traits,
  });
  const order = (...candidates: readonly MemberObservation[]) => {
    const known = new Map(candidates.map((member) => [member.peerId, member]));
    return byPreference([...known.keys()], known, new Set()).join(' ');
  };

  it('mains power before hours of running, those before fewer starts, those before a longer link', () => {
    const hour = 3_600_000;
    assert.equal(order(at('a', { isOnBattery: true, upForMs: 90 * hour }), at('b', {})), 'b a');
    assert.equal(order(at('a', { upForMs: hour }), at('b', { upForMs: 5 * hour })), 'b a');
    assert.equal(
      order(at('a', { upForMs: 30 * hour, startCount: 9 }), at('b', { upForMs: 90 * hour, startCount: 2 })),
      'b a',
    );
    assert.equal(
      order(at('a', { upForMs: 100 }), at('b', { upForMs: 3_000, stateForMs: 5 })),
      'a b',
      'moments decide nothing',
    );
  });
});

const names = peers('a b c d e f g h');

const anyView: fc.Arbitrary<RolesInput> = fc
  .record({
    marks: fc.array(fc.constantFrom('', '', '', '-', '~', '+', '!', 'x'), { minLength: 8, maxLength: 8 }),
    places: fc.array(fc.constantFrom('voter', 'learner', 'none'), { minLength: 8, maxLength: 8 }),
    caught: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
  })
  .map(({ marks, places, caught }) => ({
    self: 'a' as PeerId,
    members: members(
      names
        .map((name, at) => (at === 0 ? name : `${marks[at]}${name}`))
        .filter((word) => !word.startsWith('x'))
        .join(' '),
    ),
    configuration: {
      voters: names.filter((_, at) => at === 0 || places[at] === 'voter'),
      outgoing: [],
      learners: names.filter((_, at) => at !== 0 && places[at] === 'learner'),
    },
    caughtUp: new Set(names.filter((_, at) => caught[at])),
  }));

function applied(configuration: Configuration, change: ConfigurationChange): Configuration {
  const { promote = [], demote = [], remove = [], addLearners = [] } = change;
  const out = new Set([...demote, ...remove]);
  const voters = [...configuration.voters, ...promote].filter((peer) => !out.has(peer));
  const isGone = (peer: PeerId) => promote.includes(peer) || remove.includes(peer);
  const learners = [...configuration.learners, ...addLearners, ...demote].filter((peer) => !isGone(peer));
  return { voters, outgoing: [], learners };
}
