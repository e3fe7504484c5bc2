import assert from 'node:assert/strict';
import type { Key, KeyRange, Store, StoreView, Write } from '../../../src/storage/index.ts';

/** A disk on which one store can be opened, closed and opened again. */
export interface StoreGround extends AsyncDisposable {
  open(): Promise<Store>;
}

const ALL: KeyRange = { from: '', to: '\u00ff'.repeat(4) };
const put = (key: Key, text: string): Write => ({ type: 'put', key, value: bytes(text) });
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const text = (value: Uint8Array | undefined) => value && Buffer.from(value).toString();

export function entries(view: StoreView, range: KeyRange = ALL): (readonly [Key, string | undefined])[] {
  return Array.from(view.range(range), ([key, value]) => [key, text(value)] as const);
}

/** What every store must do, whatever it is made of. */
export function describeStore(name: string, makeGround: () => Promise<StoreGround>): void {
  describe(`store contract: ${name}`, () => {
    let ground: StoreGround;
    let store: Store;

    beforeEach(async () => {
      ground = await makeGround();
      store = await ground.open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await ground[Symbol.asyncDispose]();
    });

    it('reads what was written, and undefined for what was not', async () => {
      await store.write([put('a', 'one'), put('b', '')]);
      assert.equal(text(store.get('a')), 'one');
      assert.deepEqual(store.get('b')?.length, 0);
      assert.equal(store.get('c'), undefined);
      assert.equal(store.get(''), undefined);
    });

    it('orders keys by their bytes, 0 to 255', async () => {
      const keys = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
      await store.write([...keys].reverse().map((key) => put(key, 'x')));
      await store.write([put('\u0000\u0000', 'x'), put('a\u0000', 'x'), put('a\u00ff', 'x')]);
      const found = entries(store, { from: '', to: '\u00ff\u00ff' }).map(([key]) => key);
      assert.deepEqual(found, [...keys, '\u0000\u0000', 'a\u0000', 'a\u00ff'].sort(byCode));
    });

    it('gives a range from its first key to before its end, in both directions, up to a limit', async () => {
      await store.write(['a', 'b', 'c', 'd', 'e'].map((key) => put(key, key)));
      const keys = (range: KeyRange) => entries(store, range).map(([key]) => key);
      const cases: readonly [KeyRange, string][] = [
        [{ from: 'b', to: 'd' }, 'bc'],
        [{ from: 'b', to: 'd', reverse: true }, 'cb'],
        [{ from: 'aa', to: 'dd', reverse: true }, 'dcb'],
        [{ from: '', to: '\u00ff', reverse: true }, 'edcba'],
        [{ from: 'a', to: 'z', limit: 2 }, 'ab'],
        [{ from: 'a', to: 'z', limit: 2, reverse: true }, 'ed'],
        [{ from: 'a', to: 'z', limit: 0 }, ''],
        [{ from: 'x', to: 'z' }, ''],
        [{ from: 'x', to: 'z', reverse: true }, ''],
        [{ from: 'c', to: 'c' }, ''],
        [{ from: 'd', to: 'b' }, ''],
        [{ from: 'd', to: 'b', reverse: true }, ''],
        [{ from: '', to: '' }, ''],
        [{ from: 'b', to: 'c', reverse: true }, 'b'],
        [{ from: 'd', to: '\u00ff'.repeat(1_950) }, 'de'],
      ];
      for (const [range, expected] of cases) {
        assert.equal(keys(range).join(''), expected, JSON.stringify(range));
      }
    });

    it('applies the writes of a batch in their order', async () => {
      await store.write([put('a', '1'), put('b', '1'), put('c', '1')]);
      await store.write([
        put('b', '2'),
        put('bb', '2'),
        { type: 'deleteRange', from: 'a', to: 'c' },
        put('b', '3'),
        { type: 'delete', key: 'c' },
        put('d', '4'),
        put('d', '5'),
      ]);
      assert.deepEqual(entries(store), [
        ['b', '3'],
        ['d', '5'],
      ]);
    });

    it('takes a thousand batches at once and keeps their order', async () => {
      const writes = Array.from({ length: 1_000 }, (_, at) =>
        store.write([
          put('last', String(at)),
          put(`k${at % 10}`, String(at)),
          ...(at % 100 === 50 ? [{ type: 'deleteRange', from: 'k', to: 'l' } as const] : []),
        ]),
      );
      let resolved = 0;
      await Promise.all(writes.map((write, at) => write.then(() => assert.equal(resolved++, at))));
      assert.equal(text(store.get('last')), '999');
      assert.equal(text(store.get('k9')), '999');
    });

    it('shows a batch to reads at the latest when its promise resolves', async () => {
      for (let at = 0; at < 50; at += 1) {
        assert.equal(text(store.get('a')), at === 0 ? undefined : String(at - 1));
        await store.write([put('a', String(at))]);
        assert.equal(text(store.get('a')), String(at));
        assert.deepEqual(entries(store), [['a', String(at)]]);
      }
    });

    it('keeps a snapshot as it was, whatever is written later, until it is released', async () => {
      await store.write([put('a', '1'), put('b', '1')]);
      const snapshot = store.snapshot();
      await store.write([put('a', '2'), { type: 'delete', key: 'b' }, put('c', '2')]);
      await store.write([{ type: 'deleteRange', from: 'a', to: 'b' }]);
      const later = store.snapshot();
      assert.deepEqual(entries(snapshot), [
        ['a', '1'],
        ['b', '1'],
      ]);
      assert.equal(text(snapshot.get('b')), '1');
      assert.equal(snapshot.get('c'), undefined);
      assert.deepEqual(entries(later), [['c', '2']]);
      snapshot[Symbol.dispose]();
      assert.throws(() => snapshot.get('a'), { name: 'StorageFault', kind: 'closed' });
      await store.write([put('d', '3')]);
      assert.deepEqual(entries(later), [['c', '2']]);
      later[Symbol.dispose]();
      assert.deepEqual(entries(store).length, 2);
    });

    it('keeps its own bytes: neither a caller nor a reader can change them', async () => {
      const value = bytes('one');
      await store.write([{ type: 'put', key: 'a', value }]);
      value.fill(0);
      const read = store.get('a');
      await store.write([put('b', 'two')]);
      store.get('b');
      assert.equal(text(read), 'one');
      const [first, second] = [...store.range(ALL)];
      assert.equal(text(first?.[1]), 'one');
      assert.equal(text(second?.[1]), 'two');
    });

    it('deletes ranges of many thousand keys whole', async () => {
      const keys = Array.from({ length: 5_000 }, (_, at) => `k${String(at).padStart(5, '0')}`);
      await store.write(keys.map((key) => put(key, key)));
      assert.equal(entries(store).length, 5_000);
      await store.write([{ type: 'deleteRange', from: 'k00010', to: 'k04990' }, put('k02500', 'again')]);
      assert.equal(entries(store).length, 21);
      assert.equal(text(store.get('k02500')), 'again');
    });

    it('takes keys of 1,900 bytes and values of a megabyte', async () => {
      const key = 'k\u00fe'.repeat(950);
      const value = new Uint8Array(2 ** 20).fill(7);
      await store.write([{ type: 'put', key, value }]);
      assert.deepEqual(Buffer.from(store.get(key) ?? []), Buffer.from(value));
      const [entry] = [...store.range({ from: key, to: `${key}\u0000` })];
      assert.equal(entry?.[0], key);
      assert.deepEqual(Buffer.from(entry?.[1] ?? []), Buffer.from(value));
    });

    it('has everything again after it was closed and opened', async () => {
      const many = Array.from({ length: 300 }, (_, at) => put(`m${at}`, String(at)));
      await store.write([put('a', '1'), ...many]);
      void store.write([put('b', '2')]);
      await store[Symbol.asyncDispose]();
      store = await ground.open();
      assert.equal(text(store.get('a')), '1');
      assert.equal(text(store.get('b')), '2');
      assert.equal(entries(store).length, 302);
    });

    it('refuses everything once it is closed', async () => {
      await store[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      const closed = { name: 'StorageFault', kind: 'closed' };
      await assert.rejects(async () => store.write([put('a', '1')]), closed);
      assert.throws(() => store.get('a'), closed);
      assert.throws(() => store.range(ALL), closed);
      assert.throws(() => store.snapshot(), closed);
      store = await ground.open();
    });
  });
}

function byCode(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
