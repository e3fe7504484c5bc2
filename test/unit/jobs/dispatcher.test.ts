import assert from 'node:assert/strict';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import { type JobView, serveWaiters } from '../../../src/jobs/index.ts';
import type { AttemptRef } from '../../../src/jobs/settlement.ts';
import { type Assignment, METHODS } from '../../../src/jobs/wire.ts';

import { Mesh } from './dispatcher-mesh.ts';

describe('the dispatcher', () => {
  it('pushes a job to a free node at once, without the clock moving', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
    assert.equal(mesh.clock.monotonicMs(), 0);
  });

  it('gives no more than the slots a node has, and the next as soon as one is free (P2)', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' }, { id: 'job_2' }, { id: 'job_3', priority: 'high' });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_3 to ann', 'job_1 to ann']);
    const [first] = mesh.given();
    mesh.bench.do('complete', { ...refOf(first as Assignment), result: null });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds().slice(2), ['job_2 to ann']);
    assert.equal(mesh.clock.monotonicMs(), 0);
  });

  it('tells its owner when the state cannot be read any more', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    mesh.leadership.damage = new Error('not what was written');
    await mesh.settle();
    assert.deepEqual(mesh.failures, [mesh.leadership.damage]);
    assert.deepEqual(mesh.givenIds(), []);
  });

  it('counts slots for each pool of a node, and names the pool (P7)', async () => {
    const mesh = new Mesh().lead();
    const paint = { id: 'wrk_1', types: ['paint'], labels: {}, slots: 2, isDraining: false };
    await mesh.join('ann', { slots: 1, pools: [paint, { ...paint, id: 'wrk_2', slots: 1 }] });
    for (let at = 0; at < 5; at += 1) mesh.bench.submit({ id: `job_p${at}`, type: 'paint' });
    mesh.bench.submit({ id: 'job_e1' }, { id: 'job_e2' });
    await mesh.settle();
    const pools = mesh.given().map(({ jobId, pool }) => `${jobId.slice(0, 5)} ${pool}`);
    assert.deepEqual(pools.sort(), ['job_e null', 'job_p wrk_1', 'job_p wrk_1', 'job_p wrk_2']);
    const ofSecond = mesh.given().find(({ pool }) => pool === 'wrk_2') as Assignment;
    mesh.bench.do('complete', { ...refOf(ofSecond), result: null });
    await mesh.settle();
    assert.deepEqual(mesh.given().at(-1)?.pool, 'wrk_2');
  });

  it('gives a worker nothing more that gave an attempt back, until its node reports again (P15)', async () => {
    const mesh = new Mesh().lead();
    const paint = { id: 'wrk_1', types: ['paint'], labels: {}, slots: 1, isDraining: false };
    await mesh.join('ann', { pools: [paint, { ...paint, id: 'wrk_2', types: ['draw'] }] });
    mesh.bench.submit({ id: 'job_1', type: 'paint' });
    await mesh.settle();
    const reason = 'the worker it was given to has gone';
    const item = { kind: 'lose', ...refOf(mesh.given()[0] as Assignment), reason, isHandedOver: true };
    await mesh.leadership.propose({ module: 'jobs', kind: 'settle', body: { items: [item] } });
    await mesh.settle();
    mesh.bench.submit({ id: 'job_2', type: 'draw' });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann'], 'only the other worker');
    await mesh.report('ann', mesh.given().slice(1).map(refOf));
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann', 'job_1 to ann']);
  });

  it('gives nothing more to a node that lost its hold, until it reports again: its session may be over (P15)', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    const reason = 'its node stopped it: the leader was silent past the hold';
    const item = { kind: 'lose', ...refOf(mesh.given()[0] as Assignment), reason, isHandedOver: false };
    await mesh.leadership.propose({ module: 'jobs', kind: 'settle', body: { items: [item] } });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
    await mesh.report('ann', []);
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_1 to ann']);
  });

  it('knows the pools of agreed attempts after another was elected (P7)', async () => {
    const mesh = new Mesh().lead();
    const paint = { id: 'wrk_1', types: ['paint'], labels: {}, slots: 1, isDraining: false };
    await mesh.join('ann', { pools: [paint] });
    mesh.bench.submit({ id: 'job_1', type: 'paint' }, { id: 'job_2', type: 'paint' });
    await mesh.settle();
    await mesh.changeLeader();
    await mesh.report('ann', mesh.given().map(refOf));
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
  });

  it('gives a job of a type that both offer to the node itself and to its worker', async () => {
    const mesh = new Mesh().lead();
    const pools = [{ id: 'wrk_1', types: ['echo'], labels: {}, slots: 1, isDraining: false }];
    await mesh.join('ann', { slots: 1, pools });
    mesh.bench.submit({ id: 'job_1' }, { id: 'job_2' }, { id: 'job_3' });
    await mesh.settle();
    assert.deepEqual(
      mesh
        .given()
        .map(({ pool }) => pool)
        .sort(),
      ['wrk_1', null].sort(),
    );
  });

  it('adds the labels of a worker to those of its node, for its pool alone', async () => {
    const mesh = new Mesh().lead();
    const labels = { gpu: 'a100' };
    const pools = [{ id: 'wrk_1', types: ['echo'], labels, slots: 1, isDraining: false }];
    await mesh.join('ann', { labels: { zone: 'eu' }, pools });
    const require = { zone: 'eu', gpu: 'a100' };
    mesh.bench.submit({ id: 'job_1', affinity: { require } }, { id: 'job_2', affinity: { require } });
    await mesh.settle();
    assert.deepEqual(
      mesh.given().map(({ jobId, pool }) => [jobId, pool]),
      [['job_1', 'wrk_1']],
    );
  });

  it('gives a draining pool nothing, and a pool that went nothing more', async () => {
    const mesh = new Mesh().lead();
    const paint = { id: 'wrk_1', types: ['paint'], labels: {}, slots: 5, isDraining: true };
    await mesh.join('ann', { pools: [paint] });
    mesh.bench.submit({ id: 'job_1', type: 'paint' });
    await mesh.settle();
    assert.deepEqual(mesh.given(), []);
    await mesh.report('ann', [], { pools: [] });
    assert.deepEqual(mesh.given(), []);
    await mesh.report('ann', [], { pools: [{ ...paint, id: 'wrk_2', isDraining: false }] });
    assert.deepEqual(
      mesh.given().map(({ pool }) => pool),
      ['wrk_2'],
    );
  });

  it('explains a node by the pools that offer the type, and by the whole where none does', async () => {
    const mesh = new Mesh().lead();
    const paint = { id: 'wrk_1', types: ['paint'], labels: {}, slots: 1, isDraining: false };
    await mesh.join('ann', { pools: [paint] });
    mesh.bench.submit(
      { id: 'job_1', type: 'paint' },
      { id: 'job_2', type: 'paint' },
      { id: 'job_3', type: 'draw' },
    );
    await mesh.settle();
    const isOut = { peerId: 'ann', pool: null, fits: false, score: null, parts: [] };
    assert.deepEqual(mesh.explain('job_2').nodes, [
      {
        ...isOut,
        isEligible: true,
        reasons: ['attached worker wrk_1: is full: 1 of 1 slots in use'],
      },
    ]);
    assert.deepEqual(mesh.explain('job_3'), {
      state: 'queued',
      waitingFor: 'a node that fits: none of 1 does',
      nodes: [{ ...isOut, isEligible: false, reasons: ['runs no jobs of type draw; it runs echo, paint'] }],
    });
  });

  it('does nothing while nothing happens: no plan costs a command', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann', { types: ['shell'] });
    mesh.bench.submit({ id: 'job_1' });
    await mesh.clock.advance(10_000);
    assert.equal(mesh.proposed('assign'), 0);
    assert.equal(mesh.sent.length, 0);
  });

  it('sends a lost assignment again with the next report, and only while it is missing (P3)', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    assert.deepEqual((await mesh.report('ann')).assign, [], 'it may be on its way');
    await mesh.clock.advance(500);
    const orders = await mesh.report('ann');
    assert.deepEqual(
      orders.assign,
      mesh.given().map(({ to: _, ...assignment }) => assignment),
    );
    await mesh.clock.advance(500);
    const later = await mesh.report('ann', orders.assign.map(refOf));
    assert.deepEqual([later.assign, later.holds.map(({ jobId }) => jobId)], [[], ['job_1']]);
  });

  it('cuts large assignments into messages and answers that fit a frame', async () => {
    const mesh = new Mesh().lead();
    const payload = 'x'.repeat(900_000);
    for (let at = 0; at < 4; at += 1) mesh.bench.submit({ id: `job_${at}`, payload });
    await mesh.join('ann', { slots: 10 });
    assert.deepEqual(
      mesh.sent.map(({ body }) => body.assignments?.length),
      [1, 1, 1, 1],
    );
    await mesh.clock.advance(500);
    assert.equal((await mesh.report('ann')).assign.length, 1);
    assert.equal((await mesh.report('ann')).assign.length, 1);
  });

  it('tells a node to stop what is not agreed', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    const stranger = { jobId: 'job_x', attempt: 1, fencingToken: 5 };
    assert.deepEqual((await mesh.report('ann', [stranger])).abort, [{ ...stranger, reason: 'lost' }]);
  });

  it('gives nothing to a suspect, draining, closed or stopping node', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    await mesh.join('bob', { isDraining: true });
    await mesh.join('eve');
    mesh.sessions.keep('ann' as PeerId, 'ses_ann', true);
    mesh.sessions.forget('eve' as PeerId);
    mesh.bench.submit({ id: 'job_1' });
    await mesh.clock.advance(1_000);
    assert.deepEqual(mesh.givenIds(), []);
    await mesh.report('ann');
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
  });

  it('takes the attempts of a node that came back without them at once', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    await mesh.join('ann', {}, 'ses_ann_2');
    assert.equal(mesh.proposed('settle'), 1);
    assert.deepEqual(
      mesh.given().map(({ attempt, sessionId }) => [attempt, sessionId]),
      [
        [1, 'ses_ann'],
        [2, 'ses_ann_2'],
      ],
    );
    assert.equal(mesh.clock.monotonicMs(), 0);
  });

  it('keeps the attempts that a node still holds over a new session of it', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    mesh.bench.openSession('ann', 'ses_ann_2');
    mesh.sessions.keep('ann' as PeerId, 'ses_ann_2');
    await mesh.report('ann', mesh.given().map(refOf));
    assert.equal(mesh.proposed('settle'), 0);
  });

  it('takes a job from a silent node when the hold has passed, and gives it to another (P4)', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    await mesh.report('ann', mesh.given().map(refOf));
    await mesh.join('bob');
    mesh.sessions.keep('ann' as PeerId, 'ses_ann', true);
    await mesh.clock.advance(3_900);
    assert.equal(mesh.proposed('settle'), 0);
    await mesh.report('bob');
    await mesh.clock.advance(400);
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_1 to bob']);
  });

  it('grants nothing to a node that reports while the loss of its attempt is on its way into the log (H1)', async () => {
    for (const isListed of [true, false]) {
      const mesh = new Mesh().lead();
      await mesh.join('ann');
      mesh.bench.submit({ id: 'job_1' });
      await mesh.settle();
      await mesh.clock.advance(1_000);
      await mesh.report('ann', mesh.given().map(refOf));
      const { promise, resolve } = Promise.withResolvers<void>();
      mesh.leadership.held = promise;
      await mesh.clock.advance(4_300);
      const late = await mesh.report('ann', isListed ? mesh.given().map(refOf) : []);
      assert.deepEqual(late, { assign: [], abort: [], holds: [] });
      resolve();
      await mesh.settle();
      assert.equal(mesh.proposed('settle'), 1);
    }
  });

  it('does not shorten a hold because the session of the silent node was closed', async () => {
    const mesh = new Mesh().lead();
    await mesh.clock.advance(1_000_000);
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1', offline: { holdMs: 600_000 } });
    await mesh.settle();
    await mesh.report('ann', mesh.given().map(refOf));
    await mesh.clock.advance(330_000);
    mesh.sessions.forget('ann' as PeerId);
    await mesh.clock.advance(260_000);
    assert.equal(mesh.proposed('settle'), 0);
    await mesh.clock.advance(10_500);
    assert.equal(mesh.proposed('settle'), 1);
  });

  it('tells the worker of a cancel at once, and again until the attempt is over', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    const refs = mesh.given().map(refOf);
    mesh.bench.do('cancel', { id: 'job_1', reason: null });
    await mesh.settle();
    const abort = refs.map((ref) => ({ ...ref, reason: 'cancelled' }));
    assert.deepEqual(mesh.sent.at(-1), { to: 'ann', method: METHODS.abort, body: { attempts: abort } });
    assert.deepEqual((await mesh.report('ann', refs)).abort, abort);
    assert.deepEqual((await mesh.report('ann', [])).abort, abort, 'its assignment may come still');
    assert.equal(mesh.bench.get('job_1').state, 'cancelling');
  });

  it('waits for a preferred node that is busy, then gives it up', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann', { slots: 1 });
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    await mesh.join('bob', { slots: 1 });
    const affinity = { node: { peerId: 'ann', mode: 'prefer' as const }, waitMs: 1_000 };
    mesh.bench.submit({ id: 'job_2', affinity });
    await mesh.clock.advance(900);
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
    await mesh.clock.advance(400);
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to bob']);
  });

  it('gives a job to its preferred node when that becomes free in time', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann', { slots: 1 });
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    await mesh.join('bob', { slots: 1 });
    mesh.bench.submit({ id: 'job_2', affinity: { node: { peerId: 'ann', mode: 'prefer' } } });
    await mesh.clock.advance(1_500);
    mesh.bench.do('complete', { ...refOf(mesh.given()[0] as Assignment), result: null });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann']);
  });

  it('lets a job that no node can take block no other, whatever its priority', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit(
      { id: 'job_1', type: 'nowhere', priority: 'critical' },
      { id: 'job_2', affinity: { require: { gpu: 'yes' } } },
      { id: 'job_3', priority: 'low' },
    );
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_3 to ann']);
    const explained = (await mesh.leadership.handlers.get('jobs/explain')?.({
      from: 'ann' as PeerId,
      body: { id: 'job_1' },
    })) as { waitingFor: string; nodes: { reasons: string[] }[] };
    assert.match(explained.waitingFor, /none of 1/);
    assert.match(explained.nodes[0]?.reasons.join() ?? '', /nowhere/);
  });

  it('forgets no job whose assignment was refused or not agreed', async () => {
    const mesh = new Mesh().lead();
    mesh.leadership.refusal = new AspenError('NO_QUORUM', 'cut off');
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' }, { id: 'job_2' });
    await mesh.clock.advance(600);
    assert.deepEqual(mesh.givenIds(), []);
    mesh.leadership.refusal = undefined;
    mesh.bench.openSession('ann', 'ses_unheard'); // what is proposed with the session known here is refused
    await mesh.clock.advance(600);
    assert.deepEqual(mesh.givenIds(), []);
    await mesh.join('ann', {}, 'ses_heard');
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann']);
  });

  it('goes on from what is agreed when it takes over: runs are kept, waiting jobs given', async () => {
    const mesh = new Mesh().lead();
    await mesh.join('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    await mesh.changeLeader();
    mesh.bench.submit({ id: 'job_2' }, { id: 'job_3' });
    await mesh.report('ann', mesh.given().map(refOf));
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann']);
    await mesh.clock.advance(3_500);
    assert.equal(mesh.proposed('settle'), 0);
  });

  it('queues scheduled jobs when they are due, thousands at once, and removes what has expired', async () => {
    const mesh = new Mesh().lead();
    mesh.bench.submit(
      ...Array.from({ length: 2_500 }, (_, at) => ({ id: `job_${at}`, delayMs: 1_000, retentionMs: 1_000 })),
    );
    await mesh.clock.advance(900);
    assert.equal(mesh.bench.waiting().length, 0);
    await mesh.clock.advance(300);
    assert.equal(mesh.bench.waiting().length, 2_500);
    mesh.bench.do('cancel', { id: 'job_7', reason: null });
    await mesh.clock.advance(1_400);
    assert.equal(mesh.bench.record('job_7'), undefined);
  });

  it('reads a long queue in slices when it takes over, and plans without looking at all of it', async () => {
    const mesh = new Mesh();
    for (let at = 0; at < 10; at += 1) {
      const jobs = Array.from({ length: 1_000 }, (_, of) => ({
        id: `job_${at}_${of}`,
        affinity: { key: `k${of}` },
      }));
      mesh.bench.submit(...jobs);
    }
    mesh.lead();
    await mesh.join('ann', { slots: 1 });
    for (let times = 1; times < 300; times += 1) {
      const before = mesh.leadership.readCount;
      mesh.bench.do('complete', { ...refOf(mesh.given().at(-1) as Assignment), result: null });
      await mesh.settle();
      if (times > 20) assert.ok(mesh.leadership.readCount - before < 10);
    }
    assert.deepEqual(mesh.givenIds().at(-1), 'job_0_299 to ann');
    mesh.bench.do('complete', { ...refOf(mesh.given().at(-1) as Assignment), result: null });
    await mesh.report('ann', [], { slots: 9_700 });
    await mesh.settle();
    assert.equal(new Set(mesh.givenIds()).size, 10_000);
    assert.equal(mesh.given().length, 10_000);
  });
});

describe('whoever waits for a job', () => {
  async function waiting(): Promise<{ mesh: Mesh; ask: (waitMs: number) => Promise<JobView> }> {
    const mesh = new Mesh();
    serveWaiters(mesh.leadership, mesh.clock);
    mesh.bench.submit({ id: 'job_1' });
    const ask = (waitMs: number) =>
      mesh.leadership.handlers.get('jobs/wait')?.({
        from: 'p' as PeerId,
        body: { id: 'job_1', waitMs },
      }) as Promise<JobView>;
    return { mesh, ask };
  }

  it('is told as soon as it is final', async () => {
    const { mesh, ask } = await waiting();
    const answer = ask(2_000);
    await mesh.clock.advance(10);
    mesh.bench.do('cancel', { id: 'job_1', reason: null });
    assert.equal((await answer).state, 'cancelled');
  });

  it('is told how it is when the time is over', async () => {
    const { mesh, ask } = await waiting();
    const answer = ask(1_000);
    await mesh.clock.advance(1_000);
    assert.equal((await answer).state, 'queued');
  });

  it('is sent to the next leader when the leadership ends, and no timer goes off later', async () => {
    const { mesh, ask } = await waiting();
    const answer = assert.rejects(ask(1_000), (error: AspenError) => error.code === 'NOT_LEADER');
    await mesh.clock.advance(10);
    mesh.leadership.end();
    await answer;
    await mesh.clock.advance(2_000);
  });

  it('with a malformed question is refused', async () => {
    const { ask } = await waiting();
    await assert.rejects(
      async () => ask(-1),
      (error: AspenError) => error.code === 'INVALID_PARAMS',
    );
  });
});

function refOf({ jobId, attempt, fencingToken }: AttemptRef): AttemptRef {
  return { jobId, attempt, fencingToken };
}
