import assert from 'node:assert/strict';
import { Batcher } from '../../../src/base/index.ts';
import { failureOf } from '../mesh/support.ts';

describe('a batcher', () => {
  it('sends together what is asked for in one turn, and gives each its answer', async () => {
    const { batcher, sent } = doubling();
    assert.deepEqual(await Promise.all([1, 2, 3].map((item) => batcher.add(item, 1))), [2, 4, 6]);
    assert.equal(await batcher.add(4, 1), 8);
    const { answers, at } = batcher.join(5, 1);
    assert.equal((await answers)[at], 10);
    assert.deepEqual(sent, [[1, 2, 3], [4], [5]]);
  });

  it('ends a batch before the item that is too many or too large for it', async () => {
    const { batcher, sent } = doubling();
    const sizes = [1, 1, 1, 1, 9, 9, 30, 1];
    const answers = await Promise.all(sizes.map((bytes, item) => batcher.add(item, bytes)));
    assert.deepEqual(answers, [0, 2, 4, 6, 8, 10, 12, 14]);
    assert.deepEqual(sent, [[0, 1, 2], [3, 4], [5], [6], [7]]);
  });

  it('sends the next batch without waiting for the answer to the one before', async () => {
    const asked: (() => void)[] = [];
    const batcher = new Batcher<number, number>(
      (items) => new Promise((resolve) => asked.push(() => resolve(items))),
      { itemsLimit: 3, bytesLimit: 10 },
    );
    const first = batcher.add(1, 1);
    await Promise.resolve();
    const second = batcher.add(2, 1);
    await Promise.resolve();
    assert.equal(asked.length, 2);
    for (const answer of asked.reverse()) answer();
    assert.deepEqual(await Promise.all([first, second]), [1, 2]);
  });

  it('fails every item of a batch that could not be sent, and none of the next', async () => {
    let isBroken = true;
    const batcher = new Batcher<number, number>(
      async (items) => {
        if (isBroken) throw new Error('broken');
        return items;
      },
      { itemsLimit: 3, bytesLimit: 10 },
    );
    const failures = await Promise.all([1, 2].map((item) => failureOf(batcher.add(item, 1))));
    assert.deepEqual(
      failures.map((error) => (error as Error).message),
      ['broken', 'broken'],
    );
    isBroken = false;
    assert.equal(await batcher.add(3, 1), 3);
  });
});

function doubling() {
  const sent: (readonly number[])[] = [];
  const send = async (items: readonly number[]) => {
    sent.push(items);
    return items.map((item) => 2 * item);
  };
  return { batcher: new Batcher<number, number>(send, { itemsLimit: 3, bytesLimit: 10 }), sent };
}
