import assert from 'node:assert/strict';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import type { ExecutionResult } from '../../../src/jobs/index.ts';
import { AttemptGone } from '../../../src/jobs/outcome.ts';
import { ManualClock } from '../lease/manual-clock.ts';
import { WorkerWorld } from './worker-world.ts';

const DONE: ExecutionResult = { ok: true, result: 'done' };
const BLOB_PAYLOAD = {
  $blob: {
    id: 'bafkreibivjlmoj5ttgmrbt7v5q4kxjcsstciurogpdml64f6bhoosm7seq',
    sizeBytes: 5,
    nodes: ['other'],
  },
};
const REF = { jobId: 'job_1', attempt: 1, fencingToken: 7 };

async function started(options: { slots?: number; slotsMost?: number; drainMs?: number } = {}) {
  const clock = new ManualClock();
  const world = new WorkerWorld(clock, options);
  await world.host.start();
  return { clock, world };
}

function end(world: WorkerWorld, result = DONE, at = 0): void {
  const attempt = world.executor.begun[at];
  assert.ok(attempt, 'nothing was begun that could end');
  attempt.end(result);
}

describe('a worker', () => {
  it('runs what it is given and tells the outcome', async () => {
    const { clock, world } = await started();
    world.assign({});
    await clock.advance(0);
    assert.deepEqual(world.report().attempts, [REF]);
    end(world);
    await clock.advance(0);
    assert.deepEqual(world.told, [{ kind: 'complete', body: { ...REF, result: 'done' } }]);
    assert.deepEqual(world.report().attempts, []);
    assert.deepEqual(world.failures, []);
  });

  it('offers more slots while all are taken, and fewer while half are free, within the bounds of its owner (A7)', async () => {
    const { clock, world } = await started({ slots: 2, slotsMost: 4 });
    for (const at of [1, 2]) world.assign({ jobId: `job_${at}`, holdMs: 600_000 });
    await clock.advance(2_100);
    assert.equal(world.report().slots, 3);
    for (const at of [3, 4]) world.assign({ jobId: `job_${at}`, holdMs: 600_000 });
    await clock.advance(4_100);
    assert.equal(world.report().slots, 4);
    for (const at of [0, 1, 2, 3]) end(world, DONE, at);
    await clock.advance(4_100);
    assert.equal(world.report().slots, 2);
    assert.deepEqual(world.failures, []);
  });

  it('offers no more slots where the leader says that nothing waits for them, and as many as wait (A7)', async () => {
    const { clock, world } = await started({ slots: 4, slotsMost: 16 });
    assert.equal(world.report().wantsBacklog, true);
    for (const at of [1, 2, 3, 4]) world.assign({ jobId: `job_${at}`, holdMs: 600_000 });
    world.renew({ backlog: 0 });
    await clock.advance(4_100);
    assert.equal(world.report().slots, 4);
    world.renew({ backlog: 1 });
    await clock.advance(2_100);
    assert.equal(world.report().slots, 5);
  });

  it('offers as many slots as it began with where its owner says no more', async () => {
    const { clock, world } = await started({ slots: 1 });
    world.assign({});
    await clock.advance(10_000);
    assert.equal(world.report().slots, 1);
  });

  it('begins with a payload that is a blob when that is here, and says meanwhile what it waits for', async () => {
    const { clock, world } = await started();
    const came = Promise.withResolvers<unknown>();
    world.fetchPayload = (_, { onWait }) => {
      onWait('waits for a blob');
      return came.promise;
    };
    world.assign({ payload: BLOB_PAYLOAD });
    await clock.advance(0);
    assert.equal(world.executor.begun.length, 0);
    assert.match(JSON.stringify(world.progressed), /waits for a blob/);
    came.resolve({ text: 'long' });
    await clock.advance(0);
    assert.deepEqual(world.executor.begun[0]?.payload, { text: 'long' });
    end(world);
    await clock.advance(0);
    assert.deepEqual(world.kinds(), ['complete']);
  });

  it('fails an attempt whose payload cannot be had, and ends one that is stopped while it waits for it', async () => {
    const { clock, world } = await started();
    world.fetchPayload = async () => {
      throw new AspenError('NOT_FOUND', 'nobody has it');
    };
    world.assign({ payload: BLOB_PAYLOAD });
    await clock.advance(0);
    assert.deepEqual(world.kinds(), ['fail']);
    assert.match(JSON.stringify(world.told[0]), /BLOB_UNAVAILABLE.*nobody has it.*"retryable":true/);
    world.fetchPayload = (_, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    world.assign({ ...REF, attempt: 2, fencingToken: 8, payload: BLOB_PAYLOAD });
    await clock.advance(0);
    world.abort({ attempt: 2, fencingToken: 8 });
    await clock.advance(0);
    assert.deepEqual(world.kinds(), ['fail', 'cancelled']);
    assert.deepEqual(world.failures, []);
  });

  it('runs an assignment once, though it comes again while it runs and after it ended (X1)', async () => {
    const { clock, world } = await started();
    world.assign({}, {});
    world.renew({ assign: [world.assignment()] });
    await clock.advance(0);
    end(world);
    await clock.advance(0);
    world.assign({});
    await clock.advance(0);
    assert.equal(world.executor.begun.length, 1);
    assert.deepEqual(
      world.kinds(),
      ['complete', 'lose'],
      'an attempt that is given again after its end is given back',
    );
  });

  const unheard: [why: string, prepare: (world: WorkerWorld) => void][] = [
    ['under a session that has ended', (world) => world.assign({ sessionId: 'ses_0' })],
    [
      'from a node that does not lead',
      (world) => {
        world.leader = 'other' as PeerId;
        world.assign({});
      },
    ],
    [
      'before its first renewal was confirmed',
      (world) => {
        world.lastConfirmedSentMs = null;
        world.assign({});
      },
    ],
  ];
  for (const [why, prepare] of unheard) {
    it(`begins nothing for an assignment ${why} (X1)`, async () => {
      const { clock, world } = await started();
      prepare(world);
      await clock.advance(0);
      assert.equal(world.executor.begun.length, 0);
    });
  }

  it('stops an attempt before its hold ends, and then gives it back and never completes it (X2)', async () => {
    const { clock, world } = await started();
    world.assign({});
    await clock.advance(3_250);
    assert.equal(world.executor.begun[0]?.signal.aborted, false);
    await clock.advance(250);
    assert.equal(world.executor.begun[0]?.signal.reason, 'lost');
    assert.deepEqual(world.kinds(), ['lose']);
  });

  describe('on a machine where an earlier agent began something (X5)', () => {
    async function takenOver(more: { timeoutLeftMs?: number; resume?: () => Promise<never> } = {}) {
      const clock = new ManualClock();
      const world = new WorkerWorld(clock);
      const { executor } = world;
      executor.recoverable = [
        {
          assignment: world.assignment({ sessionId: 'of the earlier agent' }),
          holdUntilMs: clock.monotonicMs() + 3_000,
          timeoutLeftMs: more.timeoutLeftMs ?? null,
          resume: more.resume ?? ((attempt) => executor.execute(attempt)),
        },
      ];
      await world.host.start();
      return { clock, world };
    }

    it('takes over what goes on, so that its first report names it, and tells the outcome once', async () => {
      const { clock, world } = await takenOver();
      assert.deepEqual(world.report().attempts, [REF]);
      world.assign({});
      await clock.advance(0);
      assert.equal(world.executor.begun.length, 1, 'it is not begun again');
      end(world);
      await clock.advance(0);
      assert.deepEqual(world.told, [{ kind: 'complete', body: { ...REF, result: 'done' } }]);
      assert.deepEqual(world.executor.toldOf, [REF]);
    });

    it('takes over its hold, no longer than it was, and moves it on with the next word of the leader', async () => {
      const { clock, world } = await takenOver();
      await clock.advance(2_000);
      const hold = world.executor.begun[0]?.hold;
      assert.equal(hold?.untilMs, 3_000);
      let movedTo = 0;
      hold?.onMove((untilMs) => {
        movedTo = untilMs;
      });
      world.renew({ holds: [{ ...REF, holdMs: 4_000 }] });
      assert.equal(movedTo, 5_500, 'four seconds from the report, less the margin');
      await clock.advance(3_750);
      assert.equal(world.executor.begun[0]?.signal.reason, 'lost');
    });

    it('ends what it took over when nobody renews its hold (X2)', async () => {
      const { clock, world } = await takenOver();
      await clock.advance(3_000);
      assert.equal(world.executor.begun[0]?.signal.reason, 'lost');
      assert.deepEqual(world.kinds(), ['lose']);
    });

    it('takes over what is left of its time limit', async () => {
      const { clock, world } = await takenOver({ timeoutLeftMs: 1_000 });
      await clock.advance(1_000);
      assert.equal(world.executor.begun[0]?.signal.reason, 'timeout');
    });

    it('says why it was interrupted where nothing goes on', async () => {
      const gone = () => Promise.reject(new AttemptGone('the machine was started again'));
      const { clock, world } = await takenOver({ resume: gone });
      await clock.advance(0);
      assert.deepEqual(world.told, [
        { kind: 'lose', body: { ...REF, reason: 'the machine was started again', isHandedOver: false } },
      ]);
    });

    it('takes a slot for it, so that no more runs than there is room for', async () => {
      const clock = new ManualClock();
      const world = new WorkerWorld(clock, { slots: 1 });
      world.executor.recoverable = [
        {
          assignment: world.assignment({}),
          holdUntilMs: 60_000,
          timeoutLeftMs: null,
          resume: (attempt) => world.executor.execute(attempt),
        },
      ];
      await world.host.start();
      world.assign({ jobId: 'job_2' });
      await clock.advance(0);
      assert.equal(world.executor.begun.length, 1);
    });
  });

  it('does not begin what lay there until its hold was over, while the process stood still (X2)', async () => {
    const { clock, world } = await started();
    await clock.advance(3_500);
    world.assign({}); // granted for 4 s by a renewal that was sent at 0
    await clock.advance(0);
    assert.equal(world.executor.begun.length, 0);
    assert.deepEqual(
      world.told.map(({ kind, body }) => [kind, body['isHandedOver']]),
      [['lose', true]],
      'it is given back, and its job has lost nothing: who comes back would lose it again and again before its first renewal',
    );
  });

  it('goes on as long as its renewals are granted', async () => {
    const { clock, world } = await started();
    world.assign({});
    for (let second = 0; second < 20; second += 1) {
      await clock.advance(1_000);
      world.renew({ holds: [{ ...REF, holdMs: 4_000 }] });
    }
    assert.equal(world.executor.begun[0]?.signal.aborted, false);
  });

  it('counts a sleep too short to end the session against every hold', async () => {
    const { clock, world } = await started();
    world.assign({});
    await clock.advance(1_000);
    clock.wallOffsetMs += 1_500;
    await clock.advance(900);
    assert.equal(world.executor.begun[0]?.signal.aborted, false);
    await clock.advance(250);
    assert.equal(world.executor.begun[0]?.signal.reason, 'lost');
  });

  it('stops everything when its machine slept, also when it held no session then', async () => {
    const { clock, world } = await started();
    world.assign({}, { jobId: 'job_2' });
    world.sessionId = null;
    world.hasSlept = true;
    await clock.advance(250);
    assert.deepEqual(
      world.executor.begun.map(({ signal }) => signal.reason),
      ['lost', 'lost'],
    );
    assert.ok(world.kinds().every((kind) => kind === 'lose'));
  });

  it('keeps an outcome to itself after it stood still, until its session is confirmed', async () => {
    const { clock, world } = await started();
    world.assign({ holdMs: 60_000 });
    await clock.advance(0);
    world.isConfirmed = false;
    end(world);
    await clock.advance(5_000);
    assert.deepEqual(world.told, []);
    world.isConfirmed = true;
    await clock.advance(100);
    assert.deepEqual(world.kinds(), ['complete']);
  });

  it('throws away an outcome that it reached before a sleep was noticed', async () => {
    const { clock, world } = await started();
    world.assign({});
    await clock.advance(0);
    world.hasSlept = true;
    end(world);
    await clock.advance(0);
    assert.deepEqual(world.told, []);
  });

  it('proposes an outcome until it is agreed, and reports the attempt as held meanwhile (X3)', async () => {
    const { clock, world } = await started();
    world.isCutOff = true;
    world.assign({ holdMs: 60_000 });
    await clock.advance(0);
    end(world);
    await clock.advance(5_000);
    assert.deepEqual(world.report().attempts, [REF]);
    world.isCutOff = false;
    await clock.advance(2_000);
    assert.deepEqual(world.kinds(), ['complete']);
    assert.deepEqual(world.report().attempts, []);
  });

  it('ends with an attempt that was given to another node meanwhile', async () => {
    const { clock, world } = await started();
    world.refusals.push(new AspenError('FENCED', 'over'));
    world.assign({});
    await clock.advance(0);
    end(world);
    await clock.advance(10_000);
    assert.deepEqual(world.kinds(), ['complete']);
    assert.equal(world.host.runningCount, 0);
  });

  it('says nothing of an attempt that the leader knows nothing of', async () => {
    const { clock, world } = await started();
    world.assign({});
    world.abort({ reason: 'lost' });
    await clock.advance(0);
    assert.equal(world.executor.begun[0]?.signal.aborted, true);
    assert.deepEqual(world.told, []);
  });

  it('stops a cancelled attempt and proves that it is over, with what it had to show', async () => {
    const { clock, world } = await started();
    world.assign({});
    await clock.advance(0);
    world.abort({}, 'stranger');
    assert.equal(world.executor.begun[0]?.signal.aborted, false);
    world.abort({});
    await clock.advance(0);
    assert.deepEqual(world.told, [{ kind: 'cancelled', body: { ...REF, result: 'so far' } }]);
  });

  it('proves that a cancelled attempt never began, and does not begin it when its assignment comes late', async () => {
    const { clock, world } = await started();
    world.abort({});
    await clock.advance(0);
    assert.deepEqual(world.told, [{ kind: 'cancelled', body: { ...REF, result: null } }]);
    world.assign({});
    await clock.advance(0);
    assert.equal(world.executor.begun.length, 0);
  });

  it('stops an attempt at its timeout and keeps what it had to show', async () => {
    const { clock, world } = await started();
    world.assign({ timeoutMs: 500 });
    await clock.advance(500);
    assert.equal(world.executor.begun[0]?.signal.reason, 'timeout');
    assert.equal(world.told[0]?.kind, 'fail');
    assert.equal(world.told[0]?.body['result'], 'so far');
  });

  it('fails an attempt that is silent for longer than its heartbeat timeout; progress and output are heartbeats', async () => {
    const { clock, world } = await started();
    world.assign({ heartbeatTimeoutMs: 500 });
    await clock.advance(400);
    world.executor.begun[0]?.progress({ percent: 10 });
    await clock.advance(400);
    world.executor.begun[0]?.output.write('stdout', Buffer.from('x'));
    await clock.advance(499);
    assert.equal(world.executor.begun[0]?.signal.aborted, false);
    await clock.advance(1);
    assert.equal(world.executor.begun[0]?.signal.reason, 'heartbeat');
    assert.equal(world.told[0]?.kind, 'fail');
    assert.equal(world.progressed.length, 1);
  });

  it('says HEARTBEAT_TIMEOUT, which may be tried again, where the executor has nothing to say', async () => {
    const { clock, world } = await started();
    world.executor.obeys = false;
    world.assign({ heartbeatTimeoutMs: 500 });
    await clock.advance(500);
    world.executor.begun[0]?.fail(new Error('aborted'));
    await clock.advance(0);
    assert.deepEqual(world.told[0]?.body.error, {
      code: 'HEARTBEAT_TIMEOUT',
      message: 'the attempt gave no sign of life for longer than its heartbeat timeout',
      retryable: true,
    });
  });

  it('calls an executor that throws because it was stopped timed out, not broken', async () => {
    const { clock, world } = await started();
    world.executor.obeys = false;
    world.assign({ timeoutMs: 500 });
    await clock.advance(500);
    world.executor.begun[0]?.fail(new Error('aborted'));
    await clock.advance(0);
    assert.equal(world.told[0]?.body.error?.code, 'TIMEOUT');
  });

  const circle: { self?: unknown } = {};
  circle.self = circle;
  const unfit: [what: string, result: ExecutionResult, code: string][] = [
    ['a result over the limit', { ok: true, result: 'x'.repeat(2 ** 20) }, 'RESULT_TOO_LARGE'],
    ['a result that leads into itself', { ok: true, result: circle }, 'RESULT_INVALID'],
    ['a field that would be lost', { ok: true, result: JSON.parse('{"__proto__":1}') }, 'RESULT_INVALID'],
  ];
  for (const [what, result, code] of unfit) {
    it(`fails for good with ${what}`, async () => {
      const { clock, world } = await started();
      world.assign({});
      await clock.advance(0);
      end(world, result);
      await clock.advance(0);
      const [told] = world.told;
      assert.deepEqual(
        [told?.kind, told?.body.error],
        ['fail', { ...told?.body.error, code, retryable: false }],
      );
      assert.deepEqual(world.failures, []);
    });
  }

  for (const refusal of [
    new AspenError('INVALID_PARAMS', 'no'),
    new AspenError('RESOURCE_EXHAUSTED', 'long', { details: { limit: 'COMMAND_BYTES_LIMIT' } }),
  ]) {
    it(`tells a failure in place of an outcome that is refused ${refusal.code} for good, once`, async () => {
      const { clock, world } = await started();
      world.refusals.push(refusal, refusal);
      world.assign({});
      await clock.advance(0);
      end(world);
      await clock.advance(60_000);
      assert.deepEqual(
        world.told.map(({ kind, body }) => [kind, body.error?.code]),
        [
          ['complete', undefined],
          ['fail', 'OUTCOME_REFUSED'],
        ],
      );
      assert.equal(world.host.runningCount, 0);
    });
  }

  it('clips an error message that no record takes, and gives a result that is nothing as null', async () => {
    const { clock, world } = await started();
    world.assign({}, { jobId: 'job_2' });
    await clock.advance(0);
    world.executor.begun[0]?.fail(new Error('e'.repeat(10_000)));
    end(world, { ok: true, result: undefined }, 1);
    await clock.advance(0);
    const error = world.told[0]?.body.error as { code: string; message: string };
    assert.deepEqual([error.code, error.message.length], ['EXECUTOR_FAILED', 4_096]);
    assert.equal(world.told[1]?.body['result'], null);
  });

  it('runs no more at once than it has slots, and cancels what waits without beginning it (X4)', async () => {
    const { clock, world } = await started({ slots: 2 });
    world.assign({}, { jobId: 'job_2' }, { jobId: 'job_3' }, { jobId: 'job_4' });
    await clock.advance(0);
    assert.equal(world.executor.begun.length, 2);
    world.abort({ jobId: 'job_3' });
    end(world);
    await clock.advance(0);
    assert.deepEqual(
      world.executor.begun.map(({ jobId }) => jobId),
      ['job_1', 'job_2', 'job_4'],
    );
    assert.deepEqual(world.kinds().sort(), ['cancelled', 'complete']);
  });

  it('gives back what it cannot run', async () => {
    const { clock, world } = await started();
    world.assign({ type: 'unknown' });
    await clock.advance(0);
    assert.deepEqual(world.kinds(), ['lose']);
  });

  it('is not harmed by malformed orders', async () => {
    const { clock, world } = await started();
    world.assign({});
    world.obey({ assign: 'all' }, { sentAtMs: 0 });
    await clock.advance(0);
    assert.equal(world.host.runningCount, 1);
  });
});

describe('a worker that stops', () => {
  it('lets attempts finish, takes nothing more, and says so', async () => {
    const { clock, world } = await started({ drainMs: 5_000 });
    world.assign({});
    const stopped = world.host.stop();
    assert.equal(world.report().isDraining, true);
    world.assign({ jobId: 'job_2' });
    await clock.advance(1_000);
    end(world);
    await clock.until(stopped);
    assert.deepEqual(
      world.told.map(({ kind, body }) => `${kind} ${body.jobId}`),
      ['lose job_2', 'complete job_1'],
    );
    assert.ok(clock.monotonicMs() < 2_000);
  });

  it("hands over what does not finish in time, as nobody's fault", async () => {
    const { clock, world } = await started({ drainMs: 1_000 });
    world.assign({});
    await clock.until(world.host.stop());
    assert.equal(world.executor.begun[0]?.signal.reason, 'shutdown');
    assert.deepEqual(
      world.told.map(({ kind, body }) => [kind, body['isHandedOver']]),
      [['lose', true]],
    );
  });

  it('ends in bounded time though an executor never does, and says nothing of its attempt', async () => {
    const { clock, world } = await started({ drainMs: 1_000 });
    world.executor.obeys = false;
    world.assign({});
    await clock.until(world.host.stop(), 30_000);
    assert.ok(!world.kinds().includes('complete'));
    assert.deepEqual(world.failures, []);
  });

  it('does not wait as for an attempt that runs while an outcome cannot be told', async () => {
    const { clock, world } = await started({ drainMs: 60_000 });
    world.isCutOff = true;
    world.assign({});
    await clock.advance(100);
    end(world);
    const fromMs = clock.monotonicMs();
    await clock.until(world.host.stop());
    assert.ok(clock.monotonicMs() - fromMs < 4_000);
    assert.deepEqual(world.failures, []);
  });

  it('ends in bounded time though no group answers', async () => {
    const { clock, world } = await started({ drainMs: 1_000 });
    world.isCutOff = true;
    world.assign({});
    await clock.until(world.host.stop(), 30_000);
    assert.deepEqual(world.failures, []);
  });
});
