import assert from 'node:assert/strict';
import { mapAtMost } from '../../../src/base/index.ts';

describe('work on many things, several at a time', () => {
  it('is begun in their order, never more at once than may be, and answers in their order', async () => {
    const begun: number[] = [];
    const ends = new Map<number, () => void>();
    const all = mapAtMost(2, [0, 1, 2, 3], async (thing) => {
      begun.push(thing);
      await new Promise<void>((resolve) => ends.set(thing, resolve));
      return thing * 10;
    });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    await turn();
    assert.deepEqual(begun, [0, 1]);
    ends.get(1)?.();
    await turn();
    assert.deepEqual(begun, [0, 1, 2]);
    ends.get(2)?.();
    await turn();
    ends.get(3)?.();
    ends.get(0)?.();
    assert.deepEqual(await all, [0, 10, 20, 30]);
  });

  it('ends with the first failure, and begins nothing more', async () => {
    const begun: number[] = [];
    const failing = mapAtMost(2, [0, 1, 2, 3, 4], async (thing) => {
      begun.push(thing);
      if (thing === 1) throw new Error('one');
      await new Promise((resolve) => setImmediate(resolve));
    });
    await assert.rejects(failing, /one/);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(begun, [0, 1]);
  });

  it('is nothing where there is nothing', async () => {
    assert.deepEqual(await mapAtMost(4, [], async () => 1), []);
  });
});
