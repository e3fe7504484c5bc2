import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import type { JobSpecInput } from '../../../src/jobs/index.ts';
import type { AttemptRef } from '../../../src/jobs/settlement.ts';
import { codeOf, resultOf } from '../lease/machine/support.ts';
import { Mesh } from './dispatcher-mesh.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

const ID = 'job_1';
const NODES = ['ann', 'bob', 'cat'];

/** One job of three nodes, and sessions of four. */
class GroupBench extends JobsBench {
  constructor(spec: Partial<JobSpecInput> = {}) {
    super();
    for (const node of [...NODES, 'dan']) this.openSession(node, `ses_${node}`);
    const retry = { maxAttempts: 2, backoff: 'none' as const };
    this.submit({ id: ID, group: { nodes: 3 }, retry, ...spec });
  }

  give(nodes: readonly string[] = NODES, sessions = nodes.map((node) => `ses_${node}`)): object {
    const [first, ...others] = nodes.map((peerId, at) => ({ peerId, sessionId: sessions[at], pool: null }));
    const assignments = [{ jobId: ID, ...first, ...(others.length > 0 && { others }) }];
    const [result] = resultOf(this.do('assign', { assignments })) as [object];
    return result;
  }

  begin(): AttemptRef {
    const { running } = this.give() as { running: AttemptRef };
    return { jobId: ID, attempt: running.attempt, fencingToken: running.fencingToken };
  }

  members(): unknown {
    return this.get(ID).members?.map(({ outcome }) => outcome);
  }
}

describe('a job for several nodes at once', () => {
  it('is given to all of them by one command, with their ranks in the order they were named (G1)', () => {
    const bench = new GroupBench();
    const ref = bench.begin();
    const { state, node, members, attempt, fencingToken } = bench.get(ID);
    assert.deepEqual([state, node, attempt, fencingToken], ['running', 'ann', 1, ref.fencingToken]);
    assert.deepEqual(
      members?.map((member) => member.node),
      NODES,
    );
    bench.checkIndexes();
  });

  const refused: [why: string, nodes: string[], sessions?: string[]][] = [
    ['of too few nodes', ['ann', 'bob']],
    ['of too many', ['ann', 'bob', 'cat', 'dan']],
    ['of one node twice', ['ann', 'bob', 'ann']],
    ['of one node', ['ann']],
    ['where one holds another session', NODES, ['ses_ann', 'ses_bob', 'ses_old']],
    ['where one holds none', ['ann', 'bob', 'eve']],
  ];
  for (const [why, nodes, sessions] of refused) {
    it(`is given to none by an assignment ${why} (G1)`, () => {
      const bench = new GroupBench();
      assert.equal((bench.give(nodes, sessions) as { error: { code: string } }).error.code, 'CONFLICT');
      assert.deepEqual([bench.get(ID).state, bench.get(ID).members], ['queued', undefined]);
    });
  }

  it('that runs on one node is not given to several', () => {
    const bench = new GroupBench();
    bench.submit({ id: 'job_2' });
    const place = (peerId: string) => ({ peerId, sessionId: `ses_${peerId}`, pool: null });
    const assignments = [{ jobId: 'job_2', ...place('ann'), others: [place('bob')] }];
    const [result] = resultOf(bench.do('assign', { assignments })) as [{ error: { code: string } }];
    assert.equal(result.error.code, 'CONFLICT');
  });

  it('succeeds when the last member has, with what rank 0 returned (G2)', () => {
    const bench = new GroupBench();
    const ref = bench.begin();
    bench.do('complete', { ...ref, rank: 0, result: 'of the first' });
    bench.do('complete', { ...ref, rank: 2, result: 'of the last' });
    assert.deepEqual([bench.get(ID).state, bench.members()], ['running', ['succeeded', null, 'succeeded']]);
    bench.do('complete', { ...ref, rank: 1, result: 'of the second' });
    const { state, result, history, members } = bench.get(ID);
    assert.deepEqual([state, result, members], ['succeeded', 'of the first', undefined]);
    assert.deepEqual(
      history.map(({ outcome, nodes }) => [outcome, nodes]),
      [['succeeded', NODES]],
    );
    bench.checkIndexes();
  });

  it('fails as one attempt when the last member is over, of what failed first, and runs again as a whole (G2, G3)', () => {
    const bench = new GroupBench();
    const ref = bench.begin();
    bench.do('fail', { ...ref, rank: 1, error: SOME_ERROR, result: 'said' });
    bench.do('cancelled', { ...ref, rank: 0, result: null });
    assert.equal(bench.get(ID).state, 'running');
    assert.equal((bench.give() as { error: { code: string } }).error.code, 'CONFLICT');
    bench.do('lose', { ...ref, rank: 2, reason: 'gone' });
    const failed = bench.get(ID);
    assert.deepEqual([failed.state, failed.result, failed.history.length], ['queued', 'said', 1]);
    assert.equal(failed.error?.message, `member 1 of 3, on bob: ${SOME_ERROR.message}`);
    const again = bench.begin();
    assert.equal(again.attempt, 2);
    assert.ok(again.fencingToken > ref.fencingToken);
    bench.do('fail', { ...again, rank: 0, error: SOME_ERROR, result: null });
    for (const rank of [1, 2]) bench.do('cancelled', { ...again, rank, result: null });
    assert.equal(bench.get(ID).state, 'dead');
    bench.checkIndexes();
  });

  it('is lost with one of its nodes, which is no failure', () => {
    const bench = new GroupBench({ retry: { maxAttempts: 1 } });
    const ref = bench.begin();
    bench.do('lose', { ...ref, rank: 2, reason: 'its node was silent' });
    bench.do('complete', { ...ref, rank: 0, result: 'for nothing' });
    bench.do('cancelled', { ...ref, rank: 1, result: null });
    const { state, error, history } = bench.get(ID);
    assert.deepEqual([state, error?.code, history[0]?.outcome], ['queued', 'LOST', 'lost']);
  });

  it('is cancelled when each member has proven that it is over', () => {
    const bench = new GroupBench();
    const ref = bench.begin();
    bench.do('cancel', { id: ID, reason: 'enough' });
    for (const rank of [2, 0]) {
      bench.do('cancelled', { ...ref, rank, result: null });
      assert.equal(bench.get(ID).state, 'cancelling');
    }
    bench.do('cancelled', { ...ref, rank: 1, result: null });
    assert.equal(bench.get(ID).state, 'cancelled');
    bench.checkIndexes();
  });

  it('answers a member that reports twice from the record, and fences one that is no member or was given up (J2)', () => {
    const bench = new GroupBench();
    const ref = bench.begin();
    const done = { ...ref, rank: 1, result: 1 };
    assert.deepEqual(resultOf(bench.do('complete', done)), { state: 'running', outcome: 'succeeded' });
    assert.deepEqual(resultOf(bench.do('complete', done)), { state: 'running', outcome: 'succeeded' });
    assert.deepEqual(resultOf(bench.do('fail', { ...done, error: SOME_ERROR })), {
      state: 'running',
      outcome: 'succeeded',
    });
    for (const rank of [3, undefined])
      assert.equal(bench.code('complete', { ...ref, ...(rank && { rank }), result: 1 }), 'FENCED');
    assert.equal(bench.code('cancelled', { ...ref, rank: 0, result: 1 }), 'CONFLICT');
    bench.do('lose', { ...ref, rank: 2, reason: 'gone' });
    assert.equal(bench.code('complete', { ...ref, rank: 2, result: 1 }), 'FENCED');
    assert.deepEqual(bench.members(), [null, 'succeeded', 'lost']);
  });

  it('keeps its laws whatever its members report, in whatever order', () => {
    const kind = fc.constantFrom('complete', 'fail', 'lose', 'cancelled', 'cancel');
    const report = fc.record({ kind, rank: fc.nat(3), isStale: fc.boolean() });
    fc.assert(
      fc.property(fc.array(report, { maxLength: 30 }), (reports) => {
        const bench = new GroupBench();
        let ref = bench.begin();
        let over = new Map<number, string>();
        for (const { kind: what, rank, isStale } of reports) {
          const before = bench.get(ID);
          const token = isStale ? ref.fencingToken - 1 : ref.fencingToken;
          const outcome =
            what === 'cancel'
              ? bench.do('cancel', { id: ID, reason: null })
              : bench.do(what, {
                  ...ref,
                  fencingToken: token,
                  rank,
                  result: rank,
                  error: SOME_ERROR,
                  reason: 'gone',
                });
          if (before.state === 'running' || before.state === 'cancelling') {
            const isTaken = outcome.ok && what !== 'cancel' && !over.has(rank);
            if (isTaken) over.set(rank, what);
            if (isTaken) assert.ok(!isStale && rank < 3);
            const { state, result } = bench.get(ID);
            const isOver = state !== 'running' && state !== 'cancelling';
            assert.equal(isOver, over.size === 3); // G3
            const all = [...over.values()];
            if (isOver)
              assert.equal(
                state === 'succeeded',
                all.every((one) => one === 'complete'),
              ); // G2
            if (state === 'succeeded') assert.equal(result, 0);
          }
          if (bench.get(ID).state !== 'queued') continue;
          ref = bench.begin();
          over = new Map();
        }
        bench.checkIndexes();
      }),
      { numRuns: 300 },
    );
  });

  it('that requires one node is refused, with the path', () => {
    const affinity = { node: { peerId: 'ann' } };
    assert.throws(() => new GroupBench({ affinity }), /group: one node is required, and 3 nodes at once/);
  });

  const wrong: [what: string, group: object][] = [
    ['one node', { nodes: 1 }],
    ['a hundred and one', { nodes: 101 }],
    ['half a node more', { nodes: 2.5 }],
    ['no count', {}],
    ['a word', { nodes: 'all' }],
    ['another key', { nodes: 2, size: 2 }],
  ];
  for (const [what, group] of wrong) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => new GroupBench({ group: group as { nodes: number } }), { code: 'INVALID_PARAMS' });
    });
  }
});

describe('the dispatcher with groups', () => {
  const spec = { id: ID, group: { nodes: 3 }, retry: { maxAttempts: 2, backoff: 'none' as const } };
  const started = async (names: readonly string[] = NODES, slots = 1) => {
    const mesh = new Mesh().lead();
    for (const name of names) await mesh.join(name, { slots });
    mesh.bench.submit(spec);
    await mesh.settle();
    return mesh;
  };
  const refOf = (mesh: Mesh, name: string): AttemptRef => {
    const { jobId, attempt, fencingToken, rank } = mesh
      .given()
      .findLast(({ to }) => to === name) as AttemptRef;
    return { jobId, attempt, fencingToken, rank };
  };
  const aborted = (mesh: Mesh) =>
    mesh.sent
      .filter(({ method }) => method === 'jobs/abort')
      .map(({ to }) => to)
      .sort();

  it('pushes a group to all of its nodes at once, each with its rank and the peers of all', async () => {
    const mesh = await started();
    const given = mesh.given();
    assert.deepEqual(given.map(({ to }) => to).sort(), NODES);
    for (const { to, rank, peers } of given) assert.equal(peers?.[rank as number], to);
    assert.deepEqual(given.map(({ rank }) => rank).sort(), [0, 1, 2]);
    assert.equal(mesh.proposed('assign'), 1);
  });

  it('gives nothing while a node is missing, says so, and all once it is there', async () => {
    const mesh = await started(['ann', 'bob']);
    assert.deepEqual(mesh.given(), []);
    assert.equal(
      mesh.explain(ID).waitingFor,
      '3 nodes at once: 2 of 2 fit now, 2 could later; add nodes, or ask for fewer',
    );
    await mesh.join('cat', { slots: 1 });
    assert.deepEqual(mesh.given().length, 3);
  });

  it('is not kept waiting by less urgent jobs that come one by one', async () => {
    const mesh = new Mesh().lead();
    for (const name of NODES) await mesh.join(name, { slots: 1 });
    mesh.bench.submit({ id: 'job_0' });
    await mesh.settle();
    const single = mesh.given()[0] as AttemptRef;
    mesh.bench.submit(spec, { id: 'job_2' }, { id: 'job_3' });
    await mesh.settle();
    assert.equal(mesh.given().length, 1);
    assert.match(String(mesh.explain(ID).waitingFor), /3 nodes at once: 2 of 3 fit now, 3 could later/);
    const { jobId, attempt, fencingToken } = single;
    mesh.bench.do('complete', { jobId, attempt, fencingToken, result: null });
    await mesh.settle();
    assert.deepEqual(
      mesh.given().map((one) => one.jobId),
      ['job_0', ID, ID, ID],
    );
  });

  it('counts the slot of each member until it has ended', async () => {
    const mesh = await started();
    mesh.bench.submit({ id: 'job_2' }, { id: 'job_3' });
    await mesh.settle();
    assert.equal(mesh.given().length, 3);
    mesh.bench.do('complete', { ...refOf(mesh, 'bob'), result: null });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds().slice(3), ['job_2 to bob']);
  });

  it('tells the others to stop when one fails, and begins again when all are over (G3)', async () => {
    const mesh = await started();
    mesh.bench.do('fail', { ...refOf(mesh, 'bob'), error: SOME_ERROR, result: null });
    await mesh.settle();
    assert.deepEqual(aborted(mesh), ['ann', 'cat']);
    assert.equal(mesh.given().length, 3);
    const ann = refOf(mesh, 'ann');
    assert.deepEqual((await mesh.report('ann', [ann])).abort, [{ ...ann, reason: 'cancelled' }]);
    mesh.bench.do('cancelled', { ...ann, result: null });
    await mesh.settle();
    assert.equal(mesh.given().length, 3);
    mesh.bench.do('cancelled', { ...refOf(mesh, 'cat'), result: null });
    await mesh.settle();
    const again = mesh.given().slice(3);
    assert.deepEqual(again.map(({ to, attempt }) => `${to} ${attempt}`).sort(), ['ann 2', 'bob 2', 'cat 2']);
  });

  it('gives up the member of a silent node, and stops the others', async () => {
    const mesh = await started();
    for (let second = 0; second < 6; second += 1) {
      await mesh.clock.advance(1_000);
      for (const name of ['ann', 'bob']) await mesh.report(name, [refOf(mesh, name)]);
    }
    assert.deepEqual(
      mesh.bench
        .get(ID)
        .members?.map(({ node, outcome }) => `${node} ${outcome}`)
        .sort(),
      ['ann null', 'bob null', 'cat lost'],
    );
    assert.deepEqual(aborted(mesh), ['ann', 'bob']);
  });

  it('knows all members after another was elected, and keeps them', async () => {
    const mesh = await started();
    mesh.bench.do('complete', { ...refOf(mesh, 'bob'), result: null });
    await mesh.settle();
    await mesh.changeLeader();
    for (const name of ['ann', 'cat'])
      assert.equal((await mesh.report(name, [refOf(mesh, name)])).holds.length, 1);
    const { abort } = await mesh.report('bob', [refOf(mesh, 'bob')]);
    assert.deepEqual(abort[0]?.reason, 'lost');
    mesh.bench.submit({ id: 'job_2' }, { id: 'job_3' });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds().slice(3), ['job_2 to bob']);
  });

  it('sends again to the member that did not hear, and to no other', async () => {
    const mesh = await started();
    await mesh.clock.advance(300);
    const missing = (await mesh.report('cat', [])).assign;
    assert.deepEqual(
      missing.map(({ rank, peers }) => peers?.[rank as number]),
      ['cat' as PeerId],
    );
  });

  it('stops all members of a job that is cancelled', async () => {
    const mesh = await started();
    assert.equal(codeOf(mesh.bench.do('cancel', { id: ID, reason: null })), 'ok');
    await mesh.settle();
    assert.deepEqual(aborted(mesh), NODES);
  });
});
