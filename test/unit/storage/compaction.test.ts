import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { silentLogger } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import { CheckedStore, isSealed, isWorthCompacting } from '../../../src/storage/index.ts';
import { checkStoreFile } from '../../../src/storage/lmdb-check.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';
import { compactStore, readStoreSpace, StoreCompaction } from '../../../src/storage/os-compaction.ts';
import { OsFileBox } from '../../../src/storage/os-files.ts';
import { openStoreWithJournal } from '../../../src/storage/os-journaled-store.ts';

const KEYS = 6_000;
const KEPT = 600;
const clock = new OsClock();
const directories: string[] = [];

function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'aspen-compaction-'));
  directories.push(directory);
  return directory;
}

/** A store of which most was deleted. @returns what is left of it. */
async function wornStore(path: string): Promise<ReadonlyMap<string, Buffer>> {
  const base = openLmdbStore(path);
  await using store = new CheckedStore({ store: base, onDamage: () => assert.fail() });
  const left = new Map<string, Buffer>();
  for (let at = 0; at < KEYS; at += 1_000) {
    const batch = Array.from({ length: 1_000 }, (_, each) => {
      const key = `k${String((at + each) * 7919).padStart(12, '0')}`;
      const value = randomBytes((at + each) % 100 === 0 ? 20_000 : 700);
      left.set(key, value);
      return { type: 'put' as const, key, value };
    });
    await store.write(batch);
  }
  const gone = [...left.keys()].slice(0, KEYS - KEPT);
  await store.write(gone.map((key) => ({ type: 'delete', key })));
  for (const key of gone) left.delete(key);
  return left;
}

async function contentsOf(path: string): Promise<ReadonlyMap<string, Buffer>> {
  await using store = new CheckedStore({ store: openLmdbStore(path), onDamage: () => assert.fail() });
  return new Map(
    [...store.range({ from: '\u0000', to: '\u00ff' })].map(([key, value]) => [key, Buffer.from(value)]),
  );
}

function filesOf(directory: string) {
  const box = new OsFileBox(directory);
  return {
    storePath: join(directory, 'store'),
    readFile: (name: string) => box.read(name),
    writeFileAtomic: (name: string, bytes: Uint8Array) => box.writeAtomic(name, bytes),
  };
}

describe('compaction of a store', () => {
  after(() => {
    for (const directory of directories) rmSync(directory, { recursive: true });
  });

  it('gives back what is free, and keeps every value', async () => {
    const path = join(makeDirectory(), 'store');
    const left = await wornStore(path);
    const before = readStoreSpace(path) ?? assert.fail();
    assert.equal(before.fileBytes, statSync(path).size);
    assert.ok(before.freeBytes > before.fileBytes / 2, JSON.stringify(before));
    await compactStore(path, { isGenuine: isSealed });
    const after = readStoreSpace(path) ?? assert.fail();
    assert.ok(after.fileBytes < before.fileBytes / 3, JSON.stringify({ before, after }));
    assert.ok(after.freeBytes < after.fileBytes / 4, JSON.stringify(after));
    assert.deepEqual(await contentsOf(path), left);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('tells the space of a store that is open, and nothing of one that is not there', async () => {
    const path = join(makeDirectory(), 'store');
    assert.equal(readStoreSpace(path), undefined);
    await using store = openLmdbStore(path);
    await store.write([{ type: 'put', key: 'a', value: new Uint8Array(100_000) }]);
    const space = readStoreSpace(path) ?? assert.fail();
    assert.ok(space.usedBytes > 100_000 && space.usedBytes <= space.fileBytes, JSON.stringify(space));
  });

  it('keeps what the journal still holds', async () => {
    const directory = makeDirectory();
    const path = join(directory, 'store');
    await wornStore(path);
    const parts = { clock, random: new OsRandom() };
    {
      await using store = await openStoreWithJournal(path, parts);
      await store.write([{ type: 'put', key: 'z', value: Uint8Array.of(1) }]);
    }
    await compactStore(path);
    await using store = await openStoreWithJournal(path, parts);
    assert.deepEqual([...(store.get('z') ?? [])], [1]);
  });

  it('leaves the old store or the new one, whole, wherever it is killed', async function () {
    this.timeout(120_000);
    const directory = makeDirectory();
    const path = join(directory, 'store');
    const left = await wornStore(path);
    const worn = readFileSync(path);
    for (let round = 0; round < 8; round += 1) {
      for (const end of ['-lock', '.compact', '.compact-lock']) rmSync(path + end, { force: true });
      writeFileSync(path, worn, { mode: 0o600 });
      const child = spawn(execPath, [new URL('compact-when-told.ts', import.meta.url).pathname, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      // From before the copy to after the rename; later rounds come later.
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, round * 20))]);
      child.kill('SIGKILL');
      await ended;
      assert.ok((checkStoreFile(path, { isGenuine: isSealed })?.entries ?? 0) === KEPT);
      assert.deepEqual(await contentsOf(path), left);
    }
  });

  it('is asked for while the store is open, and done once by the next start', async () => {
    const directory = makeDirectory();
    const path = join(directory, 'store');
    const left = await wornStore(path);
    const compaction = new StoreCompaction(filesOf(directory), { clock, log: silentLogger });
    const before = compaction.space() ?? assert.fail();
    await compaction.runIfAsked();
    assert.deepEqual([compaction.space(), await compaction.last()], [before, null]);
    await compaction.ask();
    await compaction.runIfAsked();
    const last = (await compaction.last()) ?? assert.fail();
    assert.equal(last.fault, null);
    assert.equal(last.beforeBytes, before.fileBytes);
    assert.equal(last.afterBytes, compaction.space()?.fileBytes);
    assert.ok(last.afterBytes < last.beforeBytes / 3);
    assert.deepEqual(await contentsOf(path), left);
    const { ino } = statSync(path);
    await compaction.runIfAsked();
    assert.equal(statSync(path).ino, ino);
  });

  it('removes what one that was cut off left, and gives up what was cut off three times', async () => {
    const directory = makeDirectory();
    const path = join(directory, 'store');
    await wornStore(path);
    const files = filesOf(directory);
    const compaction = new StoreCompaction(files, { clock, log: silentLogger });
    const note = { version: 1, isAsked: true, tries: 3, last: null };
    await files.writeFileAtomic('compaction', Buffer.from(JSON.stringify(note)));
    writeFileSync(`${path}.compact`, 'half a copy');
    const { size } = statSync(path);
    await compaction.runIfAsked();
    assert.equal(existsSync(`${path}.compact`), false);
    assert.equal(statSync(path).size, size);
    assert.match((await compaction.last())?.fault ?? '', /three times/);
  });

  it('keeps no agent from starting', async () => {
    const directory = makeDirectory();
    const path = join(directory, 'store');
    const left = await wornStore(path);
    {
      await using store = openLmdbStore(path);
      await store.write([{ type: 'put', key: 'k', value: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }]); // without its checksum
    }
    const compaction = new StoreCompaction(filesOf(directory), { clock, log: silentLogger });
    await compaction.ask();
    await compaction.runIfAsked();
    assert.match((await compaction.last())?.fault ?? '', /does not match its checksum/);
    {
      await using store = openLmdbStore(path);
      await store.write([{ type: 'delete', key: 'k' }]);
    }
    assert.deepEqual(await contentsOf(path), left);
  });

  it('is worth it only where much is free', () => {
    const mib = 2 ** 20;
    const space = (fileMib: number, freeMib: number) => ({
      ...{ fileBytes: fileMib * mib, usedBytes: (fileMib - freeMib) * mib, freeBytes: freeMib * mib },
    });
    const cases: readonly (readonly [number, number, boolean])[] = [
      [5, 3, false], // too little
      [5, 4, true],
      [1_000, 50, false], // too small a part
      [1_000, 100, true],
    ];
    for (const [file, free, isWorth] of cases)
      assert.equal(isWorthCompacting(space(file, free)), isWorth, `${free} of ${file} MiB`);
  });
});
