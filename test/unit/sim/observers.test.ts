import assert from 'node:assert/strict';
import {
  AcknowledgedWritesSurvive,
  AtMostOneLeaderATerm,
  AttemptsNeverOverlap,
  allObservers,
  EveryAcceptedJobEnds,
  JobsEndOnce,
  LeaversActNoMore,
  LocksExclude,
  NoAttemptCompletesTwice,
  NobodyAliveIsGone,
  type Observation,
  type Observer,
  OnceMeansOnce,
  RegistriesConverge,
  ReplicasApplySame,
  SHOWN_GONE_LIMIT_MS,
  SleepersCompleteNothing,
  TokensGrow,
  WatchesLeaveNothingOut,
} from '../../sim/check/index.ts';

const leader = (node: string, term: number): Observation => ({ type: 'leader', node, term });
const applied = (node: string, position: number, hash: string): Observation => ({
  type: 'applied',
  node,
  position,
  hash,
});
const assigned = (job: string, token: number, position: number): Observation => ({
  type: 'assigned',
  job,
  token,
  position,
});
const completed = (job: string, token: number, position: number): Observation => ({
  type: 'completed',
  job,
  token,
  position,
});
const acknowledged = (write: string): Observation => ({ type: 'acknowledged', write });
const surveyed = (node: string, ...writes: string[]): Observation => ({
  type: 'surveyed',
  node,
  writes: new Set(writes),
});
const runs = (token: number, node: string, job = 'j'): Observation => ({ type: 'runs', job, token, node });
const stopped = (token: number, node: string): Observation => ({ type: 'stopped', job: 'j', token, node });
const fallsAsleep = (node: string): Observation => ({ type: 'fallsAsleep', node });
const slept = (node: string): Observation => ({ type: 'slept', node });
const stoodStill = (node: string): Observation => ({ type: 'stoodStill', node });
const holds = (token: number, client: string, fromMs: number, untilMs: number): Observation => {
  return { type: 'holds', lock: 'l', token, client, fromMs, untilMs };
};
const givesBack = (token: number, atMs: number): Observation => ({
  type: 'givesBack',
  lock: 'l',
  token,
  atMs,
});
const changed = (revision: number, key: string): Observation => {
  return { type: 'changed', by: 'n1', revision, key, value: key + revision };
};
const watches = (client: string, after: number): Observation => ({ type: 'watches', client, after });
const told = (client: string, through: number, ...of: [revision: number, key: string][]): Observation => {
  const changes = of.map(([revision, key]) => ({ revision, key, value: key + revision }));
  return { type: 'told', client, changes, through };
};
const expelled = (node: string): Observation => ({ type: 'expelled', node });
const opened = (job: string, position: number): Observation => ({ type: 'opened', job, position });
const openedOnce = (job: string, position: number): Observation => ({
  type: 'opened',
  job,
  position,
  isOnce: true,
});
const ended = (job: string, state: string, position: number): Observation => ({
  type: 'ended',
  job,
  state,
  position,
});
const toldOfEnd = (job: string, state: string): Observation => ({ type: 'toldOfEnd', job, state });
const registry = (node: string, digest: string): Observation => ({ type: 'registry', node, digest });

const shown = (atMs: number, isAlive: boolean, isStandingWell = true): Observation => {
  return { type: 'shown', atMs, by: 'a', of: 'b', isAlive, isStandingWell };
};

const left = (node: string): Observation => ({ type: 'left', node });

interface Case {
  readonly make: () => Observer;
  readonly good: readonly Observation[];
  readonly bad: readonly (readonly [RegExp, readonly Observation[]])[];
}

const CASES: readonly Case[] = [
  {
    make: () => new AtMostOneLeaderATerm(),
    good: [leader('a', 1), leader('a', 1), leader('b', 2), leader('a', 3)],
    bad: [[/term 2 is led by a and b/, [leader('a', 2), leader('b', 3), leader('b', 2)]]],
  },
  {
    make: () => new ReplicasApplySame(),
    good: [applied('a', 1, 'x'), applied('b', 1, 'x'), applied('b', 2, 'y'), applied('b', 1, 'x')],
    bad: [
      [/position 2 is y on a and z on b/, [applied('a', 1, 'x'), applied('a', 2, 'y'), applied('b', 2, 'z')]],
      [/position 1/, [applied('a', 1, 'x'), applied('a', 1, 'z')]],
    ],
  },
  {
    make: () => new AcknowledgedWritesSurvive(),
    good: [acknowledged('1'), surveyed('a', '1', '2'), surveyed('b', '1')],
    bad: [
      [/2 was acknowledged and is not on b/, [acknowledged('2'), surveyed('a', '2'), surveyed('b')]],
      [/nobody was surveyed/, [acknowledged('2')]],
    ],
  },
  {
    make: () => new TokensGrow(),
    good: [assigned('j', 9, 9), assigned('j', 4, 4), assigned('j', 9, 9), assigned('k', 5, 5)],
    bad: [
      [/j gets token 4 at position 7, after 4/, [assigned('j', 4, 4), assigned('j', 4, 7)]],
      [/j gets token 3 at position 7, after 4/, [assigned('j', 3, 7), assigned('j', 4, 4)]],
      [/tokens 4 and 5 at position 4/, [assigned('j', 4, 4), assigned('j', 5, 4)]],
    ],
  },
  {
    make: () => new NoAttemptCompletesTwice(),
    good: [assigned('j', 4, 4), assigned('j', 6, 6), completed('j', 6, 8), completed('j', 6, 8)],
    bad: [
      [/completes with token 4 at 5 and with 4 at 8/, [completed('j', 4, 5), completed('j', 4, 8)]],
      [/with token 4 at 5 and with 6 at 8/, [completed('j', 4, 5), completed('j', 6, 8)]],
      [/stale token 4/, [assigned('j', 4, 4), assigned('j', 6, 6), completed('j', 4, 7)]],
    ],
  },
  {
    make: () => new AttemptsNeverOverlap(),
    good: [
      ...[runs(1, 'a'), stopped(1, 'a'), runs(2, 'b'), stoodStill('b'), runs(3, 'a'), stopped(2, 'b')],
      ...[expelled('a'), runs(4, 'b'), stopped(4, 'b'), runs(1, 'a'), runs(5, 'b')],
    ],
    bad: [
      [/token 2 on b while a runs it with 1/, [runs(1, 'a'), runs(2, 'b')]],
      [/token 1 on a, after 2 began/, [runs(2, 'b'), stopped(2, 'b'), runs(1, 'a')]],
      [/token 2 on b while a/, [stoodStill('a'), runs(1, 'a'), runs(2, 'b')]],
    ],
  },
  {
    make: () => new OnceMeansOnce(),
    good: [
      ...[openedOnce('j', 1), openedOnce('j', 1), runs(2, 'a'), runs(2, 'a'), stopped(2, 'a')],
      ...[openedOnce('j', 5), runs(6, 'b')],
      ...[opened('k', 1), runs(7, 'a', 'k'), runs(8, 'a', 'k')],
    ],
    bad: [[/j begins with token 3/, [openedOnce('j', 1), openedOnce('j', 1), runs(2, 'a'), runs(3, 'b')]]],
  },
  {
    make: () => new LeaversActNoMore(),
    good: [
      leader('a', 1),
      runs(1, 'a'),
      applied('a', 1, 'x'),
      stopped(1, 'a'),
      left('a'),
      runs(2, 'b'),
      leader('b', 2),
    ],
    bad: [
      [/a has left, and still runs j with token 1/, [runs(1, 'a'), left('a')]],
      [/a runs j with token 2 after it has left/, [left('a'), runs(2, 'a')]],
      [/a leads term 3 after/, [left('a'), leader('a', 3)]],
      [/a applies position 4 after/, [left('a'), applied('a', 4, 'x')]],
    ],
  },
  {
    make: () => new NobodyAliveIsGone(),
    good: [
      ...[shown(0, false), shown(SHOWN_GONE_LIMIT_MS, false), shown(SHOWN_GONE_LIMIT_MS + 1, true)],
      ...[shown(20_000, false), shown(25_000, false, false), shown(30_000, false)], // cut off for a while
      shown(99_000, false, false),
    ],
    bad: [[/a has shown b as gone since 5 ms/, [shown(5, false), shown(SHOWN_GONE_LIMIT_MS + 6, false)]]],
  },
  {
    make: () => new SleepersCompleteNothing(),
    good: [
      ...[runs(1, 'a'), stopped(1, 'a'), fallsAsleep('a'), completed('j', 1, 5), slept('a')], // told before it slept
      ...[runs(2, 'b'), fallsAsleep('b'), completed('j', 2, 6)], // a short one, or one that nobody could see
      ...[fallsAsleep('c'), slept('c'), runs(3, 'c'), completed('j', 3, 7)],
    ],
    bad: [
      [/a completed j with token 1/, [runs(1, 'a'), fallsAsleep('a'), slept('a'), completed('j', 1, 5)]],
      [
        /a completed j with token 1/,
        [runs(1, 'a'), fallsAsleep('a'), stopped(1, 'a'), completed('j', 1, 5), slept('a')],
      ],
    ],
  },
  {
    make: () => new LocksExclude(),
    good: [
      ...[
        holds(4, 'x', 0, 10),
        holds(4, 'x', 5, 20),
        givesBack(4, 8),
        holds(6, 'y', 9, 12),
        holds(7, 'z', 12, 15),
      ],
      holds(4, 'x', 14, 14), // told when it was over
    ],
    bad: [
      [
        /held with 6 by y from 9 ms, and with 4 by x until 10 ms/,
        [holds(4, 'x', 0, 10), holds(6, 'y', 9, 12)],
      ],
      [/with 4 by x until 20 ms/, [holds(4, 'x', 0, 10), holds(4, 'x', 5, 20), holds(6, 'y', 12, 14)]],
      [/held with 6 by y from 1 ms/, [holds(6, 'y', 1, 5), givesBack(6, 3), holds(4, 'x', 4, 9)]],
      [/held with 4 by x and y/, [holds(4, 'x', 0, 10), holds(4, 'y', 0, 10)]],
    ],
  },
  {
    make: () => new WatchesLeaveNothingOut(),
    good: [
      changed(3, 'a'),
      watches('x', 3),
      changed(5, 'b'),
      changed(5, 'c'),
      told('x', 6, [5, 'b'], [5, 'c']),
      changed(7, 'a'),
      told('x', 9, [7, 'a']),
      changed(11, 'a'),
      watches('x', 12), // what was between is known to be missing
      told('x', 13),
      changed(20, 'a'), // not told yet
    ],
    bad: [
      [/x is not told that a became "a5" at 5/, [watches('x', 4), changed(5, 'a'), told('x', 6)]],
      [/x is not told that b/, [watches('x', 4), watches('y', 4), told('x', 6), told('y', 6, [5, 'b'])]],
      [/x is told after 7, up to 8, that a/, [watches('x', 4), told('x', 8, [7, 'b'], [6, 'a'])]],
      [
        /x is told after 6, up to 8, that a/,
        [watches('x', 4), told('x', 6, [5, 'a']), told('x', 8, [5, 'a'])],
      ],
      [/x is told after 4, up to 8, that a/, [watches('x', 4), told('x', 8, [3, 'a'])]],
      [/x is told after 4, up to 8, that a/, [watches('x', 4), told('x', 8, [9, 'a'])]],
      [/x goes back from 8 to 6/, [watches('x', 4), told('x', 8), told('x', 6)]],
      [/before it watches/, [told('x', 8)]],
      [
        /x has it that a became "a5" at 5, others that a became "other"/,
        [
          watches('x', 4),
          { type: 'changed', by: 'n1', revision: 5, key: 'a', value: 'other' },
          told('x', 8, [5, 'a']),
        ],
      ],
    ],
  },
  {
    make: () => new EveryAcceptedJobEnds(),
    good: [
      ...[
        { type: 'accepted', job: 'j' } as const,
        opened('j', 1),
        ended('j', 'dead', 2),
        ended('j', 'dead', 2),
      ],
      ...[ended('k', 'succeeded', 3), opened('j', 4), ended('j', 'succeeded', 5)],
    ],
    bad: [
      [/j was accepted and never ended/, [{ type: 'accepted', job: 'j' }]],
      [
        /j was accepted and never ended/,
        [{ type: 'accepted', job: 'j' }, opened('j', 1), ended('j', 'dead', 2), opened('j', 3)],
      ],
    ],
  },
  {
    make: () => new JobsEndOnce(),
    good: [
      ...[opened('j', 1), ended('j', 'dead', 2), opened('j', 4), toldOfEnd('j', 'dead')],
      ...[ended('j', 'succeeded', 5), ended('j', 'dead', 2), toldOfEnd('j', 'succeeded')],
    ],
    bad: [
      [/j ended dead and succeeded at position 2/, [ended('j', 'dead', 2), ended('j', 'succeeded', 2)]],
      [/j ended dead at 2 and dead at 4/, [opened('j', 1), ended('j', 'dead', 2), ended('j', 'dead', 4)]],
      [/told that j is dead/, [ended('j', 'succeeded', 2), toldOfEnd('j', 'dead')]],
    ],
  },
  {
    make: () => new RegistriesConverge(),
    good: [registry('a', 'x'), registry('b', 'y'), registry('a', 'y')],
    bad: [[/is x on a and y on b/, [registry('a', 'x'), registry('b', 'y')]]],
  },
];

describe('observers', () => {
  for (const { make, good, bad } of CASES) {
    const { name } = make();
    const verdict = (events: readonly Observation[]) => {
      const observer = make();
      for (const event of events) observer.observe(event);
      return observer.check();
    };
    it(`${name}: says nothing while the law is kept`, () => {
      assert.deepEqual(verdict([]), []);
      assert.deepEqual(verdict(good), []);
    });
    it(`${name}: names what broke it`, () => {
      for (const [pattern, events] of bad) assert.match(verdict(events).join('\n'), pattern);
    });
  }

  it('are all there, under different names', () => {
    assert.equal(new Set(allObservers().map(({ name }) => name)).size, CASES.length);
  });
});
