import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import { explainJob } from '../../../src/jobs/explain.ts';
import { jobsModule, submitBody } from '../../../src/jobs/index.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import { sessionsModule } from '../../../src/lease/machine/index.ts';
import type { MachineModule } from '../../../src/lease/machine/module.ts';
import { textKey } from '../../../src/storage/index.ts';
import { Bench, resultOf } from '../lease/machine/support.ts';
import { Mesh } from './dispatcher-mesh.ts';
import { specOf } from './jobs-bench.ts';

/** Members as the machine keeps them, as far as a submit looks at them. */
const members: MachineModule = {
  name: 'members',
  tables: ['members'],
  queries: {},
  commands: {
    put: {
      since: 1,
      parse: (body) => body,
      apply: (body, context) => {
        const member = body as { peerId: string };
        context.table('members').put(textKey(member.peerId), member);
        return null;
      },
    },
  },
};

describe('a job that is required on a node (P10)', () => {
  const bench = () => {
    const made = new Bench([sessionsModule, members, jobsModule]);
    const put = (peerId: string, role: string, revokedAtMs: number | null = null) =>
      made.apply({ module: 'members', kind: 'put', body: { peerId, role, revokedAtMs } });
    put('ann', 'worker');
    put('sue', 'submitter');
    put('rev', 'worker', 5);
    return made;
  };
  const submit = (affinity: object) => {
    const body = submitBody([{ id: 'job_1', spec: specOf({ affinity }) }]);
    const [result] = resultOf(bench().apply({ module: 'jobs', kind: 'submit', body })) as [
      { error?: { code: string; message: string } },
    ];
    return result.error;
  };
  const cases: readonly [why: string, affinity: object, says: RegExp | undefined][] = [
    ['a stranger is refused', { node: { peerId: 'zoe' } }, /zoe is no member of this mesh/],
    ['one that was revoked is refused', { node: { peerId: 'rev' } }, /rev was revoked/],
    ['one that runs no jobs is refused', { node: { peerId: 'sue' } }, /role submitter/],
    [
      'one that is to be avoided is refused',
      { node: { peerId: 'ann' }, avoid: { node: 'ann' } },
      /required and to be avoided/,
    ],
    ['a member without a session is waited for', { node: { peerId: 'ann' } }, undefined],
    ['a stranger that is only preferred is no fault', { node: { peerId: 'zoe', mode: 'prefer' } }, undefined],
    ['a label that nobody has is waited for', { require: { gpu: '>=2' } }, undefined],
  ];
  for (const [why, affinity, says] of cases) {
    it(why, () => {
      const error = submit(affinity);
      assert.equal(error?.code, says === undefined ? undefined : 'PLACEMENT_IMPOSSIBLE');
      if (says !== undefined) assert.match(error?.message ?? '', says);
    });
  }
});

describe('placing jobs', () => {
  it('spends the turns of round-robin one by one, also when jobs come one by one', async () => {
    const mesh = new Mesh().lead();
    for (const name of ['ann', 'bob', 'cid']) await mesh.join(name, { slots: 50 });
    for (let at = 0; at < 9; at += 1) {
      mesh.bench.submit({ id: `job_${at}`, affinity: { strategy: 'round-robin' } });
      await mesh.settle();
    }
    assert.deepEqual(
      mesh.givenIds().map((text) => text.slice(-3)),
      ['ann', 'bob', 'cid', 'ann', 'bob', 'cid', 'ann', 'bob', 'cid'],
    );
  });

  it('fills 20 slots of four nodes with 20 jobs in one plan', async () => {
    const mesh = new Mesh().lead();
    for (const name of ['ann', 'bob', 'cid', 'dot']) await mesh.join(name, { slots: 5 });
    mesh.bench.submit(...Array.from({ length: 20 }, (_, at) => ({ id: `job_${at}` })));
    await mesh.settle();
    const counts = Map.groupBy(mesh.givenIds(), (text) => text.slice(-3));
    assert.deepEqual(
      [...counts.values()].map(({ length }) => length),
      [5, 5, 5, 5],
    );
    assert.equal(mesh.clock.monotonicMs(), 0);
  });

  it('lets more memory than asked for do, and waits for it where nobody has it', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann', { labels: { memoryGiB: '16' } });
    mesh.bench.submit({ id: 'job_1', affinity: { require: { memoryGiB: '>=32' } } });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), []);
    assert.deepEqual(mesh.explain('job_1').nodes[0]?.reasons, ['label memoryGiB is 16, needs >=32']);
    await mesh.join('bob', { labels: { memoryGiB: '64' } });
    assert.deepEqual(mesh.givenIds(), ['job_1 to bob']);
  });

  it('gives what is preferred elsewhere away when the wait is over, and counts it', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('bob');
    mesh.bench.submit({ id: 'job_1', affinity: { node: { peerId: 'ann', mode: 'prefer' }, waitMs: 500 } });
    await mesh.settle();
    assert.match(mesh.explain('job_1').waitingFor ?? '', /its preferred node ann, for 500ms at most/);
    await mesh.clock.advance(1_000);
    assert.deepEqual(mesh.givenIds(), ['job_1 to bob']);
    assert.equal(mesh.dispatcher?.elsewhereCount, 1);
  });

  it('names the attempt that a worker has not answered, where that holds its slots', async () => {
    const mesh = new Mesh().lead();
    const paint = { id: 'wrk_1', types: ['paint'], labels: {}, slots: 0, isDraining: false };
    const unanswered = { count: 1, jobId: 'job_0', attempt: 2 };
    await mesh.join('ann', { pools: [{ ...paint, unanswered }] });
    mesh.bench.submit({ id: 'job_1', type: 'paint' }, { id: 'job_2', type: 'paint' });
    await mesh.settle();
    const { waitingFor, nodes } = mesh.explain('job_1');
    assert.equal(waitingFor, 'a worker to answer for an attempt that was given up and holds its slot');
    assert.deepEqual([nodes[0]?.fits, nodes[0]?.isEligible], [false, true]);
    assert.deepEqual(nodes[0]?.reasons, [
      'attached worker wrk_1: 1 of 1 slots is held by attempt 2 of job_0, given up and not answered: free when it answers, or its connection closes',
    ]);
    await mesh.report('ann', [], {
      pools: [{ ...paint, slots: 1, unanswered: { ...unanswered, count: 3 } }],
    });
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
    assert.deepEqual(mesh.explain('job_2').nodes[0]?.reasons, [
      'attached worker wrk_1: is full: 1 of 1 slots in use',
      'attached worker wrk_1: 3 of 4 slots are held by attempt 2 of job_0 and 2 more, given up and not answered: free when it answers, or its connection closes',
    ]);
  });

  const waits = [
    {
      why: 'a failure',
      does: ['fail'],
      told: /^the pause until (\S+) \(1s\) after failure 1 of 3: exit code 1$/,
    },
    {
      why: 'losses',
      does: ['lose', 'lose'],
      told: /^the pause until (\S+) \(1s\) after loss 2, of 5 that are forgiven: gone$/,
    },
    { why: 'nothing yet', does: [], told: /^its delay of 1s to pass, until (\S+) \(1s\)$/ },
  ] as const;
  for (const { why, does, told } of waits) {
    it(`says until when a job waits after ${why}`, async () => {
      const mesh = new Mesh().lead();
      const { bench } = mesh;
      const retry = { backoff: 'fixed', delayMs: 1_000, jitter: 'none' } as const;
      bench.submit({ id: 'job_1', retry, ...(does.length === 0 && { delayMs: 1_000 }) });
      const error = { code: 'EXIT', message: 'exit code 1', retryable: true };
      for (const kind of does)
        bench.do(kind, { ...bench.assign('job_1'), reason: 'gone', error, result: null });
      const [, until] = told.exec(mesh.explain('job_1').waitingFor ?? '') ?? assert.fail();
      const due = (bench.record('job_1')?.dueGroupMs ?? 0) - mesh.leadership.groupMs();
      assert.equal(Date.parse(until ?? ''), mesh.clock.wallMs() + due);
    });
  }

  it('ranks every node with the parts of its score, and names what rules the others out', () => {
    const view = (name: string, facts: object) => ({
      peerId: name as PeerId,
      role: 'worker' as const,
      labels: {},
      types: ['echo'],
      totalSlots: 4,
      freeSlots: 4,
      isSuspect: false,
      ...facts,
    });
    const bench = new Mesh().bench;
    bench.submit({ id: 'job_1', affinity: { prefer: { zone: 'eu' } } });
    const record = bench.record('job_1') as JobRecord;
    const explained = explainJob(
      record,
      [
        view('full', { freeSlots: 0 }),
        view('gone', { isSuspect: true, isAbsent: true, silentForMs: 12_000 }),
        view('half', { freeSlots: 2 }),
        view('home', { labels: { zone: 'eu' } }),
        view('mute', { isSuspect: true, silentForMs: 9_000 }),
        view('sub', { role: 'submitter' }),
        view('tired', { isDraining: true }),
      ],
      { held: undefined, stateOf: () => undefined, now: { groupMs: 0, wallMs: 0 } },
    );
    assert.deepEqual(
      explained.nodes.map(({ peerId, fits, isEligible, reasons, parts }) => [
        peerId,
        fits ? 'now' : isEligible ? 'later' : 'no',
        ...(fits ? parts.map(({ reason }) => reason) : reasons),
      ]),
      [
        ['home', 'now', 'label zone is eu, as preferred', '4 of 4 slots are free'],
        ['half', 'now', '2 of 4 slots are free'],
        ['full', 'later', 'is full: 4 of 4 slots in use'],
        ['gone', 'later', 'is unreachable since 12 s'],
        ['mute', 'later', 'is suspect: silent since 9 s'],
        ['tired', 'later', 'is draining and takes no new jobs'],
        ['sub', 'no', 'has the role submitter, which runs no jobs'],
      ],
    );
  });

  for (const [drained, says] of [
    [['ann'], 'a node that fits to take jobs again: the only one is draining'],
    [['ann', 'bob'], 'a node that fits to take jobs again: all 2 are draining'],
  ] as const)
    it(`waits for whoever drained ${drained.join(' and ')}, and says so`, () => {
      const bench = new Mesh().bench;
      bench.submit({ id: 'job_1' });
      const views = drained.map((peerId) => ({
        peerId: peerId as PeerId,
        ...{ role: 'worker' as const, labels: {}, types: ['echo'] },
        ...{ totalSlots: 4, freeSlots: 4, isSuspect: false, isDraining: true },
      }));
      const surroundings = {
        held: undefined,
        stateOf: () => undefined,
        now: { groupMs: 0, wallMs: 0 },
      };
      assert.equal(explainJob(bench.record('job_1') as JobRecord, views, surroundings).waitingFor, says);
    });
});
