import assert from 'node:assert/strict';
import type { AttachedWorker, ExecuteRequest, WorkerAnswer, WorkerLink } from '../../../src/jobs/index.ts';
import { JobsWorld, type WorldNode } from './jobs-world.ts';

/** A worker program whose every word the test speaks. */
class TestWorker implements WorkerLink {
  readonly asked: (ExecuteRequest & { readonly atMs: number; answer(answer: WorkerAnswer): void })[] = [];
  readonly cancelled: { readonly jobId: string; readonly reason: string; readonly atMs: number }[] = [];
  readonly settlements: { readonly jobId: string; readonly accepted: boolean }[] = [];
  readonly attached: AttachedWorker;
  readonly #world: JobsWorld;

  constructor(world: JobsWorld, node: WorldNode, id: string, concurrency = 10) {
    this.#world = world;
    this.attached = node.worker.attach(this, { id, types: ['paint'], concurrency, labels: {} });
  }

  execute(request: ExecuteRequest, onAnswer: (answer: WorkerAnswer) => void): void {
    this.asked.push({ ...request, atMs: this.#world.clock.monotonicMs(), answer: onAnswer });
  }

  cancel({ jobId, reason }: Parameters<WorkerLink['cancel']>[0]): void {
    this.cancelled.push({ jobId, reason, atMs: this.#world.clock.monotonicMs() });
  }

  settled({ jobId, accepted }: Parameters<WorkerLink['settled']>[0]): void {
    this.settlements.push({ jobId, accepted });
  }

  close(): void {
    this.attached.close();
  }

  answerAll(): void {
    for (const { answer, job } of this.asked.splice(0)) answer({ type: 'result', result: job.id });
  }
}

async function started() {
  const world = new JobsWorld();
  const ann = await world.addNode('ann');
  const bob = await world.addNode('bob');
  return { world, ann, bob };
}

describe('jobs in attached workers', () => {
  it('start as soon as somebody attaches who runs them', async () => {
    const { world, ann } = await started();
    const id = await world.submit({ type: 'paint' });
    await world.clock.advance(5_000);
    assert.equal(world.job(id).state, 'queued');
    const worker = new TestWorker(world, ann, 'wrk_1');
    await world.clock.advance(50);
    assert.deepEqual(
      worker.asked.map(({ job }) => job.id),
      [id],
    );
    worker.answerAll();
    await world.clock.advance(50);
    assert.deepEqual([world.job(id).state, world.job(id).result], ['succeeded', id]);
    assert.deepEqual(worker.settlements, [{ jobId: id, accepted: true }]);
  });

  it('come with all that was asked for, in the words of job.get, and without what has its default', async () => {
    const { world, ann } = await started();
    const worker = new TestWorker(world, ann, 'wrk_1');
    await world.clock.advance(50);
    const plain = await world.submit({ type: 'paint', payload: { color: 'red' } });
    const asked = {
      labels: { team: 'ops' },
      namespace: 'web',
      queue: 'slow',
      priority: 8,
      idempotencyKey: 'once',
      concurrencyKey: 'customer-7',
      retry: { maxAttempts: 5 },
      timeoutMs: 60_000,
      queueTimeoutMs: 90_000,
    };
    const full = await world.submit({ type: 'paint', ...asked });
    await world.clock.advance(50);
    const specs = Object.fromEntries(worker.asked.map(({ job }) => [job.id, job.spec]));
    assert.deepEqual(specs[plain], { type: 'paint', payload: { color: 'red' } });
    const { spec } = world.job(full);
    const told = specs[full] ?? {};
    assert.deepEqual(Object.keys(told).sort(), [...Object.keys(asked), 'type', 'payload'].sort());
    for (const [field, value] of Object.entries(told)) assert.deepEqual(value, spec[field], field);
  });

  it('run elsewhere at once when the connection closes, as losses and not as failures (A3)', async () => {
    const { world, ann, bob } = await started();
    const first = new TestWorker(world, ann, 'wrk_1');
    await world.clock.advance(50);
    const ids = await Promise.all(
      Array.from({ length: 10 }, () => world.submit({ type: 'paint', retry: { maxAttempts: 1 } })),
    );
    await world.clock.advance(50);
    assert.equal(first.asked.length, 10);
    const second = new TestWorker(world, bob, 'wrk_2');
    await world.clock.advance(50);
    first.close();
    await world.clock.advance(100);
    second.answerAll();
    await world.clock.advance(50);
    for (const id of ids) {
      const { state, attempt, history } = world.job(id);
      assert.deepEqual([state, attempt], ['succeeded', 2], 'nothing was given to the worker that had gone');
      assert.deepEqual(
        history.map(({ outcome }) => outcome),
        ['lost', 'succeeded'],
      );
    }
    assert.equal(world.executions.length, 0);
    world.checkLaws();
  });

  it('that are cut off are stopped there before they begin elsewhere, and complete only there (H1, X2)', async () => {
    const { world, ann, bob } = await started();
    const first = new TestWorker(world, ann, 'wrk_1');
    await world.clock.advance(50);
    const id = await world.submit({ type: 'paint' });
    await world.clock.advance(50);
    const second = new TestWorker(world, bob, 'wrk_2');
    ann.isLinked = false;
    await world.clock.advance(20_000);
    const [stop] = first.cancelled;
    const [begin] = second.asked;
    assert.deepEqual([stop?.jobId, stop?.reason], [id, 'lost']);
    assert.ok(stop !== undefined && begin !== undefined && stop.atMs < begin.atMs);
    first.answerAll();
    ann.isLinked = true;
    await world.clock.advance(5_000);
    assert.equal(world.job(id).state, 'running');
    assert.deepEqual(first.settlements, [{ jobId: id, accepted: false }]);
    second.answerAll();
    await world.clock.advance(50);
    assert.deepEqual([world.job(id).state, world.job(id).node], ['succeeded', 'bob']);
    world.checkLaws();
  });

  it('go on over a change of the leader', async () => {
    const { world, ann } = await started();
    const worker = new TestWorker(world, ann, 'wrk_1', 1);
    await world.clock.advance(50);
    const [first, second] = [await world.submit({ type: 'paint' }), await world.submit({ type: 'paint' })];
    await world.clock.advance(50);
    world.elect();
    await world.clock.advance(3_000);
    assert.deepEqual(
      worker.asked.map(({ job }) => job.id),
      [first],
      'its one slot is still counted',
    );
    worker.answerAll();
    await world.clock.advance(100);
    assert.deepEqual(
      worker.asked.map(({ job }) => job.id),
      [second],
    );
    assert.equal(world.job(first).history.length, 1);
    world.checkLaws();
  });
});
