import assert from 'node:assert/strict';
import fc from 'fast-check';
import { kvModule } from '../../../../src/lease/machine/index.ts';
import { Bench, codeOf, resultOf } from './support.ts';

const kv = (kind: string, body: unknown = null) => ({ module: 'kv', kind, body });

interface Held {
  readonly value: string;
  readonly version: number;
  readonly revision: number;
  readonly createRevision: number;
  readonly expiresAtMs: number;
}

/** What the module should do, in a Map, slowly and obviously. */
class NaiveKv {
  readonly #pairs = new Map<string, Held>();

  put(key: string, value: string, at: { position: number; groupMs: number; ttlMs?: number }): void {
    const was = this.get(key, at.groupMs);
    const version = (was?.version ?? 0) + 1;
    const createRevision = was?.createRevision ?? at.position;
    const expiresAtMs = at.ttlMs === undefined ? Number.POSITIVE_INFINITY : at.groupMs + at.ttlMs;
    this.#pairs.set(key, { value, version, revision: at.position, createRevision, expiresAtMs });
  }

  delete(key: string): void {
    this.#pairs.delete(key);
  }

  get(key: string, groupMs: number): Held | undefined {
    const held = this.#pairs.get(key);
    return held !== undefined && held.expiresAtMs > groupMs ? held : undefined;
  }

  scan(prefix: string, groupMs: number): string[] {
    const alive = [...this.#pairs.keys()].filter((key) => key.startsWith(prefix) && this.get(key, groupMs));
    return alive.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}

const key = fc.constantFrom('a', 'ab', 'abc', 'b', 'ä', 'ä/1', '文');
const value = fc.constantFrom('', 'x', 'y');
const step = fc.oneof(
  fc.record({
    do: fc.constant('put' as const),
    key,
    value,
    ttlMs: fc.option(fc.integer({ min: 1, max: 50 })),
  }),
  fc.record({ do: fc.constant('delete' as const), key }),
  fc.record({ do: fc.constant('cas' as const), key, expected: fc.option(value), value: fc.option(value) }),
  fc.record({ do: fc.constant('expire' as const) }),
  fc.record({ do: fc.constant('wait' as const), forMs: fc.integer({ min: 1, max: 40 }) }),
);

describe('kv', () => {
  it('does what a plain map with times does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bench = new Bench([kvModule]);
        const naive = new NaiveKv();
        for (const each of steps) {
          if (each.do === 'wait') bench.groupMs += each.forMs;
          else if (each.do === 'expire') bench.apply(kv('expire'));
          else {
            const { do: kind, ...body } = each;
            const held = naive.get(each.key, bench.groupMs);
            const result = resultOf(bench.apply(kv(kind, body))) as Record<string, unknown>;
            const at = { position: bench.machine.position, groupMs: bench.groupMs };
            assert.equal(result['revision'], at.position);
            if (each.do === 'put') {
              naive.put(each.key, each.value, { ...at, ...(each.ttlMs !== null && { ttlMs: each.ttlMs }) });
            } else if (each.do === 'delete') {
              assert.equal(result['deleted'], held !== undefined);
              naive.delete(each.key);
            } else {
              const isMet = (held?.value ?? null) === each.expected;
              assert.equal(result['swapped'], isMet);
              assert.equal(result['current'], isMet ? each.value : (held?.value ?? null));
              if (isMet && each.value !== null) naive.put(each.key, each.value, at);
              if (isMet && each.value === null) naive.delete(each.key);
            }
          }
          bench.apply(kv('delete', { key: 'nobody' }));
          compare(bench, naive);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('pages through a scan with its cursor, each key once', () => {
    const bench = new Bench([kvModule]);
    const keys = Array.from({ length: 25 }, (_, at) => `p/${String(at).padStart(2, '0')}`);
    for (const each of ['o', ...keys, 'q']) bench.apply(kv('put', { key: each, value: each }));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = bench.query('kv', 'scan', { prefix: 'p/', limit: 10, ...(cursor && { cursor }) }) as {
        entries: { key: string }[];
        cursor?: string;
      };
      seen.push(...page.entries.map((entry) => entry.key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    assert.deepEqual(seen, keys);
  });

  it('removes expired keys for good and leaves no index behind', async () => {
    const bench = new Bench([kvModule]);
    bench.apply(kv('put', { key: 'a', value: 'x', ttlMs: 10 }));
    bench.apply(kv('put', { key: 'b', value: 'x' }));
    assert.equal(bench.query('kv', 'nextExpiry'), 10);
    bench.groupMs = 10;
    assert.deepEqual(resultOf(bench.apply(kv('expire'))), { expired: 1 });
    assert.equal(bench.query('kv', 'nextExpiry'), null);
    await bench.restart();
    assert.deepEqual(keysOfTables(bench, ['pairs', 'expiry', 'leased', 'leases']), ['t0/kv/pairs/b']);
  });

  const refusals: readonly (readonly [string, string, unknown, string, RegExp])[] = [
    ['an empty key', 'put', { key: '', value: '' }, 'INVALID_PARAMS', /key/],
    ['a long key', 'put', { key: 'ä'.repeat(600), value: '' }, 'INVALID_PARAMS', /1200 bytes.*1024/],
    ['a long value', 'put', { key: 'a', value: 'x'.repeat(2 ** 20 + 1) }, 'RESOURCE_EXHAUSTED', /1048576/],
    ['a value that is no string', 'put', { key: 'a', value: 1 }, 'INVALID_PARAMS', /value/],
    ['a ttl that is no duration', 'put', { key: 'a', value: '', ttlMs: 0 }, 'INVALID_PARAMS', /ttlMs/],
    ['a cas without expectation', 'cas', { key: 'a', value: '' }, 'INVALID_PARAMS', /expected/],
    ['no object', 'delete', 7, 'INVALID_PARAMS', /object/],
  ];
  for (const [what, kind, body, code, message] of refusals) {
    it(`refuses ${what}, naming it`, () => {
      const outcome = new Bench([kvModule]).apply(kv(kind, body));
      assert.equal(codeOf(outcome), code);
      assert.match(outcome.ok ? '' : outcome.error.message, message);
    });
  }
});

function keysOfTables({ store }: Bench, tables: readonly string[]): string[] {
  return tables.flatMap((table) => {
    const range = store.range({ from: `t0/kv/${table}/`, to: `t0/kv/${table}0` });
    return Array.from(range, ([storedKey]) => storedKey);
  });
}

function compare(bench: Bench, naive: NaiveKv): void {
  for (const each of ['a', 'ab', 'abc', 'b', 'ä', 'ä/1', '文']) {
    const held = naive.get(each, bench.groupMs);
    const { expiresAtMs: _, ...expected } = held ?? { expiresAtMs: 0 };
    assert.deepEqual(bench.query('kv', 'get', { key: each }), held === undefined ? null : expected);
  }
  const { entries } = bench.query('kv', 'scan', { prefix: 'a' }) as { entries: { key: string }[] };
  assert.deepEqual(
    entries.map((entry) => entry.key),
    naive.scan('a', bench.groupMs),
  );
}
