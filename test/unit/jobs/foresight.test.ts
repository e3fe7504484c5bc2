import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JobSpecInput } from '../../../src/jobs/index.ts';
import { submitBody } from '../../../src/jobs/index.ts';
import type { AttemptRef } from '../../../src/jobs/settlement.ts';
import { resultOf } from '../lease/machine/support.ts';
import { Mesh } from './dispatcher-mesh.ts';
import { specOf } from './jobs-bench.ts';

type Jobs = ({ readonly id: string } & Partial<JobSpecInput>)[];

/** Submits as a client does, over the log. */
function propose(mesh: Mesh, ...jobs: Jobs): Promise<unknown> {
  const body = submitBody(jobs.map(({ id, ...spec }) => ({ id, spec: specOf(spec) })));
  return mesh.leadership.propose({ module: 'jobs', kind: 'submit', body });
}

/** What stands in the log, one word for each command. */
function log(mesh: Mesh): string[] {
  return mesh.bench.applied.flatMap(({ kind, body }) => {
    const { jobs = [], assignments = [] } = body as { jobs?: unknown[]; assignments?: { jobId: string }[] };
    if (kind === 'submit') return [`submit ${jobs.map((job) => (job as [string])[0]).join(' ')}`];
    return kind === 'assign' ? [`assign ${assignments.map(({ jobId }) => jobId).join(' ')}`] : [];
  });
}

function running(mesh: Mesh): AttemptRef[] {
  return mesh.bench
    .records()
    .flatMap(({ id: jobId, running: attempt }) =>
      attempt === null ? [] : [{ jobId, attempt: attempt.attempt, fencingToken: attempt.fencingToken }],
    );
}

async function withNode(slots: number): Promise<Mesh> {
  const mesh = new Mesh().lead();
  await mesh.join('ann', { slots });
  return mesh;
}

describe('jobs that are placed ahead (P17)', () => {
  it('are assigned right behind their submission, before it is agreed', async () => {
    const mesh = await withNode(2);
    let release = (): void => undefined;
    mesh.leadership.held = new Promise((resolve) => {
      release = resolve;
    });
    const submitted = propose(mesh, { id: 'job_1' }, { id: 'job_2' });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), [], 'nothing is said of what is not agreed');
    release();
    await submitted;
    assert.deepEqual(log(mesh), ['submit job_1 job_2', 'assign job_1 job_2']);
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann']);
    assert.equal(mesh.proposed('assign'), 1);
  });

  it('are the most urgent where there are fewer slots, and the others wait', async () => {
    const mesh = await withNode(1);
    await propose(mesh, { id: 'job_1' }, { id: 'job_2', priority: 'high' });
    await mesh.settle();
    assert.deepEqual(log(mesh), ['submit job_1 job_2', 'assign job_2']);
    await mesh.report('ann', mesh.given(), { slots: 2 });
    assert.deepEqual(mesh.givenIds(), ['job_2 to ann', 'job_1 to ann']);
  });

  it('overtake nobody that waits, nor anybody that is about to', async () => {
    const mesh = await withNode(1);
    let release = (): void => undefined;
    mesh.leadership.held = new Promise((resolve) => {
      release = resolve;
    });
    void propose(mesh, { id: 'job_1' }, { id: 'job_2' }); // one slot: the second will wait
    await mesh.report('ann', [], { slots: 2 });
    void propose(mesh, { id: 'job_3' });
    await mesh.settle();
    mesh.leadership.held = undefined;
    release();
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann']);
    assert.equal(mesh.bench.record('job_3')?.state, 'queued');
  });

  it('give their slots back when their submission is refused', async () => {
    const mesh = await withNode(2);
    await propose(mesh, { id: 'job_1' });
    await mesh.settle();
    await propose(mesh, { id: 'job_1', priority: 'high' });
    await mesh.settle();
    await propose(mesh, { id: 'job_2' });
    await mesh.settle();
    const submitted = ['submit job_1', 'assign job_1'];
    assert.deepEqual(log(mesh), [...submitted, ...submitted, 'submit job_2', 'assign job_2']);
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann', 'job_2 to ann']);
  });

  it('wait like any other when their assignment is refused', async () => {
    const mesh = await withNode(1);
    const listening = mesh.leadership.onProposed(({ kind }) => {
      if (kind === 'assign') resultOf(mesh.bench.do('pauseQueue', { queue: 'default', reason: null }));
    });
    await propose(mesh, { id: 'job_1' });
    await mesh.settle();
    listening[Symbol.dispose]();
    assert.deepEqual(mesh.givenIds(), []);
    mesh.bench.do('resumeQueue', { queue: 'default' });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
  });

  it('are none that are to wait, that ask for certain nodes, or that a limit may hold', async () => {
    const mesh = await withNode(10);
    await propose(
      mesh,
      { id: 'job_1', delayMs: 1_000 },
      { id: 'job_2', affinity: { require: { disk: 'ssd' } } },
      { id: 'job_3' },
    );
    assert.deepEqual(log(mesh).slice(-1), ['assign job_3']);
    resultOf(mesh.bench.do('limit', { scope: 'queue', name: 'mail', concurrency: 1 }));
    await propose(mesh, { id: 'job_4', queue: 'mail' }, { id: 'job_5', queue: 'mail' });
    await mesh.settle();
    assert.deepEqual(log(mesh).slice(-2), ['submit job_4 job_5', 'assign job_4']);
    assert.equal(mesh.bench.record('job_5')?.state, 'queued');
  });

  it('are none while a new leader still reads what waits', async () => {
    const mesh = await withNode(0);
    mesh.bench.submit(...Array.from({ length: 1_500 }, (_, at) => ({ id: `job_${at}` })));
    await mesh.changeLeader();
    mesh.bench.applied.length = 0;
    await mesh.report('ann', [], { slots: 0 });
    await propose(mesh, { id: 'job_new' });
    await mesh.report('ann', [], { slots: 1 });
    await mesh.settle();
    assert.deepEqual(log(mesh), ['submit job_new', 'assign job_0']);
  });

  it('keep the order of submission, however slowly the log answers and whenever slots are free', async () => {
    const step = fc.oneof(
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('submit' as const), count: fc.integer({ min: 1, max: 4 }) }),
      },
      fc.record({ kind: fc.constantFrom('hold', 'release', 'end', 'grow', 'turn'), count: fc.constant(1) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(step, { minLength: 5, maxLength: 40 }),
        async (slotCount, steps) => {
          let slots = slotCount;
          const mesh = await withNode(slots);
          let release = (): void => undefined;
          let submittedCount = 0;
          for (const { kind, count } of steps) {
            if (kind === 'submit') {
              const from = submittedCount;
              submittedCount += count;
              void propose(mesh, ...Array.from({ length: count }, (_, at) => ({ id: `job_${from + at}` })));
            } else if (kind === 'hold') {
              mesh.leadership.held ??= new Promise((resolve) => {
                release = resolve;
              });
            } else if (kind === 'release') {
              mesh.leadership.held = undefined;
              release();
            } else if (kind === 'grow') {
              slots += 1;
              await mesh.report('ann', running(mesh), { slots });
            } else if (kind === 'end') {
              const [first] = running(mesh);
              if (first !== undefined) mesh.bench.do('complete', { ...first, result: null });
            }
            if (kind !== 'submit') await mesh.settle();
          }
          mesh.leadership.held = undefined;
          release();
          await mesh.settle();
          const order = mesh.given().map(({ jobId }) => Number(jobId.slice('job_'.length)));
          assert.deepEqual(
            order,
            [...order].sort((left, right) => left - right),
          );
          const waitingCount = mesh.bench.records().filter(({ state }) => state === 'queued').length;
          const runningCount = running(mesh).length;
          assert.equal(
            runningCount,
            Math.min(slots, runningCount + waitingCount),
            'no slot is free while a job waits',
          );
        },
      ),
    );
  });
});
