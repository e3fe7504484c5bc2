import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../base/index.ts';
import { BIRTH_KEY } from './birth.ts';
import { sealValue } from './checked-value.ts';
import { DIRECTORY_FILES, type FileBox } from './data-directory.ts';
import { checkStoreFile } from './lmdb-check.ts';
import { openLmdbStore } from './lmdb-store.ts';
import type { MigrationStep } from './migration.ts';
import type { Write } from './store.ts';

/** Values copied in one batch; each of them is at most a few MiB. */
const BATCH_VALUES = 500;
const BATCH_BYTES = 4 * 2 ** 20;
const PROGRESS_VALUES = 100_000;

/** Every step this agent knows, for a directory on a real disk. */
export function osMigrations({
  path,
  log,
}: {
  readonly path: string;
  readonly log: Logger;
  readonly files?: FileBox;
}): MigrationStep[] {
  return [sealValues(path, log), JOURNAL_COMES];
}

/** 2 to 3: the store makes its journal when it is opened; an agent that does not know of it must not write to a store that has one. */
const JOURNAL_COMES: MigrationStep = {
  from: 2,
  what: 'a journal comes before the store',
  prepare: async () => undefined,
  finish: async () => undefined,
};

/** 1 to 2: each stored value gets its checksum. The store is copied; the old one stays in `before-format-2`. */
function sealValues(path: string, log: Logger): MigrationStep {
  const old = join(path, DIRECTORY_FILES.store);
  const next = join(path, 'store.next');
  const kept = join(path, 'before-format-2');
  return {
    from: 1,
    what: 'every stored value gets a checksum',
    async prepare() {
      for (const suffix of ['', '-lock']) await rm(next + suffix, { force: true });
      if (!(await isThere(old))) return;
      checkStoreFile(old);
      await using source = openLmdbStore(old);
      await using target = openLmdbStore(next);
      using snapshot = source.snapshot();
      let batch: Write[] = [{ type: 'put', key: BIRTH_KEY, value: sealValue(BIRTH_KEY, Uint8Array.of(1)) }];
      let [bytes, count] = [0, 0];
      for (const [key, value] of snapshot.range({ from: '\u0000', to: '\u00ff'.repeat(8) })) {
        batch.push({ type: 'put', key, value: sealValue(key, value) });
        bytes += value.length;
        count += 1;
        if (count % PROGRESS_VALUES === 0) log.info({ values: count }, 'copies the store');
        if (batch.length < BATCH_VALUES && bytes < BATCH_BYTES) continue;
        await target.write(batch);
        batch = [];
        bytes = 0;
      }
      await target.write(batch);
    },
    async finish() {
      if (!(await isThere(next))) return;
      await mkdir(kept, { recursive: true, mode: 0o700 });
      if (await isThere(old)) await rename(old, join(kept, DIRECTORY_FILES.store));
      for (const leftover of [`${old}-lock`, `${next}-lock`]) await rm(leftover, { force: true });
      await rename(next, old);
    },
  };
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
