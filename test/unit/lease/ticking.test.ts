import assert from 'node:assert/strict';
import { every, randomInt, SeededRandom } from '../../../src/base/index.ts';
import { Ticking } from '../../../src/lease/replica/ticking.ts';
import { ManualClock } from './manual-clock.ts';

const TICK_MS = 100;
const REST_TICKS = 3;

/** What a follower knows of its leader, as its ticks and the words it hears make it. */
class Follower {
  elapsed = 0;
  rings = 0;
  missedAtMs: number | undefined;
  readonly #clock: ManualClock;
  readonly #patience: number;

  constructor(clock: ManualClock, patience: number) {
    this.#clock = clock;
    this.#patience = patience;
  }

  get ticksAtOnce(): number {
    return this.elapsed <= REST_TICKS ? REST_TICKS : 1;
  }

  count(ticks: number): void {
    this.rings += 1;
    this.elapsed += ticks;
    if (this.elapsed >= this.#patience) this.missedAtMs ??= this.#clock.monotonicMs();
  }
}

function tickingOf(clock: ManualClock, follower: Follower): Ticking {
  const onTicks = (count: number) => follower.count(count);
  return new Ticking({ clock, atOnce: () => follower.ticksAtOnce, onTicks }, TICK_MS);
}

describe('the ticks of a replica (P7)', () => {
  it('ring three times as rarely while a leader is heard', async () => {
    const clock = new ManualClock();
    const follower = new Follower(clock, 10);
    const ticking = tickingOf(clock, follower);
    for (let beat = 0; beat < 100; beat += 1) {
      follower.elapsed = 0;
      ticking.restarted();
      await clock.advance(300);
    }
    assert.ok(follower.rings <= 101, `rang ${follower.rings} times in 30 s`);
    assert.equal(follower.missedAtMs, undefined);
  });

  it('miss a dead leader when single ticks do, whenever it spoke and however long patience is', async () => {
    const random = new SeededRandom(11);
    for (let life = 0; life < 300; life += 1) {
      const clock = new ManualClock();
      const patience = randomInt(random, { from: 10, to: 20 });
      const single = new Follower(clock, patience);
      const several = new Follower(clock, patience);
      const ticking = tickingOf(clock, several);
      const reference = every(clock, TICK_MS, () => single.count(1));
      let diedMs = 0;
      for (let beats = randomInt(random, { from: 1, to: 6 }); beats > 0; beats -= 1) {
        await clock.advance(randomInt(random, { from: 1, to: 400 }));
        diedMs = clock.monotonicMs();
        single.elapsed = 0;
        several.elapsed = 0;
        ticking.restarted();
      }
      await clock.advance(3_000);
      for (const { missedAtMs } of [single, several]) {
        const afterMs = (missedAtMs ?? Number.NaN) - diedMs;
        assert.ok(afterMs >= (patience - 1) * TICK_MS, `after ${afterMs} ms with a patience of ${patience}`);
        assert.ok(afterMs <= patience * TICK_MS, `after ${afterMs} ms with a patience of ${patience}`);
      }
      ticking[Symbol.dispose]();
      reference[Symbol.dispose]();
    }
  });

  it('count no more than was planned after the process stood still', async () => {
    const clock = new ManualClock();
    const follower = new Follower(clock, 10);
    using ticking = tickingOf(clock, follower);
    ticking.restarted();
    clock.standStill(60_000);
    await clock.advance(1);
    assert.equal(follower.elapsed, REST_TICKS);
    assert.equal(follower.missedAtMs, undefined);
  });

  it('are single ones at once in a role that waits for them', async () => {
    const clock = new ManualClock();
    let atOnce = REST_TICKS;
    const rangMs: number[] = [];
    const onTicks = () => rangMs.push(clock.monotonicMs());
    using ticking = new Ticking({ clock, atOnce: () => atOnce, onTicks }, TICK_MS);
    await clock.advance(50);
    atOnce = 1;
    ticking.restarted();
    await clock.advance(310);
    assert.deepEqual(rangMs, [150, 250, 350]);
  });

  it('end with it', async () => {
    const clock = new ManualClock();
    const follower = new Follower(clock, 10);
    const ticking = tickingOf(clock, follower);
    ticking[Symbol.dispose]();
    await clock.advance(2_000);
    assert.equal(follower.rings, 0);
  });
});
