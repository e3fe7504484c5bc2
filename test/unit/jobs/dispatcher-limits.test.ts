import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JobSpecInput } from '../../../src/jobs/index.ts';
import type { LiveIndex } from '../../../src/jobs/live-index.ts';
import { heldBack } from '../../../src/jobs/starts.ts';
import type { Bucket } from '../../../src/lease/machine/index.ts';
import { resultOf } from '../lease/machine/support.ts';
import { Mesh } from './dispatcher-mesh.ts';

type Jobs = ({ readonly id: string } & Partial<JobSpecInput>)[];

function limit(mesh: Mesh, name: string, patch: object, scope = 'queue'): void {
  resultOf(mesh.bench.do('limit', { scope, name, ...patch }));
}

/** What is proposed is applied only when it was let go on. @returns lets it. */
function stall(mesh: Mesh): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  mesh.leadership.held = promise;
  return () => {
    mesh.leadership.held = undefined;
    resolve();
  };
}

async function withNode(slots = 10): Promise<Mesh> {
  const mesh = new Mesh().lead();
  await mesh.join('ann', { slots });
  return mesh;
}

function running(mesh: Mesh): string[] {
  return mesh.bench
    .records()
    .filter(({ state }) => state === 'running')
    .map(({ id }) => id);
}

async function complete(mesh: Mesh, id: string): Promise<void> {
  const { running: attempt } = mesh.bench.record(id) ?? {};
  const ref = { jobId: id, attempt: attempt?.attempt, fencingToken: attempt?.fencingToken };
  resultOf(mesh.bench.do('complete', { ...ref, result: null }));
  await mesh.settle();
}

describe('the dispatcher and limits', () => {
  it('keeps a queue within its concurrency and goes on as each ends, without the clock moving (P9)', async () => {
    const mesh = await withNode();
    limit(mesh, 'mail', { concurrency: 2 });
    mesh.bench.submit(...[1, 2, 3, 4].map((at) => ({ id: `job_${at}`, queue: 'mail' })), { id: 'job_5' });
    await mesh.settle();
    assert.deepEqual(running(mesh), ['job_1', 'job_2', 'job_5']);
    await complete(mesh, 'job_1');
    assert.deepEqual(running(mesh), ['job_2', 'job_3', 'job_5']);
  });

  it('proposes nothing while all that waits is held back', async () => {
    const mesh = await withNode();
    mesh.bench.do('pauseQueue', { queue: 'mail', reason: null });
    mesh.bench.submit(...Array.from({ length: 50 }, (_, at) => ({ id: `job_${at}`, queue: 'mail' })));
    await mesh.settle();
    await mesh.clock.advance(5_000);
    assert.equal(mesh.proposed('assign'), 0);
    mesh.bench.do('resumeQueue', { queue: 'mail' });
    await mesh.settle();
    assert.equal(running(mesh).length, 10);
  });

  it('gives the next job of a rate at the moment it may start', async () => {
    const mesh = await withNode();
    limit(mesh, 'mail', { ratePerSecond: 10, burst: 1 });
    mesh.bench.submit(...[1, 2, 3].map((at) => ({ id: `job_${at}`, queue: 'mail' })));
    await mesh.settle();
    assert.equal(running(mesh).length, 1);
    await mesh.clock.advance(99);
    await mesh.settle();
    assert.equal(running(mesh).length, 1);
    await mesh.clock.advance(1);
    await mesh.settle();
    assert.equal(running(mesh).length, 2);
    await mesh.clock.advance(100);
    await mesh.settle();
    assert.equal(running(mesh).length, 3);
  });

  it('sets the jobs of a full key aside, so that they hold up no other key (P8)', async () => {
    const mesh = await withNode();
    limit(mesh, 'mail', { perKey: 1 });
    const ofX: Jobs = [1, 2, 3].map((at) => ({ id: `job_x${at}`, queue: 'mail', concurrencyKey: 'x' }));
    mesh.bench.submit(
      ...ofX,
      { id: 'job_y', queue: 'mail', concurrencyKey: 'y' },
      { id: 'job_z', queue: 'mail' },
    );
    await mesh.settle();
    assert.deepEqual(running(mesh), ['job_x1', 'job_y', 'job_z']);
    await complete(mesh, 'job_x1');
    assert.deepEqual(running(mesh), ['job_x2', 'job_y', 'job_z']);
    mesh.bench.do('cancel', { id: 'job_x3', reason: null });
    mesh.bench.submit({ id: 'job_x4', queue: 'mail', concurrencyKey: 'x' });
    await complete(mesh, 'job_x2');
    assert.deepEqual(running(mesh), ['job_x4', 'job_y', 'job_z']);
  });

  it('tries what is set aside again when the limit is lifted', async () => {
    const mesh = await withNode();
    limit(mesh, 'mail', { perKey: 1 });
    mesh.bench.submit(...[1, 2, 3].map((at) => ({ id: `job_${at}`, queue: 'mail', concurrencyKey: 'x' })));
    await mesh.settle();
    assert.equal(running(mesh).length, 1);
    limit(mesh, 'mail', { perKey: null });
    await mesh.settle();
    assert.equal(running(mesh).length, 3);
  });

  it('keeps to the limits when the leader changes', async () => {
    const mesh = await withNode();
    limit(mesh, 'mail', { concurrency: 2 });
    limit(mesh, 'team', { concurrency: 1 }, 'namespace');
    mesh.bench.submit(
      ...[1, 2, 3].map((at) => ({ id: `job_${at}`, queue: 'mail' })),
      ...[4, 5].map((at) => ({ id: `job_${at}`, namespace: 'team' })),
    );
    await mesh.settle();
    await mesh.changeLeader();
    await mesh.report('ann', []);
    await mesh.settle();
    assert.deepEqual(running(mesh), ['job_1', 'job_2', 'job_4']);
  });

  it('plans on while a plan is on its way, counting what that will start, or not (P16)', async () => {
    const mesh = await withNode();
    limit(mesh, 'mail', { concurrency: 2, perKey: 1 });
    const release = stall(mesh);
    const planned: number[] = [];
    mesh.leadership.onProposed(({ kind, body }) => {
      if (kind === 'assign') planned.push((body as { assignments: unknown[] }).assignments.length);
    });
    mesh.bench.submit({ id: 'job_1', queue: 'mail', concurrencyKey: 'x' });
    await mesh.settle();
    mesh.bench.submit({ id: 'job_2', queue: 'mail', concurrencyKey: 'x' }, { id: 'job_3', queue: 'mail' });
    await mesh.settle();
    mesh.bench.submit({ id: 'job_4', queue: 'mail' }, { id: 'job_5' });
    await mesh.settle();
    assert.deepEqual(planned, [1, 1, 1]);
    mesh.bench.do('cancel', { id: 'job_1', reason: null }); // its start will be refused
    release();
    await mesh.settle();
    assert.deepEqual(running(mesh), ['job_2', 'job_3', 'job_5']);
  });

  it('plans on while a delivery of a hook waits (P16)', async () => {
    const mesh = await withNode();
    const unfiltered = { type: null, queue: null, labels: {}, secretName: null };
    const hook = { id: 'hook_1', url: 'https://example.org/', on: ['job.cancelled'], ...unfiltered };
    resultOf(mesh.bench.do('addHook', hook));
    mesh.bench.submit({ id: 'job_1' });
    mesh.bench.do('cancel', { id: 'job_1', reason: null });
    const release = stall(mesh);
    let planCount = 0;
    mesh.leadership.onProposed(({ kind }) => {
      if (kind === 'assign') planCount += 1;
    });
    for (const at of [2, 3, 4]) {
      mesh.bench.submit({ id: `job_${at}` });
      await mesh.settle();
    }
    assert.equal(planCount, 3);
    release();
    await mesh.settle();
    assert.deepEqual(running(mesh), ['job_2', 'job_3', 'job_4']);
  });

  it('says what holds a job back', async () => {
    const mesh = await withNode(1);
    mesh.bench.do('pauseQueue', { queue: 'mail', reason: 'moving house' });
    limit(mesh, 'web', { concurrency: 1 });
    limit(mesh, 'api', { ratePerSecond: 2, burst: 1 });
    mesh.bench.submit(
      { id: 'job_1', queue: 'mail' },
      { id: 'job_2', queue: 'web' },
      { id: 'job_3', queue: 'web' },
    );
    await mesh.settle();
    assert.equal(mesh.explain('job_1').waitingFor, 'queue mail is paused: moving house');
    assert.equal(mesh.explain('job_3').waitingFor, 'limit of queue web: 1 of 1 run');
    await complete(mesh, 'job_2');
    await complete(mesh, 'job_3');
    mesh.bench.submit({ id: 'job_4', queue: 'api' }, { id: 'job_5', queue: 'api' });
    await mesh.settle();
    assert.equal(mesh.explain('job_5').waitingFor, 'rate of queue api: next in 500 ms');
  });
});

const QUEUES = ['default', 'a', 'b'];
const KEYS = [undefined, 'x', 'y'];

const limitOf = fc.option(fc.integer({ min: 1, max: 3 }), { nil: null });
const rateOf = fc.option(fc.constantFrom(1, 5, 50), { nil: null });
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      queue: fc.constantFrom(...QUEUES),
      key: fc.constantFrom(...KEYS),
      namespace: fc.constantFrom('default', 'team'),
      type: fc.constantFrom('echo', 'echo2'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), at: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      scope: fc.constant('queue'),
      name: fc.constantFrom(...QUEUES),
      patch: fc.record({ concurrency: limitOf, perKey: limitOf, ratePerSecond: rateOf }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      scope: fc.constant('namespace'),
      name: fc.constant('team'),
      patch: fc.record({ concurrency: limitOf }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pause' as const), queue: fc.constantFrom(...QUEUES) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resume' as const), queue: fc.constantFrom(...QUEUES) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 400 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('changeLeader' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('goOn' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Steps of a model, and whether what is proposed is stalled now. */
class Walk {
  readonly mesh = new Mesh().lead();
  #release: (() => void) | undefined;

  get isStalled(): boolean {
    return this.#release !== undefined;
  }

  async take(one: Step, number: number): Promise<void> {
    if (one.do === 'stall') this.#release ??= stall(this.mesh);
    if (one.do === 'goOn' || one.do === 'changeLeader') {
      this.#release?.();
      this.#release = undefined;
    }
    await take(this.mesh, one, number);
  }
}

async function take(mesh: Mesh, one: Step, number: number): Promise<void> {
  const ids = mesh.bench.records();
  if (one.do === 'submit') {
    const { queue, key, namespace, type } = one;
    const id = `job_${number}`;
    mesh.bench.submit({ id, queue, namespace, type, ...(key !== undefined && { concurrencyKey: key }) });
  } else if (one.do === 'limit') {
    const { scope, name, patch } = one;
    mesh.bench.do('limit', { scope, name, ...patch });
  } else if (one.do === 'pause') mesh.bench.do('pauseQueue', { queue: one.queue, reason: null });
  else if (one.do === 'resume') mesh.bench.do('resumeQueue', { queue: one.queue });
  else if (one.do === 'wait') await mesh.clock.advance(one.ms);
  else if (one.do === 'changeLeader') await mesh.changeLeader();
  else if (one.do === 'cancel' && ids.length > 0)
    mesh.bench.do('cancel', { id: ids[one.at % ids.length]?.id, reason: null });
  else if (one.do === 'end') {
    const held = ids.filter(({ running: attempt }) => attempt !== null);
    const record = held[one.at % Math.max(1, held.length)];
    const said = { jobId: record?.id, attempt: record?.attempt, fencingToken: record?.running?.fencingToken };
    if (record !== undefined) mesh.bench.do('complete', { ...said, result: null });
  }
  await mesh.settle();
}

/** Nothing waits that could start: no wish to plan was lost (P8, P9). */
function checkNothingIdles(mesh: Mesh, slots: number): void {
  const records = mesh.bench.records();
  if (records.filter(({ running: attempt }) => attempt !== null).length >= slots) return;
  const jobs = mesh.bench.machine.read('jobs');
  const { limits, hooks, tallies } = jobs.derived<LiveIndex>();
  const buckets = jobs.table<Bucket>('buckets');
  const groupMs = Math.max(mesh.bench.groupMs, Math.floor(mesh.clock.monotonicMs()));
  for (const { id, spec, state } of records) {
    if (state !== 'queued') continue;
    const held = heldBack(spec, { limits, hooks, running: tallies, buckets, groupMs });
    assert.ok(held !== undefined, `${id} could start and does not`);
  }
}

describe('whatever limits there are', () => {
  it('gives the slot of a plan that was refused to whoever waits (P16)', async () => {
    const submit = (queue: string): Step => ({
      do: 'submit',
      queue,
      key: undefined,
      namespace: 'default',
      type: 'echo',
    });
    const steps: readonly Step[] = [
      submit('default'),
      { do: 'stall' },
      submit('a'),
      { do: 'pause', queue: 'a' },
      submit('default'),
      { do: 'goOn' },
    ];
    const walk = new Walk();
    await walk.mesh.join('ann', { slots: 2, types: ['echo'] });
    for (const [number, one] of steps.entries()) await walk.take(one, number);
    checkNothingIdles(walk.mesh, 2);
  });

  it('lets nothing idle that could start, and keeps its indexes (P8, P9, Q1, Q2)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const slots = 6;
        const walk = new Walk();
        const { mesh } = walk;
        await mesh.join('ann', { slots, types: ['echo', 'echo2'] });
        for (const [number, one] of [...steps, { do: 'goOn' } as const].entries()) {
          await walk.take(one, number);
          if (one.do === 'changeLeader') await mesh.report('ann', []);
          mesh.bench.checkIndexes();
          if (!walk.isStalled) checkNothingIdles(mesh, slots);
        }
      }),
      { numRuns: 60 },
    );
  });
});
