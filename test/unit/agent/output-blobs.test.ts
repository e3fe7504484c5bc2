import assert from 'node:assert/strict';
import { OutputBlobs } from '../../../src/agent/output-blobs.ts';
import { type PeerId, silentLogger } from '../../../src/base/index.ts';
import { type BlobId, type BlobStoreOptions, MemoryBlobDisk } from '../../../src/blobs/index.ts';
import { cutStreams, RECORDED_BYTES } from '../../../src/jobs/index.ts';
import { MemorySpool } from '../../../src/supervisor/index.ts';
import { bytesOf, openStore, readAll } from '../blobs/support.ts';

const HOUR_MS = 3_600_000;
const NAME = { jobId: 'job_1', attempt: 2 };
const LONG_BYTES = 1_000_000;
const PEERS = ['b', 'c', 'd', 'e'] as unknown as readonly PeerId[];

type Replicate = ConstructorParameters<typeof OutputBlobs>[0]['blobs']['replicate'];

async function ground(
  options: Partial<BlobStoreOptions> = {},
  { replicas = 1, replicate = () => assert.fail() }: { replicas?: number; replicate?: Replicate } = {},
) {
  const disk = new MemoryBlobDisk();
  const { store, clock } = await openStore(disk, options);
  const outputs = new OutputBlobs(
    { blobs: { store, replicate }, log: silentLogger, candidates: () => PEERS },
    { retentionMs: 24 * HOUR_MS, replicas },
  );
  const spool = new MemorySpool();
  const writer = spool.create('key', () => undefined);
  const source = {
    readOutput: async (from: number, bytesLimit: number) =>
      (await spool.read('key', from, bytesLimit)) ?? { chunks: [], nextOffset: from },
  };
  return { store, clock, disk, outputs, writer, source };
}

describe('output too long for a record', () => {
  it('is kept whole, each stream by itself, however they mixed (O5)', async () => {
    const { store, outputs, writer, source } = await ground();
    const [out, err] = [bytesOf(LONG_BYTES), bytesOf(LONG_BYTES, 7)];
    for (let at = 0; at < LONG_BYTES; at += 10_000) {
      writer.append('stdout', out.subarray(at, at + 10_000));
      writer.append('stderr', err.subarray(at, at + 10_000));
    }
    const { stdoutBlob, stderrBlob } = await outputs.keep(NAME, source, ['stdout', 'stderr']);
    assert.deepEqual(Buffer.from(await readAll(store, stdoutBlob as BlobId)), Buffer.from(out));
    assert.deepEqual(Buffer.from(await readAll(store, stderrBlob as BlobId)), Buffer.from(err));
    assert.deepEqual(store.stat(stdoutBlob as BlobId)?.jobs, ['job_1']);
  });

  it('is kept where a record lacks something, and only there', async () => {
    const { store, outputs, writer, source } = await ground();
    writer.append('stdout', bytesOf(RECORDED_BYTES));
    writer.append('stderr', bytesOf(RECORDED_BYTES + 1));
    const { stdoutBlob, stderrBlob } = await outputs.keep(NAME, source, ['stdout', 'stderr']);
    assert.equal(stdoutBlob, undefined);
    assert.equal(store.stat(stderrBlob as BlobId)?.sizeBytes, RECORDED_BYTES + 1);
    const facts = { stdout: '', stderr: '', stdoutBytes: RECORDED_BYTES, stderrBytes: RECORDED_BYTES + 1 };
    assert.deepEqual(cutStreams({ ...facts, truncated: true }), ['stderr']);
    assert.deepEqual(cutStreams({ ...facts, truncated: false }), []);
  });

  it('does not change the outcome where there is no room for it, and leaves nothing behind (O6)', async () => {
    const { disk, outputs, writer, source } = await ground({ quotaBytes: LONG_BYTES / 2 });
    writer.append('stdout', bytesOf(LONG_BYTES));
    assert.deepEqual(await outputs.keep(NAME, source, ['stdout']), {});
    assert.deepEqual(await disk.names(), []);
  });

  it('is kept for its own time, and not as long as the record (G4)', async () => {
    const { store, clock, disk, outputs, writer, source } = await ground();
    writer.append('stdout', bytesOf(LONG_BYTES));
    const { stdoutBlob } = await outputs.keep(NAME, source, ['stdout']);
    const ids = async (at: number) => {
      clock.nowMs += at;
      const again = (await openStore(disk, {}, clock)).store; // what says so outlives a restart
      await again.unreferOld();
      await again.collect();
      return again.list().map(({ id }) => id);
    };
    assert.deepEqual(await ids(24 * HOUR_MS - 1), [stdoutBlob]);
    assert.deepEqual(await ids(1), []);
    assert.equal(store.list().length, 1);
  });

  it('is on as many nodes as the owner wants before it is told, another one first each time', async () => {
    const asked: Parameters<Replicate>[1][] = [];
    const replicate: Replicate = async (id, wanted) => {
      assert.ok(replicated.store.isComplete(id));
      asked.push(wanted);
      return wanted.candidates.slice(0, wanted.count);
    };
    const replicated = await ground({}, { replicas: 2, replicate });
    replicated.writer.append('stdout', bytesOf(LONG_BYTES));
    for (const attempt of [1, 2])
      await replicated.outputs.keep({ jobId: 'job_1', attempt }, replicated.source, ['stdout']);
    const wanted = { count: 1, jobId: 'job_1', keptForMs: 24 * HOUR_MS, timeoutMs: 30_000 };
    assert.deepEqual(asked, [
      { ...wanted, candidates: ['b', 'c', 'd'] },
      { ...wanted, candidates: ['c', 'd', 'e'] },
    ]);
  });

  it('does not change the outcome where no node takes a copy (O6)', async () => {
    const { store, outputs, writer, source } = await ground({}, { replicas: 3, replicate: async () => [] });
    writer.append('stdout', bytesOf(LONG_BYTES));
    const { stdoutBlob } = await outputs.keep(NAME, source, ['stdout']);
    assert.ok(store.isComplete(stdoutBlob as BlobId));
  });

  it('of many attempts at once is kept a few at a time, the same bytes under one name', async () => {
    const { store, outputs, writer, source } = await ground();
    writer.append('stdout', bytesOf(LONG_BYTES));
    const names = Array.from({ length: 20 }, (_, at) => ({ jobId: `job_${at}`, attempt: 1 }));
    const kept = await Promise.all(names.map((name) => outputs.keep(name, source, ['stdout'])));
    const [first] = kept;
    assert.ok(kept.every(({ stdoutBlob }) => stdoutBlob === first?.stdoutBlob));
    assert.equal(store.list().length, 1);
    assert.equal(store.list()[0]?.jobs.length, 20);
    assert.equal(store.usedBytes, LONG_BYTES);
  });
});
