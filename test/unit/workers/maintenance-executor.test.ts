import assert from 'node:assert/strict';
import { encode } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { textKey } from '../../../src/jobs/machine-port.ts';
import { type Compactor, MemoryStore, type StoreSpace } from '../../../src/storage/index.ts';
import { MaintenanceExecutor } from '../../../src/workers/index.ts';
import { bytesOf } from '../blobs/support.ts';
import { JobsBench, SOME_ERROR } from '../jobs/jobs-bench.ts';
import { resultOf } from '../lease/machine/support.ts';
import { attemptOf, loneBlobs } from './support.ts';

async function ground(bench = new JobsBench(), compactor?: Compactor) {
  const lone = await loneBlobs();
  const store = new MemoryStore();
  await store.write(
    Array.from({ length: 3_000 }, (_, at) => ({ type: 'put', key: `k${at}`, value: new Uint8Array(10) })),
  );
  let queries = 0;
  const executor = new MaintenanceExecutor({
    blobs: { ...lone, collect: async () => void (await lone.store.collect()) },
    store,
    group: {
      query: async <R>({ module, kind, body }: { module: string; kind: string; body?: unknown }) => {
        queries += 1;
        return bench.query(module, kind, (body ?? null) as object) as R;
      },
    },
    clock: new OsClock(),
    compactor,
    pruneOutputs: async () => 3,
  });
  const execute = async (payload: object, signal?: AbortSignal) => {
    const outcome = await executor.execute(attemptOf(payload, signal));
    // biome-ignore lint/suspicious/noExplicitAny: results of several tasks
    return { outcome, result: outcome.result as any };
  };
  return { execute, store: lone.store, blobClock: lone.clock, queries: () => queries };
}

/** Jobs of all kinds: waiting, running, ended in each way, with keys. */
function busyBench(): JobsBench {
  const bench = new JobsBench();
  const ids = Array.from({ length: 700 }, (_, at) => `job_${at}`);
  bench.submit(...ids.map((id) => ({ id, idempotencyKey: `key ${id}` })));
  for (const id of ids.slice(0, 20)) resultOf(bench.do('complete', { ...bench.assign(id), result: null }));
  const error = { ...SOME_ERROR, retryable: false };
  for (const id of ids.slice(20, 30))
    resultOf(bench.do('fail', { ...bench.assign(id), error, result: null }));
  for (const id of ids.slice(30, 40)) resultOf(bench.do('cancel', { id, reason: null }));
  bench.assign('job_50');
  return bench;
}

/** Changes a row behind the back of the machine; undefined removes it. */
function damage(bench: JobsBench, table: string, key: string, value: unknown): void {
  const full = `t0/jobs/${table}/${key}`;
  if (value === undefined) bench.buffer.delete(full);
  else bench.buffer.put(full, encode(value));
}

describe('maintenance worker', () => {
  it('reads every value of the node, and compares the tables of jobs with their records', async () => {
    const { execute, queries } = await ground(busyBench());
    const { outcome, result } = await execute({ task: 'check' });
    assert.ok(outcome.ok);
    assert.equal(result.values.count, 3_000);
    assert.deepEqual([result.tables.faultCount, result.tables.faults], [0, []]);
    assert.ok(result.tables.rowCount > 1_400, `${result.tables.rowCount} rows`);
    assert.ok(queries() > 7);
  });

  it('names entries without their record, and records without their entries', async () => {
    const bench = busyBench();
    bench.machine.read('jobs').catchUp();
    const [[block, ids] = assert.fail()] = bench.index<string[]>('blocks');
    damage(bench, 'blocks', block, [null, ...ids.slice(1)]);
    const [[dead, bits] = assert.fail()] = bench.index<number>('kindBits');
    damage(bench, 'kindBits', dead, bits + 2 ** 5);
    damage(bench, 'idempotency', textKey('key of nobody'), 'job_nobody');
    damage(bench, 'idempotency', textKey('key of another'), 'job_1');
    const { execute } = await ground(bench);
    const { outcome, result } = await execute({ task: 'check' });
    assert.ok(!outcome.ok);
    assert.deepEqual([outcome.error.code, outcome.error.retryable], ['INCONSISTENT', false]);
    assert.deepEqual(result.tables.faults, [
      'job_0 is not in the table blocks',
      'the table kindBits names job_5 in a place where its record does not belong',
      'the table kindBits marks a place at which there is no job',
      'the table kindBits marks a place at which there is no job',
      'the table expiryBits marks a place at which there is no job',
      'the table idempotency names job_1 in a place where its record does not belong',
      'the table idempotency names job_nobody, of which there is no record',
    ]);
  });

  it('collects blobs that nothing names, and says what went', async () => {
    const { execute, store, blobClock } = await ground();
    await store.add(bytesOf(1_000));
    await store.add(bytesOf(2_000), { isPinned: true });
    blobClock.nowMs += 2 * 3_600_000;
    const { outcome, result } = await execute({ task: 'collect' });
    assert.ok(outcome.ok);
    assert.deepEqual(result.removed, { blobCount: 1, bytes: 1_000 });
  });

  it('has the store compacted at the next start where much of it is free, and says how the last time went', async () => {
    const mib = 2 ** 20;
    const last = { atMs: 5, beforeBytes: 90 * mib, afterBytes: 30 * mib, durationMs: 700, fault: null };
    const cases: readonly (readonly [StoreSpace | undefined, string | null])[] = [
      [{ fileBytes: 100 * mib, usedBytes: 30 * mib, freeBytes: 70 * mib }, 'next start'],
      [{ fileBytes: 100 * mib, usedBytes: 99 * mib, freeBytes: mib }, 'not worth it'],
      [undefined, null],
    ];
    for (const [space, when] of cases) {
      let askedCount = 0;
      const ask = async () => {
        askedCount += 1;
      };
      const { execute } = await ground(busyBench(), { space: () => space, last: async () => last, ask });
      const { outcome, result } = await execute({ task: 'compact' });
      assert.ok(outcome.ok);
      assert.deepEqual(result.store, space === undefined ? null : { ...space, when, last });
      assert.equal(askedCount, when === 'next start' ? 1 : 0);
      assert.deepEqual(result.outputs, { removedCount: 3 });
      assert.deepEqual(result.blobs, { blobCount: 0, bytes: 0 });
    }
  });

  it('compacts what can be where the store lies in memory', async () => {
    const { outcome, result } = await (await ground()).execute({ task: 'compact' });
    assert.ok(outcome.ok);
    assert.equal(result.store, null);
  });

  it('is refused for a task that it does not know', async () => {
    const { execute } = await ground();
    const { outcome } = await execute({ task: 'tidy' });
    assert.ok(!outcome.ok);
    assert.match(outcome.error.message, /payload.task/);
  });

  it('ends when it is told to', async () => {
    const { execute } = await ground(busyBench());
    const stop = new AbortController();
    const running = execute({ task: 'check' }, stop.signal);
    stop.abort('cancelled');
    const { outcome } = await running;
    assert.ok(!outcome.ok && outcome.error.code === 'CANCELLED');
  });
});
