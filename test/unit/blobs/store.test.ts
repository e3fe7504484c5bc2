import assert from 'node:assert/strict';
import { type BlobId, CHUNK_BYTES, MemoryBlobDisk } from '../../../src/blobs/index.ts';
import { bytesOf, openStore, readAll } from './support.ts';

const HOUR_MS = 3_600_000;

describe('a blob store', () => {
  it('gives the same id to the same bytes, however they came in', async () => {
    const { store } = await openStore();
    const bytes = bytesOf(3 * CHUNK_BYTES + 1);
    const whole = await store.add(bytes);
    const upload = store.begin();
    for (let at = 0; at < bytes.length; at += 100_000) await upload.write(bytes.subarray(at, at + 100_000));
    const { id } = await upload.commit({ isPinned: true });
    assert.equal(id, whole.id);
    assert.deepEqual(
      store.list().map(({ isPinned }) => isPinned),
      [true],
    );
    assert.equal(store.usedBytes, bytes.length);
  });

  it('forgets an upload that is given up or cut off by a crash', async () => {
    const disk = new MemoryBlobDisk();
    const { store } = await openStore(disk);
    const upload = store.begin();
    await upload.write(bytesOf(2 * CHUNK_BYTES));
    await upload.abort();
    await assert.rejects(upload.write(bytesOf(1)), { code: 'CONFLICT' });
    await store.begin().write(bytesOf(2 * CHUNK_BYTES));
    disk.crash();
    await openStore(disk);
    assert.deepEqual(await disk.names(), []);
  });

  it('goes on with a partial blob after a crash, with the chunks that were synced (K4)', async () => {
    const bytes = bytesOf(4 * CHUNK_BYTES);
    const source = (await openStore()).store;
    const { id } = await source.add(bytes);
    const disk = new MemoryBlobDisk();
    const { store } = await openStore(disk);
    await store.adopt(id, await source.manifest(id));
    const chunk = async (index: number) => (await source.readChunk(id, index)) as Uint8Array;
    assert.equal(await store.writeChunk(id, 2, await chunk(2)), true);
    await store.flush(id);
    assert.equal(await store.writeChunk(id, 0, await chunk(0)), true);
    await store.pin(id, true);
    await store.writeChunk(id, 3, await chunk(3));
    disk.crash();
    const again = (await openStore(disk)).store;
    assert.deepEqual([...(again.chunksOf(id)?.missing() ?? [])], [0, 1, 3]);
    for (const index of [0, 1, 3]) await again.writeChunk(id, index, await chunk(index));
    await again.flush(id);
    assert.deepEqual(Buffer.from(await readAll(again, id)), Buffer.from(bytes));
  });

  it('keeps no chunk that is not what it has to be', async () => {
    const source = (await openStore()).store;
    const { id } = await source.add(bytesOf(2 * CHUNK_BYTES));
    const { store } = await openStore();
    await store.adopt(id, await source.manifest(id));
    assert.equal(await store.writeChunk(id, 0, bytesOf(CHUNK_BYTES, 1)), false);
    assert.equal(await store.writeChunk(id, 0, bytesOf(5)), false);
    assert.equal(store.stat(id)?.heldBytes, 0);
  });

  it('takes a damaged chunk for absent, gives it to nobody, and takes it again (K2)', async () => {
    const disk = new MemoryBlobDisk();
    const { store } = await openStore(disk);
    const bytes = bytesOf(2 * CHUNK_BYTES);
    const { id } = await store.add(bytes);
    disk.damage(id, CHUNK_BYTES + 5);
    assert.equal(await store.readChunk(id, 1), undefined);
    assert.equal(store.damagedCount, 1);
    assert.equal(store.stat(id)?.isComplete, false);
    const again = (await openStore(disk)).store;
    assert.deepEqual([...(again.chunksOf(id)?.missing() ?? [])], [1]);
    assert.equal(await again.writeChunk(id, 1, bytes.subarray(CHUNK_BYTES)), true);
    assert.deepEqual(Buffer.from(await readAll(again, id)), Buffer.from(bytes));
  });

  it('never takes more than its quota, and says what to do (K3)', async () => {
    const { store } = await openStore(undefined, { quotaBytes: 1_000 });
    await store.add(bytesOf(600), { isPinned: true });
    await assert.rejects(store.add(bytesOf(500)), { code: 'RESOURCE_EXHAUSTED', message: /unpin/ });
    assert.equal(store.usedBytes, 600);
    const upload = store.begin();
    await upload.write(bytesOf(300));
    await assert.rejects(store.add(bytesOf(101, 3)), { code: 'RESOURCE_EXHAUSTED' });
    await upload.commit();
    assert.equal(store.usedBytes, 900);
  });

  it('lets copies of what others hold go for what is added here', async () => {
    const source = (await openStore()).store;
    const { id } = await source.add(bytesOf(600));
    const { store } = await openStore(undefined, { quotaBytes: 1_000 });
    await store.adopt(id, await source.manifest(id));
    await store.writeChunk(id, 0, bytesOf(600));
    {
      using _ = store.hold(id);
      await assert.rejects(store.add(bytesOf(500, 9)), { code: 'RESOURCE_EXHAUSTED' });
    }
    await store.add(bytesOf(500, 9));
    assert.equal(store.stat(id), undefined);
  });

  it('collects what nothing names when its grace is over, and keeps the rest', async () => {
    const { store, clock } = await openStore();
    const free = await store.add(bytesOf(1));
    const pinned = await store.add(bytesOf(2), { isPinned: true });
    const referred = await store.add(bytesOf(3), { jobId: 'job_1' });
    clock.nowMs += HOUR_MS - 1;
    assert.deepEqual(await store.collect(), []);
    clock.nowMs += 1;
    assert.deepEqual(await store.collect(), [free.id]);
    await store.unrefer(referred.id, new Set(['job_1']));
    await store.pin(pinned.id, false);
    clock.nowMs += HOUR_MS;
    assert.deepEqual((await store.collect()).toSorted(), [pinned.id, referred.id].toSorted());
  });

  it('gives up on request what is pinned, but not what is in use, and what a job needs only when forced', async () => {
    const { store } = await openStore();
    const { id } = await store.add(bytesOf(CHUNK_BYTES), { isPinned: true });
    {
      using _ = store.hold(id);
      await assert.rejects(store.discard(id, { isForced: true }), { code: 'CONFLICT' });
    }
    await store.refer(id, 'job_1');
    await assert.rejects(store.discard(id, { isForced: false }), /kept for 1 jobs/);
    assert.equal(await store.discard(id, { isForced: true }), CHUNK_BYTES);
    await assert.rejects(store.discard(id, { isForced: false }), { code: 'NOT_FOUND' });
    assert.equal(store.usedBytes, 0);
  });

  it('takes what is no blob for an orphan', async () => {
    const disk = new MemoryBlobDisk();
    await disk.writeAtomic(
      'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
      'state',
      bytesOf(9),
    );
    await disk.writeAtomic('upload-00', 'manifest', bytesOf(9));
    await openStore(disk);
    assert.deepEqual(await disk.names(), []);
  });

  it('gives up a blob whose manifest is damaged', async () => {
    const disk = new MemoryBlobDisk();
    const { id } = await (await openStore(disk)).store.add(bytesOf(9));
    await disk.writeAtomic(id, 'manifest', bytesOf(50));
    const { store } = await openStore(disk);
    await assert.rejects(store.readChunk(id, 0), { code: 'NOT_FOUND' });
    assert.equal(store.stat(id as BlobId), undefined);
  });
});

describe('the newest blobs of a store', () => {
  it('are those that are whole, as they come and go', async () => {
    const disk = new MemoryBlobDisk();
    const { store, clock } = await openStore(disk);
    assert.deepEqual(store.newest(2), []);
    const ids: BlobId[] = [];
    for (let size = 1; size <= 3; size += 1) {
      clock.nowMs += 1;
      ids.unshift((await store.add(bytesOf(size))).id);
    }
    assert.deepEqual(store.newest(2), ids.slice(0, 2));
    const [first, second, third] = ids as [BlobId, BlobId, BlobId];
    await store.remove(first);
    assert.deepEqual(store.newest(2), [second, third]);
    disk.damage(second, 0);
    await store.readChunk(second, 0);
    assert.deepEqual(store.newest(2), [third]);
    await store.writeChunk(second, 0, bytesOf(2));
    assert.deepEqual(store.newest(2), [second, third]);
  });
});
