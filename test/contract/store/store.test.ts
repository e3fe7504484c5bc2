import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import { KeyTable, MemoryStore } from '../../../src/storage/index.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';
import { openStoreWithJournal } from '../../../src/storage/os-journaled-store.ts';
import { describeStore } from './store-contract.ts';

describeStore('memory', async () => {
  const table = new KeyTable();
  return {
    open: async () => new MemoryStore(table),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

describeStore('lmdb', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aspen-store-'));
  return {
    open: async () => openLmdbStore(join(directory, 'store')),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});

describeStore('lmdb behind a journal', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aspen-store-'));
  const components = { clock: new OsClock(), random: new OsRandom() };
  return {
    open: () => openStoreWithJournal(join(directory, 'store'), components),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});
