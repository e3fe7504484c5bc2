import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  CheckedStore,
  isSealed,
  type Key,
  MemoryStore,
  StorageFault,
  sealValue,
} from '../../../src/storage/index.ts';

const isDamage = (error: unknown) => error instanceof StorageFault && error.kind === 'damaged';
const ALL = { from: '\u0000', to: '\u00ff' };
const keys = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 40,
});

/** A checked store over one whose bytes the test changes behind its back. */
async function filled(entries: readonly (readonly [Key, Uint8Array])[]) {
  const raw = new MemoryStore();
  const faults: StorageFault[] = [];
  const store = new CheckedStore({ store: raw, onDamage: (fault) => faults.push(fault) });
  await store.write(entries.map(([key, value]) => ({ type: 'put', key, value }) as const));
  return { raw, store, faults };
}

describe('checked store', () => {
  it('gives back what was written, by key, by range and in snapshots', async () => {
    await fc.assert(
      fc.asyncProperty(keys, fc.uint8Array({ maxLength: 300 }), async (key, value) => {
        const { store, faults } = await filled([[key, value]]);
        using snapshot = store.snapshot();
        for (const view of [store, snapshot]) {
          assert.deepEqual(Buffer.from(view.get(key) as Uint8Array), Buffer.from(value));
          assert.equal([...view.range({ from: key, to: `${key}\u0000` })].length, 1);
        }
        assert.deepEqual(faults, []);
      }),
      { numRuns: 200 },
    );
  });

  it('C2: never serves a value of which any byte was changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        keys,
        fc.uint8Array({ maxLength: 64 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (key, value, place, mask) => {
          const { raw, store, faults } = await filled([[key, value]]);
          const stored = raw.get(key) as Uint8Array;
          const damaged = new Uint8Array(stored);
          const at = place % damaged.length;
          damaged[at] = (damaged[at] as number) ^ mask;
          await raw.write([{ type: 'put', key, value: damaged }]);
          using snapshot = store.snapshot();
          for (const view of [store, snapshot]) {
            assert.throws(() => view.get(key), isDamage);
            assert.throws(() => [...view.range({ from: key, to: `${key}\u0000` })], isDamage);
          }
          assert.equal(faults.length, 1);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("C2: never serves a value that was cut short or is another key's", async () => {
    await fc.assert(
      fc.asyncProperty(
        keys,
        keys,
        fc.uint8Array({ maxLength: 64 }),
        fc.nat(),
        async (key, other, value, cut) => {
          fc.pre(key !== other);
          const { raw, store } = await filled([[key, value]]);
          const stored = raw.get(key) as Uint8Array;
          await raw.write([
            { type: 'put', key: other, value: stored },
            { type: 'put', key, value: stored.slice(0, cut % stored.length) },
          ]);
          assert.throws(() => store.get(other), isDamage);
          assert.throws(() => store.get(key), isDamage);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('names the key that is damaged, and tells its owner once', async () => {
    const { raw, store, faults } = await filled([['t0/kv/a\u0001', new Uint8Array(3)]]);
    await raw.write([{ type: 'put', key: 't0/kv/a\u0001', value: new Uint8Array(7) }]);
    assert.throws(() => store.get('t0/kv/a\u0001'), /"t0\/kv\/a\\x01"/);
    assert.throws(() => [...store.range(ALL)], isDamage);
    assert.equal(faults.length, 1);
  });

  it('deletes as asked', async () => {
    const { store } = await filled([
      ['a', new Uint8Array(1)],
      ['b', new Uint8Array(2)],
    ]);
    await store.write([
      { type: 'deleteRange', from: 'a', to: 'b' },
      { type: 'delete', key: 'b' },
    ]);
    assert.deepEqual([...store.range(ALL)], []);
  });

  it('C1: binds the checksum to the key', () => {
    const value = new Uint8Array([1, 2, 3]);
    assert.ok(isSealed('a', sealValue('a', value)));
    assert.ok(!isSealed('b', sealValue('a', value)));
  });
});
