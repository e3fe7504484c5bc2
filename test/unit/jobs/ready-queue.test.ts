import assert from 'node:assert/strict';
import { randomFloat, randomInt, SeededRandom } from '../../../src/base/index.ts';
import { type ReadyJob, ReadyQueue } from '../../../src/jobs/ready-queue.ts';

const KEYS = 5_000;
const STEPS = 30_000;

function job(number: number): ReadyJob {
  const key = String(number).padStart(6, '0');
  return { id: `job_${key}`, key };
}

/** What the queue has to do, the slow and obvious way. */
class Twin {
  readonly keys = new Set<string>();

  first(): string | undefined {
    return this.keys.size === 0
      ? undefined
      : [...this.keys].reduce((least, key) => (key < least ? key : least));
  }
}

describe('a queue of ready jobs', () => {
  for (const [name, isInOrder] of [
    ['in the order of their keys', true],
    ['in any order', false],
  ] as const) {
    it(`gives back what came ${name}, each once, the least key first`, () => {
      const random = new SeededRandom(7);
      const queue = new ReadyQueue();
      const numbers = Array.from({ length: KEYS }, (_, at) => at);
      if (!isInOrder) numbers.sort(() => randomFloat(random) - 0.5);
      for (const number of [...numbers, ...numbers.slice(0, 100)]) queue.add(job(number));
      assert.equal(queue.size, KEYS);
      const taken = Array.from({ length: KEYS }, () => queue.take()?.key);
      assert.deepEqual(taken, taken.toSorted());
      assert.deepEqual([queue.size, queue.take(), queue.peek()], [0, undefined, undefined]);
    });
  }

  it('does what a set of keys does, whatever is added, removed, taken and put back', () => {
    const random = new SeededRandom(11);
    const queue = new ReadyQueue();
    const twin = new Twin();
    for (let step = 0; step < STEPS; step += 1) {
      const one = job(randomInt(random, { from: 0, to: KEYS }));
      const draw = randomFloat(random);
      const isGrowing = step % 10_000 < 5_000;
      if (draw < (isGrowing ? 0.6 : 0.2)) {
        queue.add(one);
        twin.keys.add(one.key);
      } else if (draw < 0.8) {
        queue.remove(one);
        twin.keys.delete(one.key);
      } else {
        const first = draw < 0.9 ? twin.first() : queue.peek()?.key;
        const taken = queue.take();
        assert.equal(taken?.key, first);
        if (taken !== undefined) twin.keys.delete(taken.key);
        if (taken !== undefined && draw > 0.95) {
          queue.add(taken);
          twin.keys.add(taken.key);
        }
      }
      assert.equal(queue.size, twin.keys.size);
      assert.equal(queue.has(one), twin.keys.has(one.key));
    }
    const left = Array.from({ length: queue.size }, () => queue.take()?.key);
    assert.deepEqual(left, [...twin.keys].sort());
  });
});
