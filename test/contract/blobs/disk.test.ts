import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BlobDisk, CHUNK_BYTES, MemoryBlobDisk } from '../../../src/blobs/index.ts';
import { OsBlobDisk } from '../../../src/blobs/os-blob-disk.ts';
import { bytesOf, openStore, readAll } from '../../unit/blobs/support.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aspen-blobs-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const DISKS: readonly (readonly [string, () => BlobDisk])[] = [
  ['memory', () => new MemoryBlobDisk()],
  ['files', () => new OsBlobDisk(join(directory, 'blobs'))],
];

for (const [name, make] of DISKS) {
  describe(`a blob disk (${name})`, () => {
    it('keeps entries, their files and their bytes', async () => {
      const disk = make();
      assert.deepEqual(await disk.names(), []);
      await disk.writeAtomic('one', 'state', bytesOf(3));
      await disk.writeAtomic('one', 'state', bytesOf(5));
      {
        await using data = await disk.openData('one');
        await data.write(10, bytesOf(4));
        await data.sync();
        assert.deepEqual(Buffer.from(await data.read(8, 100)), Buffer.from([0, 0, ...bytesOf(4)]));
      }
      assert.equal(await disk.dataBytes('one'), 14);
      assert.deepEqual(Buffer.from((await disk.read('one', 'state')) ?? []), Buffer.from(bytesOf(5)));
      assert.equal(await disk.read('one', 'manifest'), undefined);
      await disk.rename('one', 'two');
      assert.deepEqual(await disk.names(), ['two']);
      await disk.remove('two');
      await disk.remove('two');
      assert.deepEqual(await disk.names(), []);
      assert.equal(await disk.dataBytes('two'), 0);
    });

    it('holds a store whose blobs are there after a restart', async () => {
      const disk = make();
      const before = (await openStore(disk)).store;
      const bytes = bytesOf(2 * CHUNK_BYTES + 9);
      const { id } = await before.add(bytes, { isPinned: true, name: 'a.bin' });
      await before.close();
      const { store } = await openStore(disk);
      assert.deepEqual(Buffer.from(await readAll(store, id)), Buffer.from(bytes));
      const { isPinned, name: called, isComplete } = store.stat(id) ?? {};
      assert.deepEqual(
        { isPinned, called, isComplete },
        { isPinned: true, called: 'a.bin', isComplete: true },
      );
      await store.close();
    });
  });
}

describe('blobs in files', () => {
  it("are their owner's alone, and leave nothing beside them", async () => {
    const root = join(directory, 'blobs');
    const { store } = await openStore(new OsBlobDisk(root));
    const { id } = await store.add(bytesOf(10));
    assert.equal((await stat(root)).mode & 0o777, 0o700);
    assert.deepEqual((await readdir(join(root, id))).sort(), ['data', 'manifest', 'state']);
    for (const file of await readdir(join(root, id)))
      assert.equal((await stat(join(root, id, file))).mode & 0o777, 0o600);
  });

  it('whose bytes were cut off while the agent was away are given up at the next start', async () => {
    const root = join(directory, 'blobs');
    const { store } = await openStore(new OsBlobDisk(root));
    const { id } = await store.add(bytesOf(100));
    await writeFile(join(root, id, 'data'), bytesOf(50));
    const again = (await openStore(new OsBlobDisk(root))).store;
    assert.equal(again.stat(id), undefined);
    assert.deepEqual(await readdir(root), []);
  });

  it('never leave their directory by a name', async () => {
    const disk = new OsBlobDisk(join(directory, 'blobs'));
    for (const name of ['..', '../x', 'a/b', '', '.gone-1'])
      await assert.rejects(disk.openData(name), { code: 'INVALID_PARAMS' });
  });
});
