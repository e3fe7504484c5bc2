import assert from 'node:assert/strict';
import fc from 'fast-check';
import { countersModule, rateLimitsModule } from '../../../../src/lease/machine/index.ts';
import { Bench, codeOf, resultOf } from './support.ts';

const counters = (kind: string, body: unknown) => ({ module: 'counters', kind, body });
const takeFrom = (body: object) => ({
  module: 'ratelimits',
  kind: 'take',
  body: { name: 'a', permits: 1, ratePerSecond: 10, burst: 5, ...body },
});

interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly retryAfterMs: number;
}

describe('counters', () => {
  it('do what a map of numbers does', () => {
    const name = fc.constantFrom('a', 'b', 'ä/b');
    const number = fc.integer({ min: -3, max: 3 });
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), name, delta: number }),
      fc.record({ do: fc.constant('cas' as const), name, expected: number, value: number }),
      fc.record({ do: fc.constant('delete' as const), name }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bench = new Bench([countersModule]);
        const naive = new Map<string, number>();
        for (const { do: kind, ...body } of steps) {
          const before = naive.get(body.name) ?? 0;
          const result = resultOf(bench.apply(counters(kind, body))) as Record<string, unknown>;
          if ('delta' in body) naive.set(body.name, before + body.delta);
          else if ('expected' in body) {
            assert.equal(result['swapped'], before === body.expected);
            if (before === body.expected) naive.set(body.name, body.value);
          } else assert.equal(result['deleted'], naive.delete(body.name));
          if (kind !== 'delete') assert.equal(result['value'], naive.get(body.name) ?? 0);
        }
        for (const each of ['a', 'b', 'ä/b']) {
          const found = bench.query('counters', 'get', { name: each }) as { value: number };
          assert.equal(found.value, naive.get(each) ?? 0);
        }
        const { items } = bench.query('counters', 'list', {}) as { items: { name: string }[] };
        assert.deepEqual(items.map((item) => item.name).sort(), [...naive.keys()].sort());
      }),
      { numRuns: 100 },
    );
  });

  it('never leave the whole numbers that can be told apart', () => {
    const bench = new Bench([countersModule]);
    resultOf(bench.apply(counters('add', { name: 'a', delta: Number.MAX_SAFE_INTEGER })));
    const refused = bench.apply(counters('add', { name: 'a', delta: 1 }));
    assert.equal(codeOf(refused), 'CONFLICT');
    assert.equal(codeOf(bench.apply(counters('add', { name: 'a', delta: 0.5 }))), 'INVALID_PARAMS');
  });
});

describe('a sequence', () => {
  it('hands each number out once, without a gap, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 }), (counts) => {
        const bench = new Bench([countersModule]);
        let last = 0;
        for (const count of counts) {
          const range = resultOf(bench.apply(counters('next', { name: 'a', count }))) as {
            first: number;
            last: number;
            revision: number;
          };
          assert.deepEqual(range, { first: last + 1, last: last + count, revision: bench.machine.position });
          last = range.last;
        }
      }),
    );
  });
});

describe('a rate limit', () => {
  it('gives its burst at once, then as much as flows in, and says when to come again', () => {
    const bench = new Bench([rateLimitsModule]);
    const take = (body: object = {}) => resultOf(bench.apply(takeFrom(body))) as Taken;
    for (let left = 4; left >= 0; left -= 1) {
      assert.deepEqual(take(), { allowed: true, remaining: left, retryAfterMs: 0 });
    }
    assert.deepEqual(take(), { allowed: false, remaining: 0, retryAfterMs: 100 });
    assert.deepEqual(take({ permits: 3 }), { allowed: false, remaining: 0, retryAfterMs: 300 });
    bench.groupMs += 99;
    assert.equal(take().allowed, false);
    bench.groupMs += 1;
    assert.equal(take().allowed, true);
    bench.groupMs += 10_000;
    assert.deepEqual(take(), { allowed: true, remaining: 4, retryAfterMs: 0 });
    assert.equal(codeOf(bench.apply(takeFrom({ permits: 6 }))), 'INVALID_PARAMS');
  });

  it('never gives more than the burst and what flowed in, in any span, and always what it promised', () => {
    const step = fc.record({
      waitMs: fc.integer({ min: 0, max: 400 }),
      permits: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom(1, 3, 10, 7.5, 1_000),
        (steps, ratePerSecond) => {
          const bench = new Bench([rateLimitsModule]);
          const given: { atMs: number; permits: number }[] = [];
          for (const { waitMs, permits } of steps) {
            bench.groupMs += waitMs;
            const wish = { permits, ratePerSecond };
            const taken = resultOf(bench.apply(takeFrom(wish))) as Taken;
            if (taken.allowed) given.push({ atMs: bench.groupMs, permits });
            else {
              bench.groupMs += taken.retryAfterMs;
              assert.equal((resultOf(bench.apply(takeFrom(wish))) as Taken).allowed, true);
              given.push({ atMs: bench.groupMs, permits });
            }
          }
          for (const [from, { atMs }] of given.entries()) {
            let sum = 0;
            for (const each of given.slice(from)) {
              sum += each.permits;
              const most = 5 + ((each.atMs - atMs) / 1_000) * ratePerSecond;
              assert.ok(sum <= most + 1e-6, `${sum} in ${each.atMs - atMs} ms`);
            }
          }
        },
      ),
    );
  });

  it('fill at the rate of whoever takes, from the first try at it', () => {
    const bench = new Bench([rateLimitsModule]);
    const take = (body: object) => resultOf(bench.apply(takeFrom(body))) as Taken;
    assert.equal(take({ ratePerSecond: 0.01, burst: 1 }).allowed, true);
    const quick = { ratePerSecond: 100, burst: 10 };
    const { allowed, retryAfterMs } = take(quick);
    assert.deepEqual([allowed, retryAfterMs], [false, 10]);
    bench.groupMs += 9;
    assert.equal(take(quick).retryAfterMs, 1);
    bench.groupMs += 1;
    assert.equal(take(quick).allowed, true);
    const table = (name: string) => [...bench.machine.read('ratelimits').table(name).range({})];
    assert.deepEqual([table('buckets').length, table('full').length], [1, 1]);
  });

  it('is forgotten when it is full again', () => {
    const bench = new Bench([rateLimitsModule]);
    for (const name of ['a', 'b', 'c']) resultOf(bench.apply(takeFrom({ name })));
    bench.groupMs += 1_000;
    resultOf(bench.apply(takeFrom({ name: 'd' })));
    const table = (name: string) => [...bench.machine.read('ratelimits').table(name).range({})];
    assert.deepEqual([table('buckets').length, table('full').length], [1, 1]);
    assert.deepEqual(table('counts'), [['buckets', 1]]);
  });
});
