import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  AspenError,
  backoffMs,
  type Clock,
  ERROR_KINDS,
  every,
  formatDuration,
  fromWireError,
  hash32,
  hash32Bytes,
  hash48,
  hash48Bytes,
  IdSequence,
  InvariantError,
  invariant,
  Listeners,
  newId,
  parseDurationMs,
  randomInt,
  randomPick,
  randomShuffle,
  SeededRandom,
  sleep,
  Tasks,
  toWireError,
  withDeadline,
} from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import { failureOf, ManualClock, settle } from '../mesh/support.ts';

describe('ids', () => {
  it('sort like the time they were made at, and do not repeat within a millisecond', () => {
    const random = new SeededRandom(1);
    const at = (wallMs: number) =>
      newId('job', { clock: { ...new ManualClock(), wallMs: () => wallMs } as never, random });
    const ids = [0, 1, 31, 32, 1_800_000_000_000, 1_800_000_000_001, 2 ** 48].map(at);
    assert.deepEqual(ids.toSorted(), ids);
    for (const id of ids) assert.match(id, /^job_[0-9a-hjkmnp-tv-z]{26}$/);
    assert.equal(new Set(Array.from({ length: 2_000 }, () => at(5))).size, 2_000);
  });
});

describe('ids in sequence', () => {
  /** @param digits the next random bytes, each a digit of the id. */
  const sequence = (draws: number[][]) => {
    const moment = { wallMs: 5 };
    const clock = { ...new ManualClock(), wallMs: () => moment.wallMs } as never;
    const random = { uint32: () => 0, bytes: () => Uint8Array.from(draws.shift() ?? []) };
    return { moment, ids: new IdSequence('job', { clock, random }) };
  };
  const digits = (count: number, digit: number) => Array<number>(count).fill(digit);

  it('grow by one within a millisecond, over all digits, and are drawn anew in the next', () => {
    const { moment, ids } = sequence([[...digits(14, 0), 1, 30], digits(16, 2), digits(16, 3)]);
    assert.equal(ids.next(), 'job_0000000005000000000000001y');
    assert.equal(ids.next(), 'job_0000000005000000000000001z');
    assert.equal(ids.next(), 'job_00000000050000000000000020');
    moment.wallMs = 6;
    assert.equal(ids.next(), 'job_00000000062222222222222222');
    moment.wallMs = 4; // somebody set the clock
    assert.equal(ids.next(), 'job_00000000043333333333333333');
  });

  it('draw anew behind the last number there is', () => {
    const { ids } = sequence([digits(16, 31), digits(16, 7)]);
    assert.equal(ids.next(), 'job_0000000005zzzzzzzzzzzzzzzz');
    assert.equal(ids.next(), 'job_00000000057777777777777777');
  });
});

describe('durations', () => {
  const cases: readonly [string, number][] = [
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['0s', 0],
  ];
  for (const [text, ms] of cases) it(`${text} is ${ms} ms`, () => assert.equal(parseDurationMs(text), ms));

  for (const text of [
    '',
    '5',
    's',
    '5 s',
    '-5s',
    '5s!',
    '5x',
    '1e3s',
    'Infinity',
    '5s5',
    `${'9'.repeat(400)}d`,
  ]) {
    it(`"${text.slice(0, 12)}" is none`, () =>
      assert.throws(() => parseDurationMs(text), { name: 'AspenError', code: 'INVALID_PARAMS' }));
  }

  it('are shown in their two largest units, and what is shown can be read again', () => {
    const shown: readonly [number, string][] = [
      [12, '12ms'],
      [4_200, '4.2s'],
      [59_999, '1m'],
      [999.7, '1s'],
      [60_000, '1m'],
      [5_400_000, '1h30m'],
      [90_061_000, '1d1h'],
    ];
    for (const [ms, text] of shown) assert.equal(formatDuration(ms), text);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 10 }), (ms) => {
        const again = parseDurationMs(formatDuration(ms));
        assert.ok(Math.abs(again - ms) <= Math.max(50, ms * 0.05), `${ms} became ${again}`);
      }),
    );
  });
});

describe('backoff', () => {
  it('stays between half of the exponential bound and the bound, and never above the most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), fc.nat(), (attempt, seed) => {
        const ms = backoffMs(attempt, new SeededRandom(seed), { firstMs: 100, mostMs: 5_000 });
        const boundMs = Math.min(5_000, 100 * 2 ** Math.min(20, attempt - 1));
        assert.ok(ms >= boundMs / 2 && ms <= boundMs, `${ms} for attempt ${attempt}`);
      }),
    );
  });
});

describe('chance', () => {
  it('of one seed repeats itself, of neighbouring seeds does not', () => {
    const draw = (seed: number) =>
      Array.from(
        { length: 20 },
        (
          (random) => () =>
            random.uint32()
        )(new SeededRandom(seed)),
      );
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    assert.notDeepEqual(draw(7), draw(7 + 2 ** 32));
  });

  it('of a fork does not depend on what the parent draws afterwards', () => {
    const [one, other] = [new SeededRandom(3), new SeededRandom(3)];
    const [forkOfOne, forkOfOther] = [one.fork(), other.fork()];
    other.bytes(100);
    assert.deepEqual(forkOfOne.bytes(50), forkOfOther.bytes(50));
  });

  it('stays within bounds, shuffles without loss, and picks nothing from nothing', () => {
    for (const random of [new SeededRandom(1), new OsRandom()]) {
      for (let round = 0; round < 500; round += 1) {
        const drawn = randomInt(random, { from: -3, to: 4 });
        assert.ok(Number.isInteger(drawn) && drawn >= -3 && drawn < 4);
        const word = random.uint32();
        assert.ok(Number.isInteger(word) && word >= 0 && word < 2 ** 32);
      }
      assert.deepEqual(randomShuffle(random, [1, 2, 3, 4]).toSorted(), [1, 2, 3, 4]);
      assert.equal(randomPick(random, []), undefined);
      for (const count of [0, 1, 4_096, 5_000]) assert.equal(random.bytes(count).length, count);
    }
  });

  it('of the machine gives bytes that stay as they were', () => {
    const random = new OsRandom();
    const first = random.bytes(32);
    const copy = first.slice();
    for (let round = 0; round < 300; round += 1) random.bytes(100);
    assert.deepEqual(first, copy);
  });
});

describe('hash', () => {
  it('spreads evenly, depends on the seed, and is the same for a text and its bytes', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let at = 0; at < 16_000; at += 1) buckets[hash32(`key-${at}`) % 16]! += 1;
    for (const count of buckets) assert.ok(count > 850 && count < 1_150, `${buckets}`);
    assert.notEqual(hash32('a', 1), hash32('a', 2));
    fc.assert(
      fc.property(fc.string(), fc.nat(), (text, seed) => {
        assert.equal(hash32(text, seed), hash32Bytes(Buffer.from(text, 'latin1'), seed));
      }),
    );
  });
});

describe('two hashes in one walk', () => {
  it('are the two that two walks give', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(), fc.nat(), (text, seed, second) => {
        const two = hash32(text, seed) * 2 ** 16 + (hash32(text, second) & 0xffff);
        assert.equal(hash48(text, seed, second), two);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(), fc.nat(), (bytes, seed, second) => {
        const two = hash32Bytes(bytes, seed) * 2 ** 16 + (hash32Bytes(bytes, second) & 0xffff);
        assert.equal(hash48Bytes(bytes, seed, second), two);
      }),
    );
  });
});

describe('waiting', () => {
  it('sleeps no less than it was asked to, and ends early with the reason of its signal', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    let isOver = false;
    const slept = sleep(clock, 100).then(() => {
      isOver = true;
    });
    await clock.advance(99);
    assert.equal(isOver, false);
    await clock.advance(1);
    await slept;
    const ended = failureOf(sleep(clock, 100, abort.signal));
    abort.abort(new Error('enough'));
    assert.equal(((await ended) as Error).message, 'enough');
    assert.equal(((await failureOf(sleep(clock, 100, abort.signal))) as Error).message, 'enough');
  });

  it('calls at every period until disposed, also from within the call', async () => {
    const clock = new ManualClock();
    let calls = 0;
    const ticking: Disposable = every(clock, 10, () => {
      calls += 1;
      if (calls === 3) ticking[Symbol.dispose]();
    });
    await clock.advance(200);
    assert.equal(calls, 3);
  });

  it('does what is done again and again at the beats of a clock that has some, and keeps its period', async () => {
    const manual = new ManualClock();
    const clock: Clock = {
      beatsMs: [50],
      monotonicMs: () => manual.monotonicMs(),
      wallMs: () => manual.wallMs(),
      setTimer: (afterMs, callback) => manual.setTimer(afterMs, callback),
    };
    const calls: string[] = [];
    const note = (name: string) => () => calls.push(`${name} at ${clock.monotonicMs()}`);
    await manual.advance(30);
    using _often = every(clock, 100, note('often'));
    await manual.advance(41);
    using _rarely = every(clock, 250, note('rarely'));
    using _short = every(clock, 60, note('short'));
    await manual.advance(279);
    assert.deepEqual(
      calls.filter((call) => !call.startsWith('short')),
      ['often at 150', 'often at 250', 'often at 350', 'rarely at 300'].sort(byTime),
    );
    assert.deepEqual(calls.filter((call) => call.startsWith('short')).slice(0, 2), [
      'short at 131',
      'short at 191',
    ]);
  });

  it('does what is done rarely at rare beats, and keeps periods that are no multiple of them nearly', async () => {
    const manual = new ManualClock();
    const clock: Clock = {
      beatsMs: [50, 250, 1_000],
      monotonicMs: () => manual.monotonicMs(),
      wallMs: () => manual.wallMs(),
      setTimer: (afterMs, callback) => manual.setTimer(afterMs, callback),
    };
    const rings = async (periodMs: number): Promise<number[]> => {
      const at: number[] = [];
      const fromMs = Math.ceil(manual.monotonicMs() / 60_000) * 60_000;
      await manual.advance(fromMs + 330 - manual.monotonicMs());
      using _ticking = every(clock, periodMs, () => at.push(manual.monotonicMs() - fromMs));
      await manual.advance(4 * periodMs);
      return at.slice(0, 3);
    };
    assert.deepEqual(await rings(1_000), [1_000, 2_000, 3_000]);
    assert.deepEqual(await rings(5_000), [5_000, 10_000, 15_000]);
    assert.deepEqual(await rings(250), [500, 750, 1_000]);
    assert.deepEqual(await rings(500), [750, 1_250, 1_750]);
    assert.deepEqual(await rings(300), [650, 950, 1_250]);
    assert.deepEqual(await rings(1_900), [2_250, 4_250, 6_250]);
  });

  it('gives up after the deadline, names what took so long, and tells the work', async () => {
    const clock = new ManualClock();
    let told = false;
    const work = withDeadline({ clock, timeoutMs: 50, what: 'the answer' }, (signal) => {
      signal.addEventListener('abort', () => {
        told = true;
      });
      return new Promise<never>(() => undefined);
    });
    const failure = failureOf(work);
    await clock.advance(50);
    const error = (await failure) as AspenError;
    assert.equal(error.code, 'DEADLINE_EXCEEDED');
    assert.match(error.message, /the answer took longer than 50 ms/);
    assert.equal(told, true);
  });

  it('passes on what the work came to, and leaves no timer behind', async () => {
    const clock = new ManualClock();
    const facts = { clock, timeoutMs: 50, what: 'it' };
    assert.equal(await withDeadline(facts, async () => 7), 7);
    assert.equal(
      ((await failureOf(withDeadline(facts, async () => Promise.reject(new Error('no'))))) as Error).message,
      'no',
    );
    await clock.advance(100);
  });

  it('does not begin work whose signal is aborted already', async () => {
    const signal = AbortSignal.abort(new Error('too late'));
    let began = false;
    const failure = failureOf(
      withDeadline({ clock: new ManualClock(), timeoutMs: 50, what: 'it', signal }, async () => {
        began = true;
      }),
    );
    assert.equal(((await failure) as Error).message, 'too late');
    assert.equal(began, false);
  });

  it('of the machine: timers fire once, not early, and not when cancelled', async () => {
    const clock = new OsClock();
    const startedMs = clock.monotonicMs();
    let cancelled = false;
    clock
      .setTimer(1, () => {
        cancelled = true;
      })
      .cancel();
    const keepAlive = setInterval(() => undefined, 1_000);
    await new Promise<void>((resolve) => clock.setTimer(5, resolve));
    clearInterval(keepAlive);
    assert.ok(clock.monotonicMs() - startedMs >= 4);
    assert.equal(cancelled, false);
    assert.ok(Number.isInteger(clock.wallMs()));
  });

  it('of the machine: long timers that are due at about the same time ring in one turn, those that are cancelled then not', async () => {
    const clock = new OsClock();
    const rung: string[] = [];
    let turn = 0;
    const note = (name: string) => () => rung.push(`${name} in turn ${turn}`);
    const startedMs = clock.monotonicMs();
    const atMs = (dueMs: number) => dueMs - (clock.monotonicMs() - startedMs);
    const moment = 5 - (startedMs % 5); // just after a moment at which they ring
    clock.setTimer(atMs(60 + moment + 1), () => {
      note('first')();
      last.cancel();
      setImmediate(() => {
        turn += 1;
      });
    });
    clock.setTimer(atMs(60 + moment + 2), note('second'));
    const last = clock.setTimer(atMs(60 + moment + 3), note('cancelled'));
    clock.setTimer(atMs(60 + moment + 2), note('early')).cancel();
    const keepAlive = setInterval(() => undefined, 1_000);
    await new Promise<void>((resolve) => clock.setTimer(100, resolve));
    clearInterval(keepAlive);
    assert.deepEqual(rung, ['first in turn 0', 'second in turn 0']);
  });
});

describe('tasks', () => {
  it('are joined on stop, those too that a task begins while stopping', async () => {
    const ended: string[] = [];
    const tasks = new Tasks((error) => assert.ifError(error));
    tasks.run(async (signal) => {
      await failureOf(sleep(new ManualClock(), 1_000, signal));
      tasks.run(async () => {
        await settle();
        ended.push('inner');
      });
      ended.push('outer');
    });
    await tasks.stop();
    assert.deepEqual(ended, ['outer', 'inner']);
  });

  it('that die while they should run are reported; that end with the stop are not', async () => {
    const failures: unknown[] = [];
    const tasks = new Tasks((error) => failures.push(error));
    tasks.run(async () => {
      throw new Error('died');
    });
    await settle();
    tasks.run((signal) => sleep(new ManualClock(), 1_000, signal));
    await tasks.stop();
    assert.deepEqual(
      failures.map((error) => (error as Error).message),
      ['died'],
    );
  });
});

describe('listeners', () => {
  it('are called in order, may leave while being called, and the same callback may be added twice', () => {
    const listeners = new Listeners<number>();
    const heard: string[] = [];
    const callback = (value: number) => void heard.push(`first ${value}`);
    const first = listeners.add(callback);
    listeners.add(callback);
    const last: Disposable = listeners.add((value) => {
      heard.push(`last ${value}`);
      last[Symbol.dispose]();
    });
    listeners.emit(1);
    first[Symbol.dispose]();
    listeners.emit(2);
    assert.deepEqual(heard, ['first 1', 'first 1', 'last 1', 'first 2']);
    assert.equal(listeners.size, 1);
  });
});

describe('errors', () => {
  it('keep code, message, details and outcome over the wire', () => {
    for (const code of Object.keys(ERROR_KINDS) as (keyof typeof ERROR_KINDS)[]) {
      const error = new AspenError(code, 'what it names', { details: { current: 3 }, outcome: 'unknown' });
      const again = fromWireError(toWireError(error));
      assert.deepEqual(
        [again.code, again.message, again.details, again.outcome, again.retry],
        [code, 'what it names', { current: 3 }, 'unknown', ERROR_KINDS[code].retry],
      );
    }
  });

  it('of foreign shape become INTERNAL, whatever they are, and give nothing away', () => {
    fc.assert(
      fc.property(fc.anything(), (foreign) => assert.ok(fromWireError(foreign) instanceof AspenError)),
    );
    assert.equal(fromWireError({ code: 'constructor', message: 'x' }).code, 'INTERNAL');
    const wire = toWireError(new TypeError('secret path'));
    assert.deepEqual([wire.code, wire.outcome], ['INTERNAL', 'unknown']);
  });

  it('of a broken invariant say what must hold', () => {
    invariant(true, 'never built');
    assert.throws(() => invariant(false, () => 'terms only grow'), InvariantError);
  });
});

function byTime(left: string, right: string): number {
  return Number(left.split(' ').at(-1)) - Number(right.split(' ').at(-1));
}
