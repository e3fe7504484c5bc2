import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { AttachedWorld, type RawWorker } from './attached-world.ts';

const REF = { jobId: 'job_1', attempt: 1 };

describe('a worker that attaches', () => {
  it('is a pool of its node from that moment, and the leader is told at once', async () => {
    const mesh = await AttachedWorld.started();
    const before = mesh.world.pokeCount;
    const worker = await mesh
      .connect()
      .attach({ types: ['paint', 'echo', 'paint'], labels: { gpu: 'a100' } });
    assert.match(worker.workerId, /^wrk_/);
    assert.deepEqual(mesh.world.report().pools, [
      { id: worker.workerId, types: ['paint', 'echo'], labels: { gpu: 'a100' }, slots: 2, isDraining: false },
    ]);
    assert.deepEqual(mesh.world.report().types, ['echo']);
    assert.deepEqual(mesh.world.host.offer(), { types: ['echo', 'paint'], slots: 12 });
    assert.equal(mesh.world.pokeCount, before + 1);
  });

  it('is one of many, each with slots of its own', async () => {
    const mesh = await AttachedWorld.started();
    const first = await mesh.connect().attach();
    const second = await mesh.connect().attach({ types: ['paint', 'draw'], concurrency: 1 });
    await mesh.give(first, {}, { jobId: 'job_2' }, { jobId: 'job_3' });
    await mesh.give(second, { jobId: 'job_4', type: 'draw' });
    assert.deepEqual([first.asked.length, second.asked.length], [2, 1]);
    await first.answer(0, { result: null });
    assert.equal(first.asked.length, 3);
  });

  it('may attach twice over one connection, and once for one request id', async () => {
    const mesh = await AttachedWorld.started();
    const worker = mesh.connect();
    await worker.attach({ requestId: 'r1' });
    const { workerId } = worker;
    await worker.attach({ requestId: 'r1' });
    assert.equal(worker.workerId, workerId);
    await worker.attach({ requestId: 'r2' });
    assert.notEqual(worker.workerId, workerId);
    assert.equal(mesh.world.report().pools.length, 2);
  });

  const refused: [what: string, params: object, path: string][] = [
    ['no types', { types: [], concurrency: 1 }, 'types'],
    ['a type without a name', { types: [''], concurrency: 1 }, 'types[0]'],
    ['no slots', { types: ['paint'], concurrency: 0 }, 'concurrency'],
    ['half a slot', { types: ['paint'], concurrency: 0.5 }, 'concurrency'],
    ['labels that are no text', { types: ['paint'], concurrency: 1, labels: { gpu: 1 } }, 'labels.gpu'],
    ['a key of the future', { types: ['paint'], concurrency: 1, color: 'red' }, 'color'],
  ];
  for (const [what, params, path] of refused) {
    it(`is refused with ${what}, and told where`, async () => {
      const mesh = await AttachedWorld.started();
      const { error } = await mesh.connect().ask('worker.attach', params);
      assert.deepEqual([error?.data.code, error?.data.issues?.[0]?.path], ['INVALID_PARAMS', path]);
      assert.deepEqual(mesh.world.report().pools, []);
    });
  }

  it('is refused by a node whose role runs no jobs', async () => {
    const mesh = await AttachedWorld.started();
    mesh.role = 'submitter';
    const { error } = await mesh.connect().ask('worker.attach', { types: ['paint'], concurrency: 1 });
    assert.equal(error?.data.code, 'DENIED');
  });

  it('is refused when the node has as many as it may', async () => {
    const mesh = await AttachedWorld.started();
    const worker = mesh.connect();
    for (let count = 0; count < 256; count += 1) await worker.attach();
    const { error } = await worker.ask('worker.attach', { types: ['paint'], concurrency: 1 });
    assert.equal(error?.data.code, 'RESOURCE_EXHAUSTED');
  });
});

describe('an attached worker', () => {
  async function attached(options = {}): Promise<{ mesh: AttachedWorld; worker: RawWorker }> {
    const mesh = await AttachedWorld.started();
    return { mesh, worker: await mesh.connect().attach(options) };
  }

  it('is asked to execute, its result completes the attempt, and it is told that it did', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { timeoutMs: 5_000, traceparent: '00-aa-bb-01' });
    const [asked] = worker.asked;
    assert.deepEqual(asked?.params, {
      workerId: worker.workerId,
      job: {
        id: 'job_1',
        spec: { type: 'paint', payload: { color: 'red' }, timeoutMs: 5_000, traceparent: '00-aa-bb-01' },
        state: 'running',
        attempt: 1,
        node: 'self',
        fencingToken: 7,
      },
      attempt: 1,
      fencingToken: 7,
      deadlineMs: 5_000,
    });
    await worker.answer(0, { result: { painted: true } });
    assert.deepEqual(mesh.world.told[0]?.body['result'], { painted: true });
    assert.deepEqual(worker.told('worker.settled'), [{ ...REF, accepted: true, state: 'succeeded' }]);
  });

  const failures: [what: string, error: unknown, expected: object][] = [
    [
      'an error of its own',
      { code: 17, message: 'no paint', data: { code: 'OUT_OF_PAINT', retryable: false } },
      { code: 'OUT_OF_PAINT', message: 'no paint', retryable: false },
    ],
    [
      'a number for a code',
      { code: -32000, message: 'oh' },
      { code: '-32000', message: 'oh', retryable: true },
    ],
    [
      'an exit code',
      { code: 1, message: 'x', data: { exitCode: 3 } },
      { code: '1', message: 'x', retryable: true, exitCode: 3 },
    ],
    ['text', 'boom', { code: 'WORKER_ERROR', message: 'the worker gave no message', retryable: true }],
    [
      'garbage in each field',
      { code: {}, message: [1], data: { code: '', retryable: 'no', exitCode: 'x' } },
      { code: 'WORKER_ERROR', message: 'the worker gave no message', retryable: true },
    ],
    [
      'a code without end',
      { code: 1, message: 'x', data: { code: 'C'.repeat(500) } },
      { code: 'C'.repeat(64), message: 'x', retryable: true },
    ],
  ];
  for (const [what, error, expected] of failures) {
    it(`fails an attempt with ${what}`, async () => {
      const { mesh, worker } = await attached();
      await mesh.give(worker, {});
      await worker.answer(0, { error });
      assert.equal(mesh.world.told[0]?.kind, 'fail');
      assert.deepEqual(mesh.world.told[0]?.body.error, expected);
      assert.equal(worker.told('worker.settled')[0]?.['accepted'], true);
    });
  }

  it('that answers twice settles once (A2)', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    await worker.answer(0, { result: 1 });
    await worker.answer(0, { result: 2 });
    await worker.answer(0, { error: { code: 1, message: 'no' } });
    assert.deepEqual(mesh.outcomes(), ['complete job_1']);
    assert.equal(worker.told('worker.settled').length, 1);
  });

  it('that answers what nobody asked is not heard', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    worker.say({ id: 4_711, result: 'mine' });
    worker.say({ id: 'text', result: 'mine' });
    worker.say({ result: 'mine' });
    await mesh.settle();
    assert.deepEqual(mesh.outcomes(), []);
  });

  it('that answers after the hold has passed completes nothing, and is told so (X2, A2)', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    await mesh.clock.advance(3_500);
    assert.deepEqual(worker.told('worker.cancel'), [{ ...REF, reason: 'lost' }]);
    await mesh.settle();
    const [settled] = worker.told('worker.settled');
    assert.deepEqual([settled?.['accepted'], typeof settled?.['reason']], [false, 'string']);
    await worker.answer(0, { result: 'late' });
    assert.deepEqual(mesh.outcomes(), ['lose job_1']);
    assert.equal(worker.told('worker.settled').length, 1);
  });

  it('that answered in time is told when another attempt was faster to be agreed', async () => {
    const { mesh, worker } = await attached();
    mesh.world.refusals.push(new AspenError('FENCED', 'attempt 2 holds it'));
    await mesh.give(worker, {});
    await worker.answer(0, { result: 1 });
    assert.deepEqual(worker.told('worker.settled'), [
      { ...REF, accepted: false, state: null, reason: 'attempt 2 holds it' },
    ]);
  });

  it('that says anything of a foreign job is refused', async () => {
    const { mesh, worker } = await attached();
    const other = await mesh.connect().attach();
    await mesh.give(worker, {});
    for (const stranger of [other, mesh.connect()]) {
      const progress = await stranger.ask('worker.progress', { ...REF, percent: 99 });
      const log = await stranger.ask('worker.log', { ...REF, data: 'x' });
      assert.deepEqual([progress.error?.data.code, log.error?.data.code], ['FENCED', 'FENCED']);
    }
    const detach = await other.ask('worker.detach', { workerId: worker.workerId });
    assert.equal(detach.error?.data.code, 'NOT_FOUND');
    const wrong = await worker.ask('worker.progress', { ...REF, attempt: 2 });
    assert.equal(wrong.error?.data.code, 'FENCED');
    assert.deepEqual(mesh.world.progressed, []);
  });

  it('that sends garbage harms nobody: neither its attempts nor its connection', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    for (const line of ['{', 'null', '[]', '"x"', '{"jsonrpc":"2.0"}', '\u0000'])
      worker.duplex.write(`${line}\n`);
    worker.say({ method: 'worker.progress', params: { jobId: 1 } });
    worker.say({ method: 'worker.log', params: [] });
    worker.say({ method: 'worker.nonsense' });
    await mesh.settle();
    await worker.answer(0, { result: 'fine' });
    assert.deepEqual(mesh.outcomes(), ['complete job_1']);
  });

  it('whose result is over the limit fails for good', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    await worker.answer(0, { result: 'x'.repeat(2 ** 20) });
    const error = mesh.world.told[0]?.body.error;
    assert.deepEqual(error, { ...error, code: 'RESULT_TOO_LARGE', retryable: false });
  });

  it('whose result is longer than a line loses its connection, and with it its attempts', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {}, { jobId: 'job_2' });
    await worker.answer(0, { result: 'x'.repeat(20 * 2 ** 20) });
    await mesh.clock.advance(2_000);
    assert.equal(worker.hasEnded, true);
    assert.deepEqual(mesh.outcomes(), ['lose job_1', 'lose job_2']);
  });

  it('that never answers keeps its attempt while its node keeps the hold', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    for (let second = 0; second < 600; second += 1) {
      await mesh.clock.advance(1_000);
      mesh.world.renew({ holds: [{ ...REF, fencingToken: 7, holdMs: 4_000 }] });
    }
    assert.deepEqual([mesh.outcomes(), worker.told('worker.cancel')], [[], []]);
  });

  it('that never answers is stopped at the timeout of the attempt, which fails', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { timeoutMs: 1_000, holdMs: 60_000 });
    await mesh.clock.advance(1_000);
    assert.deepEqual(worker.told('worker.cancel'), [{ ...REF, reason: 'timeout' }]);
    assert.deepEqual(mesh.outcomes(), []);
    await mesh.clock.advance(5_000);
    assert.equal(mesh.world.told[0]?.body.error?.code, 'TIMEOUT');
  });

  it('that is silent for longer than its heartbeats may be is stopped, and what it answers later is refused', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { heartbeatTimeoutMs: 1_000, holdMs: 60_000 });
    assert.match(JSON.stringify(worker.asked[0]?.params), /"heartbeatTimeoutMs":1000/);
    await mesh.clock.advance(999);
    assert.deepEqual(worker.told('worker.cancel'), []);
    await mesh.clock.advance(1);
    assert.deepEqual(worker.told('worker.cancel'), [{ ...REF, reason: 'heartbeat' }]);
    await mesh.clock.advance(5_000);
    assert.deepEqual(
      mesh.world.told.map(({ kind, body }) => [kind, body.error?.code]),
      [['fail', 'HEARTBEAT_TIMEOUT']],
    );
    const [told] = worker.told('worker.settled');
    assert.deepEqual([told?.['accepted'], told?.['reason']], [false, 'it was given up: heartbeat']);
    await worker.answer(0, { result: 'late' });
    assert.deepEqual(mesh.outcomes(), ['fail job_1']);
  });

  it('keeps its attempt by heartbeats from any connection, and learns which are lost (A6)', async () => {
    const { mesh, worker } = await attached();
    const beside = mesh.connect();
    await mesh.give(worker, { heartbeatTimeoutMs: 1_000, holdMs: 60_000 });
    const named = { ...REF, fencingToken: 7 };
    const others = [
      { ...named, fencingToken: 6 },
      { ...named, attempt: 2 },
      { ...named, jobId: 'job_2' },
    ];
    for (let beat = 0; beat < 20; beat += 1) {
      await mesh.clock.advance(900);
      const attempts = [named, ...others];
      const { result } = await beside.ask('worker.heartbeat', { workerId: worker.workerId, attempts });
      assert.deepEqual(result, { lost: others.map(({ jobId, attempt }) => ({ jobId, attempt })) });
    }
    assert.deepEqual([mesh.outcomes(), worker.told('worker.cancel')], [[], []]);
    await worker.answer(0, { result: 'done' });
    assert.deepEqual(mesh.outcomes(), ['complete job_1']);
  });

  it('is not kept by heartbeats for another worker, of another attempt, or after it was told to stop (A6)', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { heartbeatTimeoutMs: 1_000, holdMs: 60_000 });
    const named = { ...REF, fencingToken: 7 };
    const beat = async (workerId: string, attempt: object) =>
      (await worker.ask('worker.heartbeat', { workerId, attempts: [attempt] })).result?.['lost'];
    await mesh.clock.advance(999);
    assert.deepEqual(await beat('wrk_other', named), [REF]);
    assert.deepEqual(await beat(worker.workerId, { ...named, fencingToken: 8 }), [REF]);
    await mesh.clock.advance(1);
    assert.deepEqual(worker.told('worker.cancel'), [{ ...REF, reason: 'heartbeat' }]);
    assert.deepEqual(await beat(worker.workerId, named), [REF]);
  });

  const wrongBeats: [what: string, params: object, path: string][] = [
    ['no worker', { attempts: [] }, 'workerId'],
    ['no attempts', { workerId: 'wrk_1' }, 'attempts'],
    ['an attempt without its token', { workerId: 'wrk_1', attempts: [REF] }, 'attempts[0].fencingToken'],
    [
      'an attempt before the first',
      { workerId: 'wrk_1', attempts: [{ ...REF, attempt: 0, fencingToken: 1 }] },
      'attempts[0].attempt',
    ],
  ];
  for (const [what, params, path] of wrongBeats) {
    it(`is refused a heartbeat with ${what}, and told where`, async () => {
      const { worker } = await attached();
      const { error } = await worker.ask('worker.heartbeat', params);
      assert.deepEqual([error?.data.code, error?.data.issues?.[0]?.path], ['INVALID_PARAMS', path]);
    });
  }

  it('is told its place in a group, and what it answers is reported for that', async () => {
    const { mesh, worker } = await attached();
    const peers = ['ann', 'self'];
    await mesh.give(worker, { rank: 1, peers });
    assert.deepEqual(worker.asked[0]?.params?.['group'], { rank: 1, size: 2, peers });
    worker.say({ method: 'worker.progress', params: { ...REF, percent: 50 } });
    await worker.answer(0, { result: null });
    assert.deepEqual(mesh.world.progressed, []);
    assert.deepEqual(
      mesh.world.told.map(({ kind, body }) => [kind, body['rank']]),
      [['complete', 1]],
    );
  });

  it('is told of a cancel, and its answer proves that the attempt is over', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    mesh.world.abort({});
    await mesh.settle();
    assert.deepEqual(worker.told('worker.cancel'), [{ ...REF, reason: 'cancelled' }]);
    assert.deepEqual(mesh.outcomes(), []);
    await worker.answer(0, { error: { code: 1, message: 'stopped' } });
    assert.deepEqual(mesh.outcomes(), ['cancelled job_1']);
    assert.equal(worker.told('worker.settled')[0]?.['accepted'], true);
  });

  it('that does not heed a cancel is given up, and its place stays taken until it answers (A4)', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { holdMs: 60_000 });
    mesh.world.abort({});
    await mesh.clock.advance(10_000);
    assert.deepEqual(mesh.outcomes(), ['lose job_1']);
    const [offer] = mesh.world.report().pools;
    assert.deepEqual([offer?.slots, offer?.unanswered], [1, { count: 1, jobId: 'job_1', attempt: 1 }]);
    const before = mesh.world.pokeCount;
    await worker.answer(0, { result: 'at last' });
    const [freed] = mesh.world.report().pools;
    assert.deepEqual([freed?.slots, freed?.unanswered], [2, undefined]);
    assert.ok(mesh.world.pokeCount > before);
    assert.deepEqual(mesh.outcomes(), ['lose job_1']);
  });

  it('whose connection closes has lost its attempts at once, and its place in the offer (A3)', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { holdMs: 60_000 }, { jobId: 'job_2' }, { jobId: 'job_3' });
    worker.duplex.destroy();
    await mesh.settle();
    assert.deepEqual(
      mesh.world.told.map(({ kind, body }) => `${kind} ${body.jobId} ${body['isHandedOver']}`).sort(),
      ['lose job_1 false', 'lose job_2 false', 'lose job_3 true'],
      'the third never began, so nobody is to blame',
    );
    assert.deepEqual(mesh.world.report().pools, []);
    assert.equal(mesh.clock.monotonicMs(), 0);
  });

  it('that has gone is given nothing more: what comes late is handed back (A1)', async () => {
    const { mesh, worker } = await attached();
    worker.duplex.destroy();
    await mesh.settle();
    await mesh.give(worker, {});
    assert.deepEqual(
      mesh.world.told.map(({ kind, body }) => [kind, body['isHandedOver']]),
      [['lose', true]],
    );
  });

  it('is not given a type that it did not name', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, { type: 'echo' });
    assert.deepEqual([mesh.outcomes(), worker.asked.length], [['lose job_1'], 0]);
  });

  it('tells its progress and its output, as notification or as request', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    worker.say({
      method: 'worker.progress',
      params: { ...REF, percent: 10, message: 'primed', counters: { cans: 2 } },
    });
    worker.say({ method: 'worker.log', params: { ...REF, stream: 'stderr', data: 'wet\n' } });
    assert.deepEqual((await worker.ask('worker.progress', { ...REF, percent: 50 })).result, {});
    assert.deepEqual(
      (await worker.ask('worker.log', { ...REF, data: 'AP8=', encoding: 'base64' })).result,
      {},
    );
    assert.deepEqual(mesh.world.progressed, [
      {
        jobId: 'job_1',
        fencingToken: 7,
        progress: { percent: 10, message: 'primed', counters: { cans: 2 } },
      },
      { jobId: 'job_1', fencingToken: 7, progress: { percent: 50, message: null, counters: {} } },
    ]);
    const page = mesh.world.outputs.read({ ...REF, fromOffset: 0, bytesLimit: 100 });
    assert.deepEqual(
      page?.chunks.map(({ stream, data }) => [stream, Buffer.from(data).toString('latin1')]),
      [
        ['stderr', 'wet\n'],
        ['stdout', '\u0000ÿ'],
      ],
    );
  });

  it('that detaches finishes what it has, is given nothing more, and goes', async () => {
    const { mesh, worker } = await attached();
    await mesh.give(worker, {});
    const { result } = await worker.ask('worker.detach', { workerId: worker.workerId });
    assert.equal(result?.['running'], 1);
    assert.equal(mesh.world.report().pools[0]?.isDraining, true);
    await mesh.give(worker, { jobId: 'job_2' });
    assert.deepEqual(mesh.outcomes(), ['lose job_2']);
    await worker.answer(0, { result: 1 });
    assert.deepEqual(mesh.outcomes(), ['lose job_2', 'complete job_1']);
    assert.deepEqual(mesh.world.report().pools, []);
    assert.equal(worker.told('worker.settled').length, 1);
  });

  it('that does not read is asked no more than it can be told, and all of it once it reads', async () => {
    const { mesh, worker } = await attached({ concurrency: 100 });
    worker.duplex.pause();
    const payload = 'x'.repeat(2 ** 20);
    await mesh.give(worker, ...Array.from({ length: 80 }, (_, at) => ({ jobId: `job_${at}`, payload })));
    mesh.world.abort({ jobId: 'job_79' });
    await mesh.settle();
    assert.deepEqual(mesh.outcomes(), ['cancelled job_79'], 'what was not sent yet is not begun');
    worker.duplex.resume();
    for (let turn = 0; turn < 200; turn += 1) await mesh.settle();
    assert.equal(worker.asked.length, 79);
    assert.deepEqual(mesh.outcomes(), ['cancelled job_79']);
  });

  it('settles what it answers in one turn with one command', async () => {
    const { mesh, worker } = await attached({ concurrency: 100 });
    await mesh.give(worker, ...Array.from({ length: 100 }, (_, at) => ({ jobId: `job_${at}` })));
    assert.equal(worker.asked.length, 100);
    const lines = worker.asked.map(({ id }) => JSON.stringify({ jsonrpc: '2.0', id, result: id }));
    worker.duplex.write(`${lines.join('\n')}\n`);
    await mesh.settle();
    assert.equal(mesh.world.told.length, 100);
    assert.equal(mesh.world.commandCount, 1);
  });

  it('is disconnected when its node stops, after its attempts were handed over', async () => {
    const mesh = await AttachedWorld.started({ drainMs: 1_000 });
    const worker = await mesh.connect().attach();
    await mesh.give(worker, { holdMs: 60_000 });
    await mesh.clock.until(mesh.world.host.stop(), 30_000);
    assert.deepEqual(worker.told('worker.cancel'), [{ ...REF, reason: 'shutdown' }]);
    assert.equal(mesh.world.told[0]?.body['isHandedOver'], true);
    await mesh.clock.advance(1_000);
    assert.equal(worker.hasEnded, true);
  });
});
