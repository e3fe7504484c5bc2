import assert from 'node:assert/strict';
import fc from 'fast-check';
import { nextLifeStep, PauseLimits, pauseTicks, type Thrift } from '../../../src/mesh/keepalive-rules.ts';
import { LinkLife } from '../../../src/mesh/link-life.ts';
import { ManualClock } from './support.ts';

const TICK_MS = 1_000;
const DEAD_AFTER_TICKS = 5;
const LONGEST = 20;
const limits = { deadAfterTicks: DEAD_AFTER_TICKS, longestPauseTicks: LONGEST };

/** One end of a link whose other end answers while the path is whole. */
class End {
  readonly clock = new ManualClock();
  readonly pauses = new PauseLimits(LONGEST);
  readonly askedMs: number[] = [];
  readonly diedAfterPauses: number[] = [];
  diedMs: number | undefined;
  isWhole = true;
  readonly life: LinkLife;

  constructor() {
    this.life = new LinkLife(
      {
        clock: this.clock,
        ask: () => this.#ask(),
        onDead: (pause) => {
          this.diedMs = this.clock.monotonicMs();
          this.diedAfterPauses.push(pause);
        },
      },
      {
        tickMs: TICK_MS,
        deadAfterTicks: DEAD_AFTER_TICKS,
        longestPauseTicks: () => this.pauses.longestFor('bob'),
      },
    );
  }

  async useFor(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += TICK_MS) {
      this.life.used();
      await this.clock.advance(TICK_MS);
    }
  }

  #ask(): void {
    const sentMs = this.clock.monotonicMs();
    this.askedMs.push(sentMs);
    this.life.asked();
    if (!this.isWhole) return;
    this.clock.setTimer(20, () => {
      this.life.heard();
      this.life.answered(sentMs);
    });
  }
}

describe('keep-alive', () => {
  it('Z2 asks a link that is used with every tick, and an idle one ever more rarely, up to the bound', () => {
    assert.deepEqual(
      [0, 3, 4, 6, 10, 25, 39, 40, 10_000].map((idle) => pauseTicks(idle, LONGEST)),
      [1, 1, 2, 3, 5, 12, 19, 20, 20],
    );
    assert.equal(pauseTicks(10_000, 1), 1);
  });

  it('Z1 finds a dead path out within the pause and the time for answers, whatever the facts', () => {
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.nat(40),
        fc.integer({ min: 1, max: 60 }),
        (idle, sinceAsked, longest) => {
          const bound = { ...limits, longestPauseTicks: longest };
          let facts = {
            idleTicks: idle,
            sinceAskedTicks: sinceAsked,
            unansweredTicks: undefined as number | undefined,
            hasSpoken: false,
          };
          for (let ticks = 0; ; ticks += 1) {
            assert.ok(ticks <= longest + DEAD_AFTER_TICKS, `${ticks} ticks`);
            const step = nextLifeStep(facts, bound);
            if (step === 'dead') return;
            const wasAsked = step === 'ask';
            facts = {
              idleTicks: facts.idleTicks + 1,
              sinceAskedTicks: wasAsked ? 1 : facts.sinceAskedTicks + 1,
              unansweredTicks: wasAsked
                ? (facts.unansweredTicks ?? 0) + 1
                : facts.unansweredTicks && facts.unansweredTicks + 1,
              hasSpoken: false,
            };
          }
        },
      ),
    );
  });

  it('Z1 takes a used link whose path swallows everything for dead after six ticks, and says before that it is quiet', async () => {
    const end = new End();
    await end.useFor(30_000);
    end.isWhole = false;
    await end.useFor(3_000);
    assert.deepEqual([end.life.isQuiet, end.diedMs], [true, undefined]);
    await end.useFor(3_000);
    assert.equal(end.diedMs, 36_000);
    assert.deepEqual(end.diedAfterPauses, [1]);
  });

  it('Z9 asks a peer that speaks all the time now and then only, and takes it for dead as soon as any other', async () => {
    const end = new End();
    const speak = () => {
      end.life.heard();
      end.life.used();
      end.life.spoke();
    };
    for (let count = 0; count < 300; count += 1) {
      speak();
      await end.clock.advance(100);
    }
    assert.ok(end.askedMs.length <= 4, `asked ${end.askedMs.length} times in 30 s`);
    end.isWhole = false;
    speak(); // the last that came through
    await end.useFor(3_000);
    assert.deepEqual([end.life.isQuiet, end.diedMs], [true, undefined]);
    await end.useFor(3_000);
    assert.equal(end.diedMs, 36_000);
    assert.deepEqual(end.diedAfterPauses, [1], 'no pause is to blame');
  });

  it('Z9 of two ends that use a link only one asks, until it is gone', async () => {
    const end = new End();
    const asksOf = async (isOtherAsking: boolean) => {
      const before = end.askedMs.length;
      for (let count = 0; count < 20; count += 1) {
        if (isOtherAsking) {
          end.life.heard();
          end.life.spoke();
        }
        await end.useFor(1_000);
      }
      return end.askedMs.length - before;
    };
    assert.ok((await asksOf(true)) <= 3);
    assert.ok((await asksOf(false)) >= 19);
    assert.equal(end.diedMs, undefined);
  });

  it('Z2 an idle link costs a twentieth, and is asked with every tick again when somebody needs it', async () => {
    const end = new End();
    await end.clock.advance(300_000);
    const before = end.askedMs.length;
    await end.clock.advance(200_000);
    assert.equal(end.askedMs.length - before, 10);
    const idleCount = end.askedMs.length;
    await end.useFor(10_000);
    assert.ok(end.askedMs.length - idleCount >= 9);
    assert.equal(end.diedMs, undefined);
  });

  it('Z7 says for how long nothing was heard', async () => {
    const end = new End();
    await end.useFor(30_000);
    assert.ok(end.life.unheardMs <= TICK_MS);
    end.isWhole = false;
    await end.useFor(3_000);
    assert.ok(end.life.unheardMs >= 3_000 && end.life.unheardMs <= 4_000, `${end.life.unheardMs}`);
    end.life.heard();
    assert.equal(end.life.unheardMs, 0);
  });

  it('Z2 leaves a path alone for half as long when one died during a pause, until the network is another one', async () => {
    const end = new End();
    await end.clock.advance(300_000);
    end.isWhole = false;
    await end.clock.advance(25_000);
    const [pause] = end.diedAfterPauses;
    assert.equal(pause, LONGEST);
    end.pauses.diedAfter('bob', pause as number);
    assert.deepEqual([end.pauses.longestFor('bob'), end.pauses.longestFor('eve')], [LONGEST / 2, LONGEST]);
    end.pauses.diedAfter('bob', 1); // a link in use: no pause is to blame
    assert.equal(end.pauses.longestFor('bob'), LONGEST / 2);
    end.pauses.clear();
    assert.equal(end.pauses.longestFor('bob'), LONGEST);
  });

  it('Z8 leaves an idle link alone for longer where that saves a battery, and one in use never', async () => {
    const end = new End();
    let thrift: Thrift = 'saving';
    end.pauses.spare((peerId) => (peerId === 'bob' ? thrift : 'none'));
    assert.deepEqual([end.pauses.longestFor('bob'), end.pauses.longestFor('eve')], [3 * LONGEST, LONGEST]);
    await end.clock.advance(900_000);
    const before = end.askedMs.length;
    await end.clock.advance(600_000);
    assert.equal(end.askedMs.length - before, 10);
    await end.useFor(30_000);
    assert.ok(end.askedMs.length - before >= 10 + 29);
    end.isWhole = false;
    await end.useFor(6_000);
    assert.notEqual(end.diedMs, undefined, 'found dead as soon as ever while it is used');
    thrift = 'scarce';
    assert.equal(end.pauses.longestFor('bob'), 6 * LONGEST);
    end.pauses.diedAfter('bob', 3 * LONGEST);
    assert.equal(end.pauses.longestFor('bob'), 1.5 * LONGEST, 'what the path survives goes before');
    thrift = 'none';
    assert.equal(end.pauses.longestFor('bob'), LONGEST);
  });

  it('remembers a bounded number of peers', () => {
    const pauses = new PauseLimits(LONGEST);
    for (let count = 0; count <= 1_024; count += 1) pauses.diedAfter(`peer ${count}`, 10);
    assert.deepEqual([pauses.longestFor('peer 0'), pauses.longestFor('peer 1')], [LONGEST, 5]);
  });

  it('Z3 a doubted link is asked at once; a dead one ends within 1.5 s, however long it was left alone', async () => {
    const end = new End();
    await end.clock.advance(300_500);
    end.isWhole = false;
    end.life.verify();
    assert.equal(end.life.isQuiet, true);
    assert.equal(end.askedMs.at(-1), end.clock.monotonicMs());
    await end.clock.advance(1_500);
    assert.equal(end.diedMs, end.clock.monotonicMs());
    assert.deepEqual(end.diedAfterPauses, [0]); // no pause is to blame
  });

  it('Z3 a doubted link is believed again by an answer to what was asked since, not by what lay here before', async () => {
    const end = new End();
    await end.clock.advance(5_500);
    end.isWhole = false;
    end.life.verify();
    await end.clock.advance(100);
    end.life.heard();
    end.life.answered(5_000);
    assert.equal(end.life.isQuiet, true);
    end.life.answered(5_500);
    assert.equal(end.life.isQuiet, false);
    end.isWhole = true;
    await end.clock.advance(10_000);
    assert.equal(end.diedMs, undefined);
  });

  it('Z3 a doubted link whose answers are slow is believed again by what comes when all that lay here was read', async () => {
    const end = new End();
    await end.clock.advance(5_500);
    end.isWhole = false;
    end.life.verify();
    await end.clock.advance(400);
    end.life.heard();
    assert.equal(end.life.isQuiet, true);
    await end.clock.advance(400);
    end.life.heard();
    assert.equal(end.life.isQuiet, false);
    await end.clock.advance(1_000);
    assert.equal(end.diedMs, undefined);
  });
});
