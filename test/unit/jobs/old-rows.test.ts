import assert from 'node:assert/strict';
import { encode, silentLogger } from '../../../src/base/index.ts';
import { nameKey } from '../../../src/jobs/dead-index.ts';
import { renewJobRows } from '../../../src/jobs/index.ts';
import { placeKey } from '../../../src/jobs/job-places.ts';
import { packRecord, packSpec } from '../../../src/jobs/packing.ts';
import { isFinal } from '../../../src/jobs/record.ts';
import { MACHINE_SPACES } from '../../../src/lease/index.ts';
import { type Key, numberKey, prefixEnd, textKey, type Write } from '../../../src/storage/index.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

const log = silentLogger;

/** Jobs in every state, of several queues, types and labels. */
function busyBench(): JobsBench {
  const bench = new JobsBench();
  const ids = Array.from({ length: 700 }, (_, at) => `job_${at}`);
  const queueOf = (at: number) => (at % 5 === 0 ? { queue: 'mail', namespace: 'acme' } : {});
  const labelsOf = (at: number) => (at % 7 === 0 ? { labels: { team: 'web' } } : {});
  bench.submit(
    ...ids.map((id, at) => ({ id, ...queueOf(at), ...labelsOf(at), idempotencyKey: `key ${id}` })),
  );
  for (const id of ids.slice(0, 90)) bench.do('complete', { ...bench.assign(id), result: { of: id } });
  const error = { ...SOME_ERROR, retryable: false };
  for (const id of ids.slice(90, 120)) bench.do('fail', { ...bench.assign(id), error, result: null });
  for (const id of ids.slice(120, 140)) bench.do('cancel', { id, reason: 'no' });
  bench.assign('job_150');
  bench.submit({ id: 'job_single', delayMs: 60_000 });
  return bench;
}

/** The rows of the bench as they were laid out before: five for each finished job. */
async function layOutAsBefore(bench: JobsBench): Promise<void> {
  const records = bench.records();
  const writes: Write[] = [];
  const put = (table: string, key: Key, value: unknown) =>
    writes.push({ type: 'put', key: `t0/jobs/${table}/${key}`, value: encode(value) });
  for (const table of ['jobs', 'live', 'blocks', 'kindBits', 'expiryBits'])
    writes.push({ type: 'deleteRange', from: `t0/jobs/${table}/`, to: prefixEnd(`t0/jobs/${table}/`) });
  for (const record of records) {
    const { id, spec, state } = record;
    put('specs', textKey(id), packSpec(spec));
    put(isFinal(state) ? 'done' : 'live', textKey(id), packRecord(record));
    put('order', placeKey(record), id);
    put('kinds', `t${nameKey(spec.type)}${numberKey(record.position)}${numberKey(0)}`, records.length);
    if (!isFinal(state)) continue;
    put('ended', `${state}/${placeKey(record)}`, id);
    put('expiring', numberKey(record.expiresGroupMs ?? 0) + id, id);
  }
  await bench.buffer.flush();
  await bench.store.write(writes);
}

describe('rows of jobs as they were laid out before', () => {
  it('become what the same records have today, and nothing is left of them', async () => {
    const bench = busyBench();
    const before = bench.records();
    await layOutAsBefore(bench);
    for (const space of MACHINE_SPACES) await renewJobRows(bench.store, { space, log });
    await bench.restart();
    assert.equal(before.length, 701);
    assert.deepEqual(bench.records(), before);
    bench.checkIndexes();
    for (const table of ['specs', 'done', 'order', 'ended', 'expiring', 'endedOf', 'kinds'])
      assert.deepEqual(
        [...bench.store.range({ from: `t0/jobs/${table}/`, to: `t0/jobs/${table}0` })],
        [],
        table,
      );
  });

  it('become so in the end, whatever batch a crash comes after', async () => {
    for (let batches = 0; batches < 4; batches += 1) {
      const bench = busyBench();
      const before = bench.records();
      await layOutAsBefore(bench);
      await assert.rejects(renewJobRows(failingAfter(bench.store, batches), { space: 't0/', log }), /crash/);
      await renewJobRows(bench.store, { space: 't0/', log });
      await bench.restart();
      assert.deepEqual(bench.records(), before);
      bench.checkIndexes();
    }
  });
});

/** The store, but for a crash after some writes. */
function failingAfter(store: JobsBench['store'], writes: number): JobsBench['store'] {
  let left = writes;
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'write') return value.bind(target);
      return async (batch: readonly Write[]) => {
        if (left === 0) throw new Error('crash');
        left -= 1;
        await target.write(batch);
      };
    },
  });
}
