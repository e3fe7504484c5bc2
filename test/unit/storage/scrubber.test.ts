import assert from 'node:assert/strict';
import {
  CheckedStore,
  type KeyRange,
  MemoryStore,
  Scrubber,
  type StorageFault,
  type StoreView,
  type Write,
} from '../../../src/storage/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const HOUR_MS = 3_600_000;

/** A store that notes what is read of it. */
class Watched implements StoreView {
  readonly reads: string[][] = [];
  readonly #store: StoreView;

  constructor(store: StoreView) {
    this.#store = store;
  }

  get(key: string): Uint8Array | undefined {
    return this.#store.get(key);
  }

  *range(range: KeyRange): Generator<readonly [string, Uint8Array]> {
    const read: string[] = [];
    this.reads.push(read);
    for (const record of this.#store.range(range)) {
      read.push(record[0]);
      yield record;
    }
  }
}

async function filled(count: number, bytes: number) {
  const disk = new MemoryStore();
  const faults: StorageFault[] = [];
  const store = new CheckedStore({ store: disk, onDamage: (fault) => faults.push(fault) });
  const keys = Array.from({ length: count }, (_, at) => `k/${String(at).padStart(6, '0')}`);
  await store.write(keys.map((key): Write => ({ type: 'put', key, value: new Uint8Array(bytes) })));
  return { disk, store, faults, keys };
}

describe('a scrubber', () => {
  it('C3: reads every value once in a pass, in steps of bounded size, and rests a day after it', async () => {
    for (const [count, bytes] of [
      [40, 100_000],
      [5_000, 10],
      [0, 0],
    ] as const) {
      const { store, keys } = await filled(count, bytes);
      const clock = new ManualClock();
      const watched = new Watched(store);
      using scrubber = new Scrubber(watched, clock);
      await clock.advance(9 * 60_000);
      assert.equal(watched.reads.length, 0, 'a start is left in peace');
      await clock.advance(HOUR_MS);
      assert.deepEqual(watched.reads.flat(), keys);
      for (const read of watched.reads) assert.ok(read.length * bytes <= 700_000 && read.length <= 2_000);
      assert.equal(scrubber.passes, 1);
      await clock.advance(22 * HOUR_MS);
      assert.equal(scrubber.passes, 1);
      await clock.advance(2 * HOUR_MS);
      assert.equal(scrubber.passes, 2);
    }
  });

  it('finds damage to a value that nobody asks for, and reads no further', async () => {
    const { disk, store, faults, keys } = await filled(40, 100_000);
    const damaged = Buffer.from(disk.get(keys[17] as string) as Uint8Array);
    damaged[50_000] = 1;
    await disk.write([{ type: 'put', key: keys[17] as string, value: damaged }]);
    const clock = new ManualClock();
    using scrubber = new Scrubber(store, clock);
    await clock.advance(HOUR_MS);
    assert.equal(faults.length, 1);
    assert.match(String(faults[0]?.message), /k\/000017/);
    assert.equal(scrubber.passes, 0);
  });

  it('is over when it is disposed', async () => {
    const { store } = await filled(10, 10);
    const clock = new ManualClock();
    const watched = new Watched(store);
    new Scrubber(watched, clock)[Symbol.dispose]();
    await clock.advance(HOUR_MS);
    assert.equal(watched.reads.length, 0);
  });
});
