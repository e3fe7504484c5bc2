import assert from 'node:assert/strict';
import { AspenError, SeededRandom } from '../../../src/base/index.ts';
import { specView } from '../../../src/jobs/job-view.ts';
import { PLAIN_SPEC } from '../../../src/jobs/spec.ts';
import type { Assignment } from '../../../src/jobs/wire.ts';
import type { LineDuplex } from '../../../src/rpc/index.ts';
import { UNSAID } from '../../../src/sdk/given-job.ts';
import {
  type AttemptControl,
  AttemptStopped,
  NonRetryableError,
  type WorkerJob,
} from '../../../src/sdk/index.ts';
import { createWorker, type WorkerDefinition } from '../../../src/sdk/worker.ts';
import { AttachedWorld } from '../../contract/worker/attached-world.ts';

interface Begun {
  readonly job: WorkerJob;
  readonly control: AttemptControl;
  end(result?: unknown): void;
  fail(error: unknown): void;
}

/** A worker of the client library and the agent that it attaches to; handlers run until the test ends them. */
class SdkWorld {
  readonly mesh: AttachedWorld;
  readonly begun: Begun[] = [];
  readonly connections: LineDuplex[] = [];
  readonly events: string[] = [];
  readonly pulsed: unknown[] = [];
  isAgentDown = false;
  readonly worker;

  constructor(mesh: AttachedWorld, definition: Partial<WorkerDefinition> = {}) {
    this.mesh = mesh;
    const { clock } = mesh;
    const dial = async () => {
      if (this.isAgentDown) throw new AspenError('UNAVAILABLE', 'no agent answers');
      const duplex = mesh.dial();
      this.connections.push(duplex);
      return duplex;
    };
    const handler = (job: WorkerJob, control: AttemptControl) =>
      new Promise((end, fail) => this.begun.push({ job, control, end, fail }));
    this.worker = createWorker(
      {
        clock,
        random: new SeededRandom(3),
        dial,
        keepAlive: () => ({ [Symbol.dispose]: () => undefined }),
        pulse: {
          begin: ({ workerId, ...attempt }) => void this.pulsed.push(['begin', attempt]),
          end: ({ workerId, ...attempt }) => void this.pulsed.push(['end', attempt]),
          close: () => void this.pulsed.push(['close']),
        },
      },
      {
        handlers: { paint: handler },
        concurrency: 2,
        onAttached: () => void this.events.push('attached'),
        onDetached: (error) => void this.events.push(error === undefined ? 'detached' : error.code),
        onSettled: ({ jobId, accepted }) => void this.events.push(`${jobId} ${accepted}`),
        ...definition,
      } as WorkerDefinition,
    );
  }

  static async started(definition: Partial<WorkerDefinition> = {}): Promise<SdkWorld> {
    const world = new SdkWorld(await AttachedWorld.started(), definition);
    await world.mesh.clock.until(world.worker.start());
    return world;
  }

  async give(...assignments: Partial<Assignment>[]): Promise<void> {
    const base = { pool: this.worker.workerId, type: 'paint', payload: { color: 'red' }, holdMs: 60_000 };
    this.mesh.world.assign(...assignments.map((assignment) => ({ ...base, ...assignment })));
    await this.mesh.settle();
  }

  at(index: number): Begun {
    const begun = this.begun[index];
    assert.ok(begun !== undefined, `handler ${index} began`);
    return begun;
  }
}

describe('a worker of the client library', () => {
  it('runs its handler, and gives what that returns', async () => {
    const world = await SdkWorld.started();
    await world.give({ timeoutMs: 5_000, traceparent: '00-aa-bb-01' });
    const { job, control } = world.at(0);
    const { id, type, payload, traceparent } = job;
    assert.deepEqual(
      { id, type, payload, traceparent },
      { id: 'job_1', type: 'paint', payload: { color: 'red' }, traceparent: '00-aa-bb-01' },
    );
    assert.deepEqual([control.attempt, control.fencingToken, control.deadlineMs], [1, 7, 5_000]);
    world.at(0).end({ painted: true });
    await world.mesh.settle();
    assert.deepEqual(world.mesh.world.told[0]?.body['result'], { painted: true });
    assert.deepEqual(world.events, ['attached', 'job_1 true']);
  });

  it('tells its handler all that the job asked for, and the defaults of what it did not', async () => {
    const world = await SdkWorld.started();
    await world.give({ rest: { labels: { team: 'ops' }, priority: 8 } });
    const { spec } = world.at(0).job;
    assert.deepEqual(
      [spec.type, spec.payload, spec.labels, spec.priority, spec.queue, spec.retry.maxAttempts],
      ['paint', { color: 'red' }, { team: 'ops' }, 8, 'default', 3],
    );
    assert.equal(spec, world.at(0).job.spec, 'made once');
  });

  it('takes for default what an agent leaves out of a line', () => {
    const { type: _type, payload: _payload, ...plain } = specView(PLAIN_SPEC);
    assert.deepEqual(UNSAID, plain);
  });

  it('gives nothing as null, and what no line takes as a failure for good', async () => {
    const world = await SdkWorld.started();
    await world.give({}, { jobId: 'job_2' });
    world.at(0).end();
    world.at(1).end('x'.repeat(20 * 2 ** 20));
    await world.mesh.settle();
    const [first, second] = world.mesh.world.told;
    assert.deepEqual([first?.kind, first?.body['result']], ['complete', null]);
    assert.deepEqual(second?.body.error, {
      ...second?.body.error,
      code: 'RESOURCE_EXHAUSTED',
      retryable: false,
    });
    assert.equal(world.worker.runningCount, 0);
  });

  const thrown: [what: string, error: unknown, expected: object][] = [
    ['an error', new Error('dry'), { code: 'FAILED', message: 'dry', retryable: true }],
    [
      'a NonRetryableError',
      new NonRetryableError('dry'),
      { code: 'NON_RETRYABLE', message: 'dry', retryable: false },
    ],
    [
      'an error with a code of its own',
      Object.assign(new Error('no file'), { code: 'ENOENT', retryable: false, exitCode: 2 }),
      { code: 'ENOENT', message: 'no file', retryable: false, exitCode: 2 },
    ],
    ['text', 'dry', { code: 'FAILED', message: 'dry', retryable: true }],
    ['nothing', undefined, { code: 'FAILED', message: 'undefined', retryable: true }],
    [
      'an error without a message',
      new RangeError(),
      { code: 'FAILED', message: 'RangeError', retryable: true },
    ],
  ];
  for (const [what, error, expected] of thrown) {
    it(`fails an attempt whose handler throws ${what}`, async () => {
      const world = await SdkWorld.started();
      await world.give({});
      world.at(0).fail(error);
      await world.mesh.settle();
      assert.deepEqual(world.mesh.world.told[0]?.body.error, expected);
    });
  }

  it('hears of a cancel through its signal, also when it asks for that late', async () => {
    const world = await SdkWorld.started();
    await world.give({}, { jobId: 'job_2' });
    const early = world.at(0).control.signal;
    world.mesh.world.abort({});
    world.mesh.world.abort({ jobId: 'job_2' });
    await world.mesh.settle();
    for (const signal of [early, world.at(1).control.signal]) {
      assert.ok(signal.reason instanceof AttemptStopped);
      assert.equal(signal.reason.reason, 'cancelled');
    }
    world.at(0).fail(early.reason);
    world.at(1).fail(early.reason);
    await world.mesh.settle();
    assert.deepEqual(world.mesh.outcomes(), ['cancelled job_1', 'cancelled job_2']);
  });

  it('tells progress and output, whole characters in pieces that fit', async () => {
    const world = await SdkWorld.started();
    await world.give({});
    const { progress, log } = world.at(0).control; // as handlers take them
    progress({ percent: 40, message: 'two coats' });
    const text = `${'x'.repeat(2 ** 18 - 1)}\u{1f58c}${'y'.repeat(10)}`;
    await world.mesh.clock.until(log(text));
    await world.mesh.clock.until(log(Uint8Array.of(255, 0), 'stderr'));
    assert.deepEqual(world.mesh.world.progressed, [
      { jobId: 'job_1', fencingToken: 7, progress: { percent: 40, message: 'two coats', counters: {} } },
    ]);
    const ref = { jobId: 'job_1', attempt: 1 };
    const page = world.mesh.world.outputs.read({ ...ref, fromOffset: 0, bytesLimit: 2 ** 20 });
    const chunks = page?.chunks ?? [];
    const out = chunks.filter(({ stream }) => stream === 'stdout').map(({ data }) => data);
    assert.equal(Buffer.concat(out).toString(), text);
    assert.deepEqual([...(chunks.at(-1)?.data ?? [])], [255, 0]);
  });

  it('has a pulse beaten for attempts whose silence is limited, from their begin to their end (R13)', async () => {
    const world = await SdkWorld.started();
    await world.give({ heartbeatTimeoutMs: 1_000 }, { jobId: 'job_2' });
    const pulsed = { jobId: 'job_1', attempt: 1, fencingToken: 7, heartbeatTimeoutMs: 1_000 };
    assert.deepEqual(world.pulsed, [['begin', pulsed]]);
    world.at(0).fail(new Error('dry'));
    world.at(1).end();
    await world.mesh.settle();
    assert.deepEqual(world.pulsed, [
      ['begin', pulsed],
      ['end', pulsed],
    ]);
    await world.mesh.clock.until(world.worker.close());
    assert.deepEqual(world.pulsed.at(-1), ['close']);
  });

  it('may give its signs of life by itself', async () => {
    const world = await SdkWorld.started();
    await world.give({ heartbeatTimeoutMs: 1_000 });
    for (let beat = 0; beat < 5; beat += 1) {
      await world.mesh.clock.advance(900);
      world.at(0).control.heartbeat();
      await world.mesh.settle();
    }
    assert.deepEqual(world.mesh.outcomes(), []);
    await world.mesh.clock.advance(1_000);
    assert.equal(world.at(0).control.signal.reason.reason, 'heartbeat');
  });

  it('goes on when it says something of an attempt that is over', async () => {
    const world = await SdkWorld.started();
    await world.give({});
    world.mesh.world.abort({ reason: 'lost' });
    await world.mesh.settle();
    world.at(0).control.progress({ percent: 1 });
    await world.mesh.clock.until(world.at(0).control.log('too late'));
    assert.deepEqual(world.events, ['attached', 'job_1 false']);
  });

  it('attaches again when its connection was lost, after its handlers were told (R10)', async () => {
    const world = await SdkWorld.started();
    await world.give({});
    const before = world.worker.workerId;
    const { signal } = world.at(0).control;
    world.isAgentDown = true;
    world.connections[0]?.destroy();
    await world.mesh.settle();
    assert.equal((signal.reason as AttemptStopped).reason, 'lost');
    assert.equal(world.worker.workerId, null);
    await world.mesh.clock.advance(60_000);
    world.isAgentDown = false;
    await world.mesh.clock.advance(10_000);
    assert.deepEqual([...new Set(world.events)], ['attached', 'detached', 'UNAVAILABLE']);
    assert.equal(world.events.at(-1), 'attached');
    assert.notEqual(world.worker.workerId, before);
    assert.deepEqual(world.mesh.outcomes(), ['lose job_1']);
  });

  it('runs no more handlers at once than it said, those of a lost connection included (R10)', async () => {
    const world = await SdkWorld.started({ concurrency: 1 });
    await world.give({});
    world.connections[0]?.destroy();
    await world.mesh.clock.advance(5_000);
    await world.give({ jobId: 'job_2', fencingToken: 9 });
    assert.deepEqual([world.begun.length, world.worker.runningCount], [1, 1]);
    world.at(0).end('nobody wants it');
    await world.mesh.settle();
    world.at(1).end('wanted');
    await world.mesh.settle();
    assert.deepEqual(world.mesh.outcomes(), ['lose job_1', 'complete job_2']);
  });

  it('lets handlers finish when it closes, and takes nothing more', async () => {
    const world = await SdkWorld.started();
    await world.give({});
    const closed = world.worker.close();
    await world.mesh.settle();
    await world.give({ jobId: 'job_2' });
    assert.equal(world.begun.length, 1);
    world.at(0).end('done');
    await world.mesh.clock.until(closed);
    assert.deepEqual(world.mesh.outcomes(), ['lose job_2', 'complete job_1']);
    assert.deepEqual(world.mesh.world.report().pools, []);
    assert.deepEqual(world.events, ['attached', 'job_1 true']);
  });

  it('stops handlers that do not finish in time when it closes', async () => {
    const world = await SdkWorld.started();
    await world.give({});
    const { signal } = world.at(0).control;
    await world.mesh.clock.until(world.worker.close({ timeoutMs: 1_000 }));
    assert.equal((signal.reason as AttemptStopped).reason, 'shutdown');
    assert.deepEqual(world.mesh.outcomes(), ['lose job_1']);
  });

  it('closes while it tries to attach again', async () => {
    const world = await SdkWorld.started();
    world.isAgentDown = true;
    world.connections[0]?.destroy();
    await world.mesh.clock.advance(1_000);
    await world.mesh.clock.until(world.worker.close());
  });

  it('says at once when no agent answers, or when it is refused', async () => {
    const world = new SdkWorld(await AttachedWorld.started(), { concurrency: 0 });
    await assert.rejects(world.mesh.clock.until(world.worker.start()), { code: 'INVALID_PARAMS' });
    world.isAgentDown = true;
    await assert.rejects(world.mesh.clock.until(world.worker.start()), { code: 'UNAVAILABLE' });
  });
});
