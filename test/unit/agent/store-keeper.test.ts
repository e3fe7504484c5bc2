import assert from 'node:assert/strict';
import type { Platform } from '../../../src/agent/platform.ts';
import { StoreKeeper } from '../../../src/agent/store-keeper.ts';
import { AspenError, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import {
  type DataDirectory,
  KeyTable,
  MemoryDirectoryDisk,
  MemoryStore,
  openMemoryDataDirectory,
  StorageFault,
} from '../../../src/storage/index.ts';

/** One machine over several lives; a crash is planted by letting a file operation throw. */
class Machine {
  readonly files = new MemoryDirectoryDisk({ path: '/data', machine: 'm' });
  readonly random = new SeededRandom(1);
  table = new KeyTable();
  quarantined = 0;
  crashAt = Number.POSITIVE_INFINITY;
  /** Whether what lies there cannot even be opened. */
  isUnreadable = false;
  #operations = 0;

  async keeper(): Promise<{ keeper: StoreKeeper; directory: DataDirectory }> {
    this.files.crash();
    const directory = await openMemoryDataDirectory(this.files, { random: this.random });
    const mortal: Partial<DataDirectory> = {
      writeFileAtomic: (name, bytes) => this.#step(() => directory.writeFileAtomic(name, bytes)),
      renewIncarnation: () => this.#step(() => directory.renewIncarnation()),
    };
    const platform = {
      clock: { wallMs: () => 1_000 },
      logger: silentLogger,
      directory: { ...directory, ...mortal },
      openStore: async () => {
        if (this.isUnreadable) throw new StorageFault('damaged', 'its journal is damaged');
        return new MemoryStore(this.table);
      },
      quarantineStore: () =>
        this.#step(async () => {
          if (this.table.size === 0) return null;
          this.table = new KeyTable();
          this.isUnreadable = false;
          this.quarantined += 1;
          return '/data/quarantine/x';
        }),
    };
    return { keeper: new StoreKeeper(platform as unknown as Platform, () => undefined), directory };
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    this.#operations += 1;
    if (this.#operations === this.crashAt) throw new Error('crashed');
    return work();
  }
}

async function member(copies: { voters: string[]; standbys: string[] }) {
  const machine = new Machine();
  const { keeper } = await machine.keeper();
  const { store, loss } = await keeper.open({ isNew: true });
  assert.equal(loss, undefined);
  await store.write([{ type: 'put', key: 't0/x', value: Uint8Array.of(1) }]);
  await keeper.noteCopies(copies);
  return machine;
}
const THREE = { voters: ['a', 'b', 'c'], standbys: [] };

describe('the keeper of a store', () => {
  it('opens what it knows, again and again', async () => {
    const machine = await member(THREE);
    for (let life = 0; life < 2; life += 1) {
      const { store, loss } = await (await machine.keeper()).keeper.open({ isNew: false });
      assert.deepEqual([loss, store.get('t0/x')?.[0]], [undefined, 1]);
    }
  });

  it('R1: takes an empty store of a member for a lost one, with a new incarnation, until the node is taken in again', async () => {
    const machine = await member(THREE);
    const before = (await machine.keeper()).directory.incarnation;
    machine.table = new KeyTable();
    const first = await machine.keeper();
    const { store, loss } = await first.keeper.open({ isNew: false });
    assert.match(String(loss?.reason), /gone/);
    assert.notEqual(first.directory.incarnation, before);
    const second = await machine.keeper();
    assert.notEqual(
      (await second.keeper.open({ isNew: false })).loss,
      undefined,
      'it stays lost over a restart',
    );
    await second.keeper.settle(store);
    assert.equal((await (await machine.keeper()).keeper.open({ isNew: false })).loss, undefined);
  });

  it('R2: never runs on an empty store without knowing it, whatever moment a crash comes at', async () => {
    for (let crashAt = 1; crashAt < 8; crashAt += 1) {
      const machine = await member(THREE);
      machine.table.apply([{ type: 'put', key: 'd/birth', value: Uint8Array.of(9, 9, 9, 9, 9) }]);
      const noted = await machine.keeper();
      machine.crashAt = crashAt + 1; // the copies were the first
      await noted.keeper.open({ isNew: false }).catch(() => undefined);
      const { keeper } = await machine.keeper();
      const { loss } = await keeper.open({ isNew: false });
      assert.notEqual(loss, undefined, `after a crash at ${crashAt}`);
      assert.equal(machine.quarantined, 1);
    }
  });

  it('R1: sets a store aside that was begun in place of a lost one and is damaged as well', async () => {
    const machine = await member(THREE);
    for (let loss = 1; loss <= 2; loss += 1) {
      machine.isUnreadable = true;
      const opened = await (await machine.keeper()).keeper.open({ isNew: false });
      assert.deepEqual([opened.loss?.reason, machine.quarantined], ['its journal is damaged', loss]);
      await opened.store.write([{ type: 'put', key: 't0/x', value: Uint8Array.of(1) }]); // not taken in again yet
    }
  });

  it('R2: what a running agent met is set aside at its next start', async () => {
    const machine = await member(THREE);
    await (await machine.keeper()).keeper.note(new StorageFault('damaged', 'a value is wrong'));
    const { loss } = await (await machine.keeper()).keeper.open({ isNew: false });
    assert.deepEqual([loss?.reason, loss?.isMoved, machine.quarantined], ['a value is wrong', true, 1]);
  });

  it('R3: ends with a way out where the only copy is lost, at every start', async () => {
    const machine = await member({ voters: ['a'], standbys: [] });
    machine.table.apply([{ type: 'put', key: 'd/birth', value: Uint8Array.of(9, 9, 9, 9, 9) }]);
    for (let life = 0; life < 2; life += 1) {
      const { keeper } = await machine.keeper();
      await assert.rejects(
        keeper.open({ isNew: false }),
        (error) =>
          error instanceof AspenError &&
          /only copy.*quarantine.*restore FILE.*group recover/s.test(error.message),
      );
    }
    assert.equal(machine.quarantined, 1);
  });

  it('R3: a standby that has a copy too makes it one of several', async () => {
    const machine = await member({ voters: ['a'], standbys: ['b'] });
    machine.table = new KeyTable();
    assert.notEqual((await (await machine.keeper()).keeper.open({ isNew: false })).loss, undefined);
  });
});
