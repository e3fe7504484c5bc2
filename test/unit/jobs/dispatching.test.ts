import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RESULT_BYTES_LIMIT } from '../../../src/jobs/outcome.ts';
import { JobsWorld } from './jobs-world.ts';

const outcomesOf = (world: JobsWorld, id: string) =>
  world.job(id).history.map(({ node, outcome }) => `${outcome} on ${node}`);

describe('dispatching', () => {
  it('starts a job at once when a slot is free, without polling (P1)', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    await world.clock.advance(10_000);
    const atMs = world.clock.monotonicMs();
    const id = await world.submit({ payload: { ms: 0 } });
    await world.clock.advance(20);
    assert.equal(world.job(id).state, 'succeeded');
    assert.ok((world.executions[0]?.fromMs ?? Number.POSITIVE_INFINITY) - atMs < 15);
  });

  it('gives a node no more than its slots, and the next job as soon as one is free (P2, X4)', async () => {
    const world = new JobsWorld();
    await world.addNode('ann', { slots: 2 });
    const first = await world.submit({ payload: { ms: 1_000 } });
    const second = await world.submit({ payload: { ms: 5_000 } });
    const third = await world.submit({ payload: { ms: 100 } });
    await world.clock.advance(500);
    assert.deepEqual(
      [first, second, third].map((id) => world.job(id).state),
      ['running', 'running', 'queued'],
    );
    await world.clock.advance(510);
    assert.equal(world.job(third).state, 'running');
    world.checkLaws();
  });

  it('runs the most urgent first, and equal ones in the order of submission', async () => {
    const world = new JobsWorld();
    const ids = ['job_a', 'job_b', 'job_c', 'job_d'];
    for (const [at, id] of ids.entries())
      await world.submit({ payload: { ms: 10 }, priority: at === 2 ? 9 : 5 }, id);
    await world.addNode('ann', { slots: 1 });
    await world.clock.advance(1_000);
    assert.deepEqual(
      world.executions.map(({ jobId }) => jobId),
      ['job_c', 'job_a', 'job_b', 'job_d'],
    );
  });

  it('lets no job that fits nowhere hold up the others', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const stuck = await world.submit({ priority: 10, affinity: { require: { gpu: 'yes' } } });
    const foreign = await world.submit({ priority: 10, type: 'unheard-of' });
    const plain = await world.submit({ priority: 1, payload: { ms: 1 } });
    await world.clock.advance(100);
    assert.deepEqual(
      [stuck, foreign, plain].map((id) => world.job(id).state),
      ['queued', 'queued', 'succeeded'],
    );
    const explained = (await world.clock.until(world.ask('jobs/explain', { id: foreign }))) as {
      waitingFor: string;
      nodes: { fits: boolean; reasons: string[] }[];
    };
    assert.match(explained.waitingFor, /a node that fits: none of 1/);
    assert.match(explained.nodes[0]?.reasons.join() ?? '', /runs no jobs of type unheard-of; it runs work/);
  });

  it('makes up for a lost push at the next report (P3)', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    world.copiesOf = () => 0;
    const id = await world.submit({ payload: { ms: 10 } });
    await world.clock.advance(100);
    assert.equal(world.executions.length, 0);
    await world.clock.advance(2_500);
    assert.equal(world.job(id).state, 'succeeded');
    assert.equal(world.job(id).attempt, 1);
  });

  it('runs an assignment that comes three times, also late, once (X1)', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    world.copiesOf = () => 3;
    const quick = await world.submit({ payload: { ms: 0 } });
    const slow = await world.submit({ payload: { ms: 3_000 } });
    await world.clock.advance(4_000);
    assert.deepEqual([world.job(quick).state, world.job(slow).state], ['succeeded', 'succeeded']);
    assert.equal(world.executions.length, 2);
    world.checkLaws();
  });

  it('lets a job wait again whose assignment was refused because the session had changed', async () => {
    const world = new JobsWorld();
    await world.addNode('ann', { slots: 1 });
    await world.addNode('bob', { slots: 1 });
    const leading = world.leading;
    assert.ok(leading !== undefined);
    const open = { peerId: 'bob', incarnation: 'other', sessionId: 'ses_other' };
    const ids = ['job_a', 'job_b'];
    const submitted = world.clock.until(
      Promise.all(ids.map((id) => world.submit({ payload: { ms: 50 } }, id))),
    );
    const stop = leading.onFacts(() => {
      stop[Symbol.dispose]();
      void leading.propose({ module: 'sessions', kind: 'open', body: open }); // stands in the log before the assignment
    });
    await submitted;
    await world.clock.advance(5_000);
    assert.deepEqual(
      ids.map((id) => world.job(id).state),
      ['succeeded', 'succeeded'],
    );
    world.checkLaws();
  });

  it('waits for a preferred node that is away, but not for long', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const spec = { payload: { ms: 1 }, affinity: { node: { peerId: 'bob', mode: 'prefer' as const } } };
    const inVain = await world.submit(spec);
    await world.clock.advance(1_800);
    assert.equal(world.job(inVain).state, 'queued');
    await world.clock.advance(600);
    assert.equal(world.job(inVain).node, 'ann');
    const inTime = await world.submit(spec);
    await world.clock.advance(1_000);
    await world.addNode('bob');
    await world.clock.advance(100);
    assert.equal(world.job(inTime).node, 'bob');
  });

  it('gives no new work to a node that missed its renewals', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann', { slots: 8 });
    await world.addNode('bob', { slots: 1 });
    ann.isLinked = false;
    await world.clock.advance(5_000);
    const ids = [await world.submit({ payload: { ms: 10 } }), await world.submit({ payload: { ms: 10 } })];
    await world.clock.advance(200);
    assert.deepEqual(
      ids.map((id) => world.job(id).node),
      ['bob', 'bob'],
    );
  });

  it('refuses a malformed report and question', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann');
    const renewal = {
      sessionId: ann.session.sessionId,
      incarnation: 'ann-1',
      sequence: 9,
      report: { slots: -1 },
    };
    await assert.rejects(world.clock.until(world.ask('session/renew', renewal, 'ann' as never)), {
      code: 'INVALID_PARAMS',
    });
    await assert.rejects(world.clock.until(world.ask('jobs/explain', {})), { code: 'INVALID_PARAMS' });
  });
});

describe('attempts of a node', () => {
  it('that is cut off end there before they begin elsewhere, and can no longer complete (H1, X2)', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann');
    const id = await world.submit({ payload: { ms: 8_000 } });
    await world.clock.advance(1_000);
    await world.addNode('bob');
    ann.isLinked = false;
    await world.clock.advance(6_000);
    assert.deepEqual(
      world.executionsOf(id).map(({ node }) => node),
      ['ann', 'bob'],
    );
    assert.equal(world.executionsOf(id)[0]?.stoppedBy, 'lost');
    ann.isLinked = true;
    await world.clock.advance(10_000);
    assert.deepEqual(outcomesOf(world, id), ['lost on ann', 'succeeded on bob']);
    world.checkLaws();
  });

  it('survive a silence of a tenth of their run time, and go on', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann');
    await world.addNode('bob');
    const id = await world.submit({
      payload: { ms: 120_000 },
      affinity: { node: { peerId: 'ann', mode: 'prefer' } },
    });
    await world.clock.advance(100_000);
    ann.isLinked = false;
    await world.clock.advance(8_500);
    ann.isLinked = true;
    await world.clock.advance(20_000);
    assert.deepEqual(outcomesOf(world, id), ['succeeded on ann']);
    world.checkLaws();
  });

  it('keep the hold they were granted when the leader changes in a quiet group (H2, P5)', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann');
    await world.addNode('bob');
    const id = await world.submit({
      payload: { ms: 200_000 },
      affinity: { node: { peerId: 'ann', mode: 'prefer' } },
    });
    await world.clock.advance(100_000);
    ann.isLinked = false;
    world.resign();
    await world.clock.advance(1_500);
    world.elect();
    await world.clock.advance(30_000);
    assert.deepEqual(
      world.executionsOf(id).map(({ node }) => node),
      ['ann', 'bob'],
    );
    world.checkLaws();
  });

  it('keep a long hold of their own although the session was closed', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann');
    await world.clock.advance(700_000); // the leader leads for longer than the hold
    await world.addNode('bob');
    const id = await world.submit({
      payload: { ms: 1_000_000 },
      offline: { holdMs: 600_000 },
      affinity: { node: { peerId: 'ann', mode: 'prefer' } },
    });
    await world.clock.advance(1_000);
    ann.isLinked = false;
    await world.clock.advance(590_000);
    assert.equal(world.job(id).attempt, 1);
    ann.isLinked = true;
    await world.clock.advance(500_000);
    assert.deepEqual(outcomesOf(world, id), ['succeeded on ann']);
  });

  it('that was killed and started again are lost at once, not after their hold (P4)', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann');
    const id = await world.submit({ payload: { ms: 5_000 }, retry: { maxAttempts: 1 } });
    await world.clock.advance(60_000 - 58_000);
    await ann.restart();
    await world.clock.advance(1_500);
    assert.equal(world.job(id).attempt, 2);
    assert.deepEqual(outcomesOf(world, id), ['lost on ann']);
    await world.clock.advance(6_000);
    assert.equal(world.job(id).state, 'succeeded', 'a lost attempt is not one of maxAttempts');
    world.checkLaws();
  });

  it('are lost at once when it is revoked (P4)', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit();
    await world.clock.advance(1_000);
    await world.propose({ module: 'members', kind: 'revoke', body: { peerId: 'ann' } });
    await world.clock.advance(10);
    assert.match(world.job(id).history[0]?.error?.message ?? '', /revoked/);
  });

  it('finish when it stops in order, and are handed over when they do not, without being counted as lost', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann', { drainMs: 2_000 });
    const quick = await world.submit({ payload: { ms: 1_000 } });
    const long = await world.submit({ payload: { ms: 5_000, stubbornMs: 1_000 } });
    await world.clock.advance(100);
    await world.addNode('bob');
    await world.clock.until(ann.worker.stop());
    assert.equal(world.job(quick).state, 'succeeded');
    await world.clock.advance(6_000);
    assert.deepEqual(outcomesOf(world, long), ['lost on ann', 'succeeded on bob']);
    assert.match(world.job(long).history[0]?.error?.message ?? '', /stopping/);
    world.checkLaws();
  });

  it('that may begin once are not begun again when their node stops, and are where they never began', async () => {
    const world = new JobsWorld();
    const ann = await world.addNode('ann', { slots: 1, drainMs: 1_000 });
    const retry = { maxAttempts: 1, maxLosses: 0 };
    const begun = await world.submit({ retry, payload: { ms: 30_000 } });
    await world.clock.advance(100);
    await world.addNode('bob');
    await world.clock.until(ann.worker.stop());
    await world.clock.advance(6_000);
    assert.equal(world.job(begun).state, 'dead');
    assert.match(world.job(begun).error?.message ?? '', /maxLosses is 0.*stopping/);
    assert.equal(world.executionsOf(begun).length, 1);
    world.checkLaws();
  });

  it('end at once after a sleep of the machine, and are given back', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit({ payload: { ms: 2_000 } });
    await world.clock.advance(500);
    world.clock.wallOffsetMs += 60_000; // the wall went on while the monotonic clock stood still
    await world.clock.advance(3_500);
    assert.deepEqual(
      world.executionsOf(id).map(({ stoppedBy }) => stoppedBy),
      ['lost', null],
    );
    assert.equal(world.job(id).state, 'succeeded');
    world.checkLaws();
  });
});

describe('jobs', () => {
  it('that run are stopped when they are cancelled, and only then cancelled', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit({ payload: { stubbornMs: 700 } });
    await world.clock.advance(100);
    await world.cancel(id);
    await world.clock.advance(100);
    assert.equal(world.job(id).state, 'cancelling');
    await world.clock.advance(700);
    assert.equal(world.job(id).state, 'cancelled');
    assert.equal(world.executions[0]?.stoppedBy, 'cancelled');
  });

  it('whose assignment never arrived are cancelled without a worker', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    world.copiesOf = () => 0;
    const id = await world.submit();
    await world.clock.advance(100);
    await world.cancel(id);
    await world.clock.advance(3_000);
    assert.equal(world.job(id).state, 'cancelled');
    assert.equal(world.executions.length, 0);
  });

  it('that take longer than their timeout are stopped, and fail with TIMEOUT', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit({ timeoutMs: 500, retry: { maxAttempts: 2, backoff: 'none' } });
    await world.clock.advance(2_000);
    const { state, error, history } = world.job(id);
    assert.deepEqual([state, error?.code, history.length], ['dead', 'TIMEOUT', 2]);
  });

  it('that fail are tried again after a pause, and keep their error when they are dead', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const retry = { maxAttempts: 3, backoff: [200, 400], jitter: 'none' as const };
    const recovers = await world.submit({ payload: { ms: 1, failsBelowAttempt: 3 }, retry });
    const dies = await world.submit({ payload: { ms: 1, failsBelowAttempt: 9 }, retry });
    await world.clock.advance(100);
    assert.deepEqual([world.job(recovers).state, world.job(dies).state], ['scheduled', 'scheduled']);
    await world.clock.advance(2_000);
    assert.deepEqual([world.job(recovers).state, world.job(recovers).attempt], ['succeeded', 3]);
    assert.deepEqual([world.job(dies).state, world.job(dies).error?.code], ['dead', 'FAILED']);
  });

  it('with a result beyond the limit fail and say so', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit({ payload: { ms: 1, resultBytes: RESULT_BYTES_LIMIT + 1 } });
    await world.clock.advance(100);
    assert.deepEqual([world.job(id).state, world.job(id).error?.code], ['dead', 'RESULT_TOO_LARGE']);
  });

  it('do not wait for their delay again when the leader changes in a quiet group (P5)', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit({ payload: { ms: 1 }, delayMs: 60_000 });
    await world.clock.advance(58_000);
    world.elect();
    await world.clock.advance(4_000);
    assert.equal(world.job(id).state, 'succeeded');
  });

  it('are given out by the next leader, who knows them by a scan', async () => {
    const world = new JobsWorld();
    const id = await world.submit({ payload: { ms: 1 } });
    const running = await world.submit({ payload: { ms: 3_000 } });
    world.elect();
    await world.addNode('ann');
    await world.clock.advance(500);
    world.elect();
    await world.clock.advance(4_000);
    assert.deepEqual([world.job(id).state, world.job(running).state], ['succeeded', 'succeeded']);
    assert.equal(world.job(running).attempt, 1);
    world.checkLaws();
  });
});

describe('a wait for a job', () => {
  it('is answered when it is final, or as it is when the time is over', async () => {
    const world = new JobsWorld();
    await world.addNode('ann');
    const id = await world.submit({ payload: { ms: 1_000 } });
    const tooShort = world.ask('jobs/wait', { id, waitMs: 200 });
    const inTime = world.ask('jobs/wait', { id, waitMs: 2_000 });
    assert.equal(((await world.clock.until(tooShort)) as { state: string }).state, 'running');
    assert.equal(((await world.clock.until(inTime)) as { state: string }).state, 'succeeded');
    await assert.rejects(world.clock.until(world.ask('jobs/wait', { id: 'job_none', waitMs: 0 })), {
      code: 'NOT_FOUND',
    });
  });

  it('is sent to the next leader when the leadership ends, and its timer finds nothing to do', async () => {
    const world = new JobsWorld();
    const id = await world.submit();
    const waiting = world.ask('jobs/wait', { id, waitMs: 2_000 });
    const refused = assert.rejects(waiting, { code: 'NOT_LEADER' });
    await world.clock.advance(100);
    world.resign();
    await refused;
    await world.clock.advance(5_000);
  });
});

describe('whatever fails', () => {
  type Fault = {
    readonly at: number;
    readonly node: number;
    readonly kind: 'cut' | 'heal' | 'restart' | 'elect' | 'vacancy';
  };
  const fault: fc.Arbitrary<Fault> = fc.record({
    at: fc.nat({ max: 30_000 }),
    node: fc.nat({ max: 2 }),
    kind: fc.constantFrom('cut', 'cut', 'heal', 'heal', 'restart', 'elect', 'vacancy'),
  });
  const work = fc.record({ at: fc.nat({ max: 20_000 }), ms: fc.constantFrom(0, 50, 3_000, 9_000) });

  it('no attempt begins twice, no job runs in two places, and everything ends once faults are over (X1, X2, X4, H1, H2)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 14 }),
        fc.array(work, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 9 }),
        async (faults, works, copies) => {
          const world = new JobsWorld();
          let sent = 0;
          world.copiesOf = () => copies[sent++ % copies.length] ?? 1;
          for (const name of ['ann', 'bob', 'cid']) await world.addNode(name);
          const ids = await live(world, faults, works);
          for (const node of world.nodes.values()) node.isLinked = true;
          if (world.leading === undefined) world.elect();
          world.copiesOf = () => 1;
          await world.clock.advance(80_000);
          world.checkLaws();
          for (const id of ids)
            assert.ok(['succeeded', 'dead'].includes(world.job(id).state), world.job(id).state);
        },
      ),
      { numRuns: 25 },
    );
  });

  async function live(
    world: JobsWorld,
    faults: readonly Fault[],
    works: readonly { readonly at: number; readonly ms: number }[],
  ): Promise<string[]> {
    const ids: string[] = [];
    const nodes = [...world.nodes.values()];
    const steps = [
      ...faults.map((one) => ({
        at: one.at,
        run: async () => hurt(world, nodes[one.node] as never, one.kind),
      })),
      ...works.map(({ at, ms }, number) => ({
        at,
        run: async () => {
          if (world.leading === undefined) world.elect();
          ids.push(await world.submit({ payload: { ms } }, `job_${number}`));
        },
      })),
    ].sort((left, right) => left.at - right.at);
    let nowMs = 0;
    for (const { at, run } of steps) {
      await world.clock.advance(at - nowMs);
      nowMs = at;
      await run();
    }
    return ids;
  }

  async function hurt(
    world: JobsWorld,
    node: { isLinked: boolean; restart(): Promise<void> },
    kind: Fault['kind'],
  ): Promise<void> {
    if (kind === 'cut') node.isLinked = false;
    else if (kind === 'heal') node.isLinked = true;
    else if (kind === 'restart') await node.restart();
    else if (kind === 'elect') world.elect();
    else world.resign();
  }
});
