import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError } from '../../../../src/base/index.ts';
import { Hold, holdTimes } from '../../../../src/cli/held/hold.ts';
import { type HeldEnd, type HeldExit, momentOf, runHeld } from '../../../../src/cli/held/run-held.ts';
import { ManualClock } from '../../lease/manual-clock.ts';

const TTL_MS = 10_000;

/** A program that ends when it is told to, or only when it is killed. */
class FakeProgram {
  readonly signals: { readonly signal: NodeJS.Signals; readonly atMs: number }[] = [];
  readonly exited: Promise<HeldExit>;
  end: (exit: HeldExit) => void = () => undefined;
  readonly #clock: ManualClock;
  readonly #isStubborn: boolean;

  constructor(clock: ManualClock, { isStubborn = false } = {}) {
    this.#clock = clock;
    this.#isStubborn = isStubborn;
    this.exited = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.signals.push({ signal, atMs: this.#clock.monotonicMs() });
    if (signal === 'SIGKILL' || !this.#isStubborn) this.end({ exitCode: null, signal });
  }
}

class Situation {
  readonly clock = new ManualClock();
  readonly program: FakeProgram;
  readonly renewals: number[] = [];
  /** What becomes of the next renewals. */
  renew: () => Promise<void> = async () => undefined;
  readonly end: Promise<HeldEnd>;
  isOver = false;

  constructor({ isStubborn = false } = {}) {
    const { clock } = this;
    this.program = new FakeProgram(clock, { isStubborn });
    const renew = () => {
      this.renewals.push(clock.monotonicMs());
      return this.renew();
    };
    this.end = runHeld(
      { clock, program: this.program, renew },
      new Hold(holdTimes(TTL_MS), momentOf(clock)),
    ).finally(() => {
      this.isOver = true;
    });
  }
}

const never = () => new Promise<void>(() => undefined);
const fails = (code: 'FENCED' | 'NO_QUORUM') => async () => {
  throw new AspenError(code, `no: ${code}`);
};

describe('a program that runs under a lease', () => {
  it('goes on as long as renewals are confirmed, and ends with its own code', async () => {
    const { clock, program, end, renewals } = new Situation();
    await clock.advance(60_000);
    assert.deepEqual(program.signals, []);
    assert.equal(renewals.length, 24);
    program.end({ exitCode: 3, signal: null });
    assert.deepEqual(await clock.until(end), { exit: { exitCode: 3, signal: null } });
  });

  it('is told to end, then killed, before the lease is over when nobody answers', async () => {
    const situation = new Situation({ isStubborn: true });
    const { clock, program, end } = situation;
    await clock.advance(5_000);
    situation.renew = async () => {
      await never();
    };
    const { lost } = await clock.until(end);
    assert.match(lost ?? '', /no renewal was confirmed for \d+ ms/);
    const [asked, killed] = [program.signals[0], program.signals.at(-1)];
    assert.deepEqual([asked?.signal, killed?.signal], ['SIGTERM', 'SIGKILL']);
    const endsAtMs = 5_000 + TTL_MS;
    assert.ok((killed?.atMs ?? Infinity) <= endsAtMs - 900, `killed at ${killed?.atMs}`);
    assert.ok((killed?.atMs ?? 0) - (asked?.atMs ?? 0) >= 1_900, 'has time to end by itself');
  });

  it('survives refusals that pass, and counts from the renewal that was confirmed', async () => {
    const situation = new Situation();
    const { clock, program, end } = situation;
    situation.renew = fails('NO_QUORUM');
    await clock.advance(6_000);
    situation.renew = async () => undefined;
    await clock.advance(30_000);
    assert.deepEqual(program.signals, []);
    program.end({ exitCode: 0, signal: null });
    assert.equal((await clock.until(end)).lost, undefined);
  });

  it('is killed at once when the lease is known to be lost', async () => {
    const situation = new Situation({ isStubborn: true });
    situation.renew = fails('FENCED');
    const { lost } = await situation.clock.until(situation.end);
    assert.match(lost ?? '', /FENCED/);
    assert.deepEqual(
      situation.program.signals.map(({ signal }) => signal),
      ['SIGKILL'],
    );
  });

  it('is killed when the machine slept longer than the lease, though its own clock stood still', async () => {
    const { clock, program, end } = new Situation();
    await clock.advance(1_000);
    clock.wallOffsetMs += 60_000;
    const { lost } = await clock.until(end);
    assert.ok(lost !== undefined);
    assert.deepEqual(
      program.signals.map(({ signal }) => signal),
      ['SIGKILL'],
    );
    assert.ok((program.signals[0]?.atMs ?? Infinity) <= 1_200, 'at the first look after the sleep');
  });

  it('survives a short sleep, and a wall clock that is set back', async () => {
    const { clock, program, end } = new Situation();
    await clock.advance(1_000);
    clock.wallOffsetMs += 3_000;
    await clock.advance(10_000);
    clock.wallOffsetMs -= 3_600_000;
    await clock.advance(10_000);
    assert.deepEqual(program.signals, []);
    program.end({ exitCode: 0, signal: null });
    await clock.until(end);
  });

  it('is not held on to by a renewal that comes after it was told to end', async () => {
    const situation = new Situation({ isStubborn: true });
    const { clock, program, end } = situation;
    let answer: () => void = () => undefined;
    situation.renew = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await clock.advance(7_500);
    assert.equal(program.signals[0]?.signal, 'SIGTERM');
    answer();
    const ended = await clock.until(end);
    assert.ok(ended.lost !== undefined);
    assert.equal(program.signals.at(-1)?.signal, 'SIGKILL');
  });

  it('is never left running when the lease may be over, whatever becomes of renewals', async () => {
    const fate = fc.record({
      delayMs: fc.integer({ min: 0, max: 6_000 }),
      ends: fc.constantFrom('confirmed', 'confirmed', 'refused', 'unanswered'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { minLength: 1, maxLength: 8 }), async (fates) => {
        const situation = new Situation({ isStubborn: true });
        const { clock, program, end } = situation;
        let leaseEndsAtMs = TTL_MS; // as the group sees it: from when it applied the renewal, at the earliest when it was sent
        let at = 0;
        situation.renew = () => {
          const { delayMs, ends } = fates[at] ?? { delayMs: 0, ends: 'unanswered' };
          at += 1;
          const sentAtMs = clock.monotonicMs();
          if (ends === 'unanswered') return never();
          if (ends === 'confirmed') leaseEndsAtMs = sentAtMs + TTL_MS;
          return new Promise((resolve, reject) => {
            const settle = () =>
              ends === 'confirmed' ? resolve() : reject(new AspenError('NO_QUORUM', 'no'));
            clock.setTimer(delayMs, settle);
          });
        };
        await clock.until(end, 200_000);
        const killedAtMs = program.signals.find(({ signal }) => signal === 'SIGKILL')?.atMs ?? Infinity;
        assert.ok(killedAtMs < leaseEndsAtMs, `killed at ${killedAtMs}, the lease ended at ${leaseEndsAtMs}`);
      }),
      { numRuns: 30 },
    );
  });
});
