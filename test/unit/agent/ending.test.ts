import assert from 'node:assert/strict';
import { Ending, untilEnded } from '../../../src/agent/ending.ts';
import { type Logger, silentLogger, sleep } from '../../../src/base/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const LIMIT_MS = 5_000;
const never = () => new Promise<never>(() => undefined);

function begin() {
  const clock = new ManualClock();
  return { clock, ending: new Ending({ clock, log: silentLogger }, LIMIT_MS) };
}

describe('the end of a node', () => {
  it('waits for no step that is over', async () => {
    const { clock, ending } = begin();
    assert.equal(await ending.step('quick', async () => undefined), true);
    assert.equal(clock.monotonicMs(), 0);
    assert.equal(ending.leftMs, LIMIT_MS);
  });

  it('E1 is over with its limit, however many parts never end', async () => {
    const { clock, ending } = begin();
    const begunSteps: string[] = [];
    let isOver = false;
    const all = (async () => {
      for (const name of ['a', 'b', 'c', 'd'])
        await ending.step(
          name,
          () => {
            begunSteps.push(name);
            return never();
          },
          2_000,
        );
      isOver = true;
    })();
    await clock.advance(LIMIT_MS - 1);
    assert.equal(isOver, false);
    await clock.advance(1);
    await all;
    assert.deepEqual(begunSteps, ['a', 'b', 'c', 'd']);
    assert.equal(clock.monotonicMs(), LIMIT_MS);
  });

  it('E1 gives a step the time that is left, and not more than its own', async () => {
    const { clock, ending } = begin();
    const first = ending.step('first', never, 1_500);
    await clock.advance(1_500);
    assert.equal(await first, false);
    const second = ending.step('second', () => sleep(clock, 3_400));
    await clock.advance(3_400);
    assert.equal(await second, true);
    assert.equal(ending.leftMs, 100);
  });

  it('E2 is not disturbed by what a part ends with that was left behind', async () => {
    const { clock, ending } = begin();
    const slow = Promise.withResolvers<void>();
    const step = ending.step('slow', () => slow.promise, 10);
    await clock.advance(10);
    assert.equal(await step, false);
    slow.reject(new Error('too late'));
    assert.equal(await ending.step('next', async () => undefined), true);
    ending.finish();
  });

  it('E3 goes on past a part that fails, and tells the first failure at last', async () => {
    const { ending } = begin();
    const failing = (text: string) => () => {
      throw new Error(text);
    };
    await ending.step('one', failing('first'));
    await ending.step('two', failing('second'));
    assert.equal(await ending.step('three', async () => undefined), true);
    assert.throws(() => ending.finish(), /first/);
  });

  it('E4 waits for what may not be left behind, and says again and again what that is', async () => {
    const clock = new ManualClock();
    const told: unknown[] = [];
    const log: Logger = { ...silentLogger, info: (fields: object) => void told.push(fields) };
    const slow = Promise.withResolvers<string>();
    const waiting = untilEnded({ clock, log }, 'store', () => slow.promise);
    await clock.advance(9_000);
    assert.deepEqual(told, [
      { step: 'store', tookMs: 4_000 },
      { step: 'store', tookMs: 8_000 },
    ]);
    slow.resolve('closed');
    assert.equal(await waiting, 'closed');
    await clock.advance(9_000);
    assert.equal(told.length, 2);
  });

  it('E4 says nothing of what ends soon, and passes on what it failed with', async () => {
    const clock = new ManualClock();
    const told: unknown[] = [];
    const log: Logger = { ...silentLogger, info: (fields: object) => void told.push(fields) };
    const failing = untilEnded({ clock, log }, 'store', () => Promise.reject(new Error('damaged')));
    await assert.rejects(failing, /damaged/);
    await clock.advance(9_000);
    assert.deepEqual(told, []);
  });

  it('tells of no failure where there was none', async () => {
    const { ending } = begin();
    await ending.step('one', async () => undefined);
    ending.finish();
  });
});
