import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, silentLogger } from '../../../src/base/index.ts';
import {
  CheckedStore,
  isSealed,
  MemoryDirectoryDisk,
  type MigrationStep,
  migrateDirectory,
} from '../../../src/storage/index.ts';
import { checkStoreFile } from '../../../src/storage/lmdb-check.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';
import { OsFileBox } from '../../../src/storage/os-files.ts';
import { osMigrations } from '../../../src/storage/os-migrations.ts';

const log = silentLogger;

/** Steps that note what they do, and crash once where they are told to. */
function tryOut(crashAt: string | undefined) {
  const done: string[] = [];
  let crash = crashAt;
  const doIt = (what: string) => async () => {
    if (crash === what) {
      crash = undefined;
      throw new Error(`crashed in ${what}`);
    }
    done.push(what);
  };
  const steps: MigrationStep[] = [1, 2, 3].map((from) => ({
    from,
    what: `step ${from}`,
    prepare: doIt(`prepare ${from}`),
    finish: doIt(`finish ${from}`),
  }));
  return { done, steps };
}

async function diskOf(format: object): Promise<MemoryDirectoryDisk> {
  const files = new MemoryDirectoryDisk({ path: '/d', machine: 'm' });
  await files.writeAtomic('format.json', new Uint8Array(Buffer.from(JSON.stringify(format))));
  return files;
}
const versionOf = async (files: MemoryDirectoryDisk) =>
  JSON.parse(Buffer.from((await files.read('format.json')) ?? new Uint8Array()).toString()) as object;

describe('migration of a data directory', function () {
  this.timeout(20_000);

  it('takes every step in order, each recorded', async () => {
    const files = await diskOf({ formatVersion: 1 });
    const { done, steps } = tryOut(undefined);
    assert.equal(await migrateDirectory({ files, path: '/d', log, steps: steps.toReversed(), target: 4 }), 3);
    assert.deepEqual(done, ['prepare 1', 'finish 1', 'prepare 2', 'finish 2', 'prepare 3', 'finish 3']);
    assert.deepEqual(await versionOf(files), { formatVersion: 4 });
  });

  it('T1: goes on after a crash in any part, and never prepares again what was prepared', async () => {
    for (const at of ['prepare 1', 'finish 1', 'prepare 2', 'finish 2']) {
      const files = await diskOf({ formatVersion: 1 });
      const { done, steps } = tryOut(at);
      const run = () => migrateDirectory({ files, path: '/d', log, steps, target: 3 });
      await assert.rejects(run(), /crashed/);
      await run();
      assert.deepEqual(done, ['prepare 1', 'finish 1', 'prepare 2', 'finish 2'], at);
    }
  });

  it('leaves a directory of today, and one that is new, as it is', async () => {
    const { done, steps } = tryOut(undefined);
    assert.equal(
      await migrateDirectory({
        files: await diskOf({ formatVersion: 2 }),
        path: '/d',
        log,
        steps,
        target: 2,
      }),
      0,
    );
    const empty = new MemoryDirectoryDisk({ path: '/d', machine: 'm' });
    assert.equal(await migrateDirectory({ files: empty, path: '/d', log, steps, target: 2 }), 0);
    assert.deepEqual(done, []);
  });

  it('says so when there is no way', async () => {
    const files = await diskOf({ formatVersion: 1 });
    await assert.rejects(
      migrateDirectory({ files, path: '/d', log, steps: [], target: 2 }),
      /version 1.*no way.*version 2/,
    );
  });

  describe('from format 1 to 2', () => {
    let path: string;
    beforeEach(async () => {
      path = mkdtempSync(join(tmpdir(), 'aspen-migrate-'));
      writeFileSync(join(path, 'format.json'), '{"formatVersion":1}\n');
      const random = new SeededRandom(3);
      await using store = openLmdbStore(join(path, 'store'));
      await store.write(
        Array.from({ length: 1_300 }, (_, at) => ({
          type: 'put' as const,
          key: `t0/kv/${at}\u0000\u00ff`,
          value: random.bytes(at % 100 === 0 ? 9_000 : at % 90),
        })),
      );
    });
    afterEach(() => rmSync(path, { recursive: true }));
    const run = (steps = osMigrations({ path, log })) =>
      migrateDirectory({ files: new OsFileBox(path), path, log, steps, target: 2 });

    async function assertMigrated(): Promise<void> {
      assert.equal(checkStoreFile(join(path, 'store'), { isGenuine: isSealed })?.entries, 1_301);
      await using old = openLmdbStore(join(path, 'before-format-2', 'store'));
      await using store = new CheckedStore({ store: openLmdbStore(join(path, 'store')) });
      for (const [key, value] of old.range({ from: '\u0000', to: '\u00ff' })) {
        assert.deepEqual(Buffer.from(store.get(key) ?? []), Buffer.from(value));
      }
    }

    it('seals every value, and keeps the old store', async () => {
      assert.equal(await run(), 1);
      await assertMigrated();
      assert.equal(await run(), 0);
    });

    it('T1: survives a crash before and after every part', async () => {
      for (const part of ['prepare', 'finish'] as const) {
        const [step] = osMigrations({ path, log }) as [MigrationStep];
        const crashing = async () => {
          await step[part]();
          throw new Error('crashed');
        };
        await assert.rejects(run([{ ...step, [part]: crashing }]), /crashed/);
      }
      await run();
      await assertMigrated();
      assert.ok(!existsSync(join(path, 'store.next')));
    });

    it('does nothing to a directory without a store but raise its format', async () => {
      rmSync(join(path, 'store'));
      assert.equal(await run(), 1);
      assert.ok(!existsSync(join(path, 'store')));
    });
  });
});
