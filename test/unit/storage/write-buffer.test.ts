import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Key,
  type KeyRange,
  KeyTable,
  MemoryStore,
  StorageFault,
  type Store,
  type Write,
  WriteBuffer,
} from '../../../src/storage/index.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const text = (value: Uint8Array | undefined) => value && Buffer.from(value).toString();
const entries = (view: { range: WriteBuffer['range'] }, range: KeyRange) =>
  Array.from(view.range(range), ([key, value]) => `${key}=${text(value)}`);

/** A store whose writes wait until the test lets them pass, one by one. */
class HeldStore extends MemoryStore implements Store {
  readonly batches: (readonly Write[])[] = [];
  readonly #release: (() => Promise<void>)[] = [];

  override write(batch: readonly Write[]): Promise<void> {
    this.batches.push(batch);
    return new Promise((resolve, reject) => {
      this.#release.push(() => super.write(batch).then(resolve, reject));
    });
  }

  async releaseOne(): Promise<void> {
    await this.#release.shift()?.();
  }
}

describe('write buffer', () => {
  it('shows its own writes at once and sends them as one batch', async () => {
    const store = new HeldStore();
    const buffer = new WriteBuffer(store);
    buffer.put('a', bytes('1'));
    buffer.put('b', bytes('1'));
    buffer.delete('b');
    assert.equal(text(buffer.get('a')), '1');
    assert.equal(buffer.get('b'), undefined);
    const flushed = buffer.flush([{ type: 'put', key: 'extra', value: bytes('x') }]);
    assert.equal(store.batches.length, 1);
    assert.deepEqual(
      store.batches[0]?.map(({ type }) => type),
      ['put', 'delete', 'put'],
    );
    assert.equal(text(buffer.get('extra')), 'x');
    await store.releaseOne();
    await flushed;
    assert.equal(text(buffer.get('a')), '1');
    assert.equal(text(store.get('extra')), 'x');
  });

  it('keeps what is under way visible, newest first, while several flushes wait', async () => {
    const store = new HeldStore();
    const buffer = new WriteBuffer(store);
    const flushes: Promise<void>[] = [];
    for (const version of ['1', '2', '3']) {
      buffer.put('a', bytes(version));
      buffer.put(`only${version}`, bytes(version));
      flushes.push(buffer.flush());
    }
    buffer.delete('only2');
    assert.equal(text(buffer.get('a')), '3');
    for (const flush of flushes) {
      await store.releaseOne();
      await flush;
      assert.equal(text(buffer.get('a')), '3');
      assert.deepEqual(entries(buffer, { from: 'a', to: 'z' }), ['a=3', 'only1=1', 'only3=3']);
    }
  });

  it('an empty flush waits for those before it', async () => {
    const store = new HeldStore();
    const buffer = new WriteBuffer(store);
    buffer.put('a', bytes('1'));
    void buffer.flush();
    let isDone = false;
    const empty = buffer.flush().then(() => {
      isDone = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
    await store.releaseOne();
    await empty;
    assert.equal(store.batches.length, 1);
  });

  it('takes back what a refused command wrote, deleted ranges included', async () => {
    const store = new MemoryStore();
    await store.write([{ type: 'put', key: 'stored', value: bytes('s') }]);
    const buffer = new WriteBuffer(store);
    buffer.put('a', bytes('1'));
    buffer.put('b', bytes('1'));
    const before = entries(buffer, { from: '', to: '\u00ff' });
    buffer.begin();
    buffer.put('a', bytes('2'));
    buffer.put('new', bytes('2'));
    buffer.delete('stored');
    buffer.deleteRange({ from: '', to: '\u00ff' });
    buffer.put('b', bytes('3'));
    assert.deepEqual(entries(buffer, { from: '', to: '\u00ff' }), ['b=3']);
    buffer.rollback();
    assert.deepEqual(entries(buffer, { from: '', to: '\u00ff' }), before);
    buffer.begin();
    buffer.put('new', bytes('4'));
    buffer.commit();
    await buffer.flush();
    assert.deepEqual(entries(store, { from: '', to: '\u00ff' }), ['a=1', 'b=1', 'new=4', 'stored=s']);
  });

  it('refuses every flush after one failed, because it then knows more than the disk', async () => {
    const fault = new StorageFault('full', 'no space left');
    const store = new MemoryStore();
    store.write = () => Promise.reject(fault);
    const buffer = new WriteBuffer(store);
    buffer.put('a', bytes('1'));
    await assert.rejects(buffer.flush(), fault);
    buffer.put('b', bytes('1'));
    await assert.rejects(buffer.flush(), fault);
    await assert.rejects(buffer.flush(), fault);
  });

  it('agrees with a plain table, whatever is written, flushed, released and rolled back', async () => {
    const key = fc.integer({ min: 0, max: 11 }).map((at) => 'abcdefghijkl'[at] as Key);
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ type: fc.constant('put' as const), key, value: fc.nat(99) }) },
      { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), key }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('deleteRange' as const), from: key, to: key }) },
      { weight: 2, arbitrary: fc.constant({ type: 'flush' as const }) },
      { weight: 2, arbitrary: fc.constant({ type: 'release' as const }) },
      { weight: 1, arbitrary: fc.constant({ type: 'begin' as const }) },
      { weight: 1, arbitrary: fc.constant({ type: 'commit' as const }) },
      { weight: 1, arbitrary: fc.constant({ type: 'rollback' as const }) },
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant('range' as const),
          from: key,
          to: key,
          reverse: fc.boolean(),
          limit: fc.option(fc.nat(5), { nil: undefined }),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const store = new HeldStore();
        const buffer = new WriteBuffer(store);
        let model = new KeyTable();
        let scope: KeyTable | undefined;
        const write = (change: Write) => model.apply([change]);
        for (const step of steps) {
          if (step.type === 'put') {
            buffer.put(step.key, bytes(`${step.value}`));
            write({ type: 'put', key: step.key, value: bytes(`${step.value}`) });
          } else if (step.type === 'delete') {
            buffer.delete(step.key);
            write(step);
          } else if (step.type === 'deleteRange') {
            buffer.deleteRange(step);
            write(step);
          } else if (step.type === 'flush') {
            if (scope === undefined) void buffer.flush();
          } else if (step.type === 'release') {
            await store.releaseOne();
            await Promise.resolve();
          } else if (step.type === 'begin') {
            if (scope === undefined) buffer.begin();
            scope ??= model.clone();
          } else if (step.type === 'commit') {
            if (scope !== undefined) buffer.commit();
            scope = undefined;
          } else if (step.type === 'rollback') {
            if (scope !== undefined) {
              buffer.rollback();
              model = scope;
            }
            scope = undefined;
          } else {
            const { limit, ...bounds } = step;
            const range = limit === undefined ? bounds : { ...bounds, limit };
            assert.deepEqual(entries(buffer, range), entries(model, range));
          }
          for (const name of 'abcdefghijkl') assert.equal(text(buffer.get(name)), text(model.get(name)));
        }
      }),
      { numRuns: 400 },
    );
  });

  it('is quick enough for the path of every replicated command', () => {
    const buffer = new WriteBuffer(new MemoryStore());
    const value = bytes('value');
    const keys = Array.from({ length: 20_000 }, (_, at) => `key${at}`);
    const start = process.hrtime.bigint();
    for (const key of keys) {
      buffer.begin();
      buffer.put(key, value);
      buffer.get(key);
      buffer.commit();
    }
    const tookMs = Number(process.hrtime.bigint() - start) / 1e6;
    assert.ok(tookMs < 1_000, `20,000 commands took ${tookMs} ms`);
  });
});
