import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decode } from '../../../../src/base/index.ts';
import {
  createKvModule,
  type HistoryAnswer,
  type KeyFilter,
  kvModule,
  leasesModule,
  readHistory,
} from '../../../../src/lease/machine/index.ts';
import { type NaiveCompare, NaiveKv, type NaiveOperation } from './naive-kv.ts';
import { Bench, type CommandSpec, codeOf, resultOf } from './support.ts';

const KEYS = ['a', 'ab', 'abc', 'b', 'b/1', 'ä', '文'];
const PREFIXES = ['', 'a', 'ab', 'b', 'ä'];
const LEASES = ['1', '2', '3'].map((digit) => `lse_${digit.repeat(26)}`);

const key = fc.constantFrom(...KEYS);
const value = fc.constantFrom('', 'x', 'y', 'ä');
const leaseId = fc.constantFrom(...LEASES);
const life = fc.record(
  { ttlMs: fc.integer({ min: 1, max: 60 }), leaseId },
  { requiredKeys: [] },
) as fc.Arbitrary<{ ttlMs?: number; leaseId?: string }>;
const put = fc
  .tuple(key, value, life)
  .map(([on, to, of]) => ({ op: 'put' as const, key: on, value: to, ...of }));
const operation: fc.Arbitrary<NaiveOperation> = fc.oneof(
  put,
  fc.record({ op: fc.constantFrom('get' as const, 'delete' as const), key }),
  fc.record({ op: fc.constantFrom('get' as const, 'delete' as const), prefix: fc.constantFrom(...PREFIXES) }),
);
const operator = fc.constantFrom('=' as const, '!=' as const, '>' as const, '<' as const);
const compare: fc.Arbitrary<NaiveCompare> = fc.oneof(
  fc.record({ key, target: fc.constant('value' as const), op: operator, value: fc.option(value) }),
  fc.record({ key, target: fc.constant('lease' as const), op: operator, value: fc.option(leaseId) }),
  fc.record({
    key,
    target: fc.constantFrom('version' as const, 'createRevision' as const, 'modRevision' as const),
    op: operator,
    value: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 2 ** 40, max: 2 ** 40 + 40 })),
  }),
);
const branch = fc.array(operation, { maxLength: 5 }).map(withoutRepeatedWrites);
const step = fc.oneof(
  { weight: 3, arbitrary: put.map((each) => ({ ...each, do: 'put' as const })) },
  fc.record({ do: fc.constant('delete' as const), key }),
  fc.record({ do: fc.constant('cas' as const), key, expected: fc.option(value), value: fc.option(value) }),
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('txn' as const),
      compare: fc.array(compare, { maxLength: 2 }),
      success: branch,
      failure: branch,
    }),
  },
  fc.record({ do: fc.constant('expire' as const) }),
  fc.record({ do: fc.constant('grant' as const), leaseId, ttlMs: fc.integer({ min: 100, max: 200 }) }),
  fc.record({ do: fc.constant('revoke' as const), leaseId }),
  fc.record({ do: fc.constant('endLeases' as const) }),
  fc.record({ do: fc.constant('wait' as const), forMs: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ do: fc.constant('restart' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What the contract forbids is left out here; that it is refused is another test. */
function withoutRepeatedWrites(operations: readonly NaiveOperation[]): NaiveOperation[] {
  const kept: NaiveOperation[] = [];
  const covers = (one: NaiveOperation, other: NaiveOperation) =>
    one.key !== undefined && other.key !== undefined
      ? one.key === other.key
      : (one.key ?? one.prefix ?? '').startsWith(other.key ?? other.prefix ?? '');
  for (const each of operations) {
    const isFree = kept.every((other) => other.op === 'get' || !(covers(each, other) || covers(other, each)));
    if (each.op === 'get' || isFree) kept.push(each);
  }
  return kept;
}

const kv = (kind: string, body: unknown = null): CommandSpec => ({ module: 'kv', kind, body });
const leases = (kind: string, body: unknown = null): CommandSpec => ({ module: 'leases', kind, body });

/** Both, fed the same. */
class Twins {
  readonly bench: Bench;
  readonly naive = new NaiveKv();

  constructor(bench = new Bench([kvModule, leasesModule])) {
    this.bench = bench;
  }

  async take(step: Step): Promise<void> {
    const { bench, naive } = this;
    if (step.do === 'wait') bench.groupMs += step.forMs;
    else if (step.do === 'restart') await bench.restart();
    naive.groupMs = bench.groupMs;
    naive.revision = bench.machine.position + 1;
    this.#apply(step);
  }

  #apply(step: Step): void {
    const { bench, naive } = this;
    switch (step.do) {
      case 'put': {
        const { do: _, op: __, ...body } = step;
        const outcome = bench.apply(kv('put', body));
        if (step.leaseId !== undefined && !naive.leases.has(step.leaseId)) {
          assert.equal(codeOf(outcome), 'NOT_FOUND');
          return;
        }
        assert.deepEqual(resultOf(outcome), { revision: naive.revision });
        naive.put(step.key, step.value, step);
        return;
      }
      case 'delete': {
        const result = resultOf(bench.apply(kv('delete', { key: step.key })));
        assert.deepEqual(result, { deleted: naive.delete(step.key), revision: naive.revision });
        return;
      }
      case 'cas': {
        const { do: _, ...body } = step;
        const current = naive.get(step.key)?.value ?? null;
        const swapped = current === step.expected;
        const result = resultOf(bench.apply(kv('cas', body)));
        const { revision } = naive;
        assert.deepEqual(result, { swapped, current: swapped ? step.value : current, revision });
        if (swapped && step.value !== null) naive.put(step.key, step.value);
        if (swapped && step.value === null) naive.delete(step.key);
        return;
      }
      case 'txn': {
        const { do: _, ...body } = step;
        const outcome = bench.apply(kv('txn', body));
        const expected = naive.txn(step.compare, step.success, step.failure);
        if (expected === undefined) assert.equal(codeOf(outcome), 'NOT_FOUND');
        else assert.deepEqual(resultOf(outcome), expected);
        return;
      }
      case 'grant': {
        const { do: _, ...body } = step;
        const outcome = bench.apply(leases('grant', { ...body, owner: 'n' }));
        if (naive.leases.has(step.leaseId)) assert.equal(codeOf(outcome), 'CONFLICT');
        else naive.leases.set(step.leaseId, naive.groupMs + step.ttlMs);
        return;
      }
      case 'revoke':
        bench.apply(leases('revoke', { leaseId: step.leaseId }));
        naive.endLease(step.leaseId);
        return;
      case 'endLeases':
        bench.apply(leases('expire'));
        naive.endLeases();
        return;
      case 'expire':
        bench.apply(kv('expire'));
        naive.expire();
        return;
      default:
    }
  }

  compare(): void {
    const { bench, naive } = this;
    bench.apply(kv('delete', { key: 'nobody' })); // brings group time in
    for (const each of KEYS) assert.deepEqual(bench.query('kv', 'get', { key: each }), naive.get(each));
    for (const prefix of PREFIXES) {
      const entries = naive.keys(prefix).map((each) => ({ key: each, ...naive.get(each) }));
      assert.deepEqual(bench.query('kv', 'scan', { prefix }), { entries });
    }
  }

  read(filter: KeyFilter, fromRevision: number, pageSize = 3) {
    const events: HistoryAnswer['events'][number][] = [];
    let [sequence, revision] = [null as number | null, fromRevision - 1];
    for (;;) {
      const question = { filter, fromRevision, sequence, eventsLimit: pageSize, textLimit: 100_000 };
      const answer = readHistory(this.bench.machine.read('kv'), question);
      events.push(...answer.events);
      assert.ok(answer.revision >= revision, 'what was looked at only grows');
      [sequence, revision] = [answer.sequence, answer.revision];
      if (answer.events.length === 0) return { events, revision };
    }
  }
}

describe('kv with transactions, times and leases', () => {
  it('does what a plain map does, and its history is every change in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const twins = new Twins();
        for (const each of steps) {
          await twins.take(each);
          twins.compare();
        }
        const { naive, bench } = twins;
        for (const prefix of PREFIXES) {
          const expected = naive.events.filter((event) => event.key.startsWith(prefix));
          const { events, revision } = twins.read({ prefix }, 1);
          assert.deepEqual(events, expected);
          assert.equal(revision, bench.machine.position);
        }
        for (const { revision: from } of naive.events) {
          const expected = naive.events.filter((event) => event.revision >= from && event.key === 'ab');
          assert.deepEqual(twins.read({ key: 'ab' }, from).events, expected);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('changes each key at most once a revision', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const twins = new Twins();
        for (const each of steps) await twins.take(each);
        const { events } = twins.read({ prefix: '' }, 1);
        assert.equal(new Set(events.map((event) => `${event.revision} ${event.key}`)).size, events.length);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps as much of the history as its limits allow, and says what is gone', async () => {
    const limits = fc.record({
      eventsLimit: fc.integer({ min: 1, max: 12 }),
      bytesLimit: fc.integer({ min: 1, max: 400 }),
    });
    await fc.assert(
      fc.asyncProperty(limits, fc.array(step, { maxLength: 40 }), async (bounds, steps) => {
        const twins = new Twins(new Bench([createKvModule(bounds), leasesModule]));
        for (const each of steps) await twins.take(each);
        const { naive, bench } = twins;
        await bench.restart();
        const froms = [1, ...naive.events.map(({ revision }) => revision), bench.machine.position + 1];
        for (const from of froms) {
          const told = tried(() => twins.read({ prefix: '' }, from).events);
          const expected = naive.events.filter(({ revision }) => revision >= from);
          if ('value' in told) assert.deepEqual(told.value, expected);
          else {
            assert.equal(told.code, 'COMPACTED');
            const oldest = told.oldestRevision as number;
            assert.ok(oldest > from);
            assert.deepEqual(
              twins.read({ prefix: '' }, oldest).events,
              naive.events.filter(({ revision }) => revision >= oldest),
            );
          }
        }
        const kept = [...bench.store.range({ from: 't0/kv/history/', to: 't0/kv/history0' })];
        const events = kept.flatMap(([, bytes]) => (decode(bytes) as readonly unknown[])[2] as unknown[]);
        assert.ok(events.length <= bounds.eventsLimit || kept.length === 1);
        const bytes = kept.reduce((sum, [, bytesOfOne]) => sum + bytesOfOne.length, 0);
        assert.ok(bytes <= bounds.bytesLimit || kept.length === 1);
      }),
      { numRuns: 150 },
    );
  });

  it('leaves nothing in its indexes when all keys are gone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { bench, take } = bound(new Twins());
        for (const each of steps) await take(each);
        bench.apply(kv('txn', { success: [{ op: 'delete', prefix: '' }] }));
        bench.groupMs += 1_000;
        bench.apply(kv('expire'));
        await bench.restart();
        for (const table of ['pairs', 'expiry', 'leased', 'leases']) {
          assert.deepEqual([...bench.store.range({ from: `t0/kv/${table}/`, to: `t0/kv/${table}0` })], []);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('undoes all of a transaction that is refused in the middle, its history too', () => {
    const bench = new Bench([kvModule, leasesModule]);
    bench.apply(kv('put', { key: 'a', value: 'before' }));
    const before = bench.query('kv', 'get', { key: 'a' });
    const success = [
      { op: 'put', key: 'a', value: 'after' },
      { op: 'put', key: 'b', value: '', leaseId: LEASES[0] },
    ];
    assert.equal(codeOf(bench.apply(kv('txn', { success }))), 'NOT_FOUND');
    assert.deepEqual(bench.query('kv', 'get', { key: 'a' }), before);
    bench.apply(kv('put', { key: 'c', value: '' }));
    const question = {
      filter: { prefix: '' },
      fromRevision: 1,
      sequence: null,
      eventsLimit: 9,
      textLimit: 999,
    };
    const { events } = readHistory(bench.machine.read('kv'), question);
    assert.deepEqual(
      events.map((event) => event.key),
      ['a', 'c'],
    );
  });

  it('keeps the changes of one entry together, without those of what was refused in it, however many they are', async () => {
    const bench = new Bench([kvModule, leasesModule]);
    const puts = Array.from({ length: 1_000 }, (_, at) =>
      kv('put', { key: `k${at}`, value: 'x'.repeat(at) }),
    );
    const success = [
      { op: 'put', key: 'k1', value: 'never' },
      { op: 'put', key: 'b', value: '', leaseId: LEASES[0] },
    ];
    const half = kv('txn', { success });
    bench.applyAll([...puts.slice(0, 500), half, ...puts.slice(500), half]);
    await bench.restart();
    bench.applyAll([half, kv('delete', { key: 'k7' })]);
    const twins = new Twins(bench);
    assert.deepEqual(
      twins.read({ prefix: '' }, 1, 77).events.map(({ key: of, type }) => `${type} ${of}`),
      [...puts.map(({ body }) => `put ${(body as { key: string }).key}`), 'delete k7'],
    );
    assert.equal(twins.read({ key: 'k7' }, 1).events.length, 2);
  });

  it('tells of keys that end with a lease in the revision in which it ends', () => {
    const bench = new Bench([kvModule, leasesModule]);
    bench.apply(leases('grant', { leaseId: LEASES[0], ttlMs: 1_000, owner: 'n' }));
    bench.apply(kv('put', { key: 'a', value: 'x', leaseId: LEASES[0] }));
    bench.apply(kv('put', { key: 'b', value: 'y', leaseId: LEASES[0] }));
    bench.groupMs = 1_000;
    bench.apply(leases('expire'));
    assert.deepEqual(bench.query('kv', 'scan', { prefix: '' }), { entries: [] });
    const question = {
      filter: { prefix: '' },
      fromRevision: 1,
      sequence: 3,
      eventsLimit: 9,
      textLimit: 999,
    };
    const { events } = readHistory(bench.machine.read('kv'), question);
    assert.deepEqual(
      events.map(({ type, key: of, revision }) => [type, of, revision]),
      [
        ['delete', 'a', bench.machine.position],
        ['delete', 'b', bench.machine.position],
      ],
    );
  });

  it('bounds the keys of one lease, naming the limit', function () {
    this.timeout(20_000);
    const bench = new Bench([kvModule, leasesModule]);
    bench.apply(leases('grant', { leaseId: LEASES[0], ttlMs: 1_000, owner: 'n' }));
    const putUnder = (at: number) => kv('put', { key: `k${at}`, value: '', leaseId: LEASES[0] });
    bench.applyAll(Array.from({ length: 10_000 }, (_, at) => putUnder(at)));
    const refused = bench.apply(putUnder(10_000));
    assert.equal(codeOf(refused), 'RESOURCE_EXHAUSTED');
    assert.equal(refused.ok ? '' : refused.error.details.limit, 'KV_LEASE_KEYS_LIMIT');
    assert.equal(codeOf(bench.apply(putUnder(0))), 'ok');
  });

  const operations = (count: number, op = 'get') =>
    Array.from({ length: count }, (_, at) => ({ op, key: `k${at}` }));
  const refusals: readonly (readonly [string, unknown, string, RegExp])[] = [
    [
      '129 operations',
      { success: operations(129) },
      'INVALID_PARAMS',
      /success.*128.*KV_TXN_OPERATIONS_LIMIT/,
    ],
    ['an unknown operation', { failure: [{ op: 'add', key: 'a' }] }, 'INVALID_PARAMS', /failure\.0\.op/],
    [
      'two writes of a key',
      { success: [...operations(1, 'delete'), { op: 'put', key: 'k0', value: '' }] },
      'INVALID_PARAMS',
      /success\.1.*success\.0/,
    ],
    [
      'a key that a deletion by prefix meets',
      { success: [{ op: 'delete', prefix: 'k' }, ...operations(1, 'delete')] },
      'INVALID_PARAMS',
      /success\.1/,
    ],
    [
      'a version that is no number',
      { compare: [{ key: 'a', target: 'version', value: 'x' }] },
      'INVALID_PARAMS',
      /compare\.0\.value/,
    ],
    [
      'an unknown target',
      { compare: [{ key: 'a', target: 'size', value: 1 }] },
      'INVALID_PARAMS',
      /compare\.0\.target/,
    ],
    [
      'a key too long',
      { success: [{ op: 'get', key: 'x'.repeat(1_025) }] },
      'INVALID_PARAMS',
      /success\.0\.key.*1024/,
    ],
  ];
  for (const [what, body, code, message] of refusals) {
    it(`refuses ${what}, naming it`, () => {
      const outcome = new Bench([kvModule]).apply(kv('txn', body));
      assert.equal(codeOf(outcome), code);
      assert.match(outcome.ok ? '' : outcome.error.message, message);
    });
  }

  it('takes 128 operations a branch', () => {
    const body = { success: operations(128), failure: operations(128) };
    assert.equal(codeOf(new Bench([kvModule]).apply(kv('txn', body))), 'ok');
  });
});

function bound(twins: Twins) {
  return { bench: twins.bench, take: (each: Step) => twins.take(each) };
}

function tried<T>(
  work: () => T,
): { readonly value: T } | { readonly code: string; readonly oldestRevision: unknown } {
  try {
    return { value: work() };
  } catch (error) {
    const { code, details } = error as { code: string; details: { oldestRevision: unknown } };
    return { code, oldestRevision: details?.oldestRevision };
  }
}
