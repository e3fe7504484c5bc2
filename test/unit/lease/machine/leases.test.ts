import assert from 'node:assert/strict';
import fc from 'fast-check';
import { leasesModule } from '../../../../src/lease/machine/index.ts';
import { NaiveClaims } from './naive-claims.ts';
import { Bench, codeOf, resultOf } from './support.ts';

const leases = (kind: string, body: unknown = null) => ({ module: 'leases', kind, body });
const idOf = (number: number) => `lse_${String(number).padStart(26, '0')}`;

interface ClaimView {
  readonly leaseId: string;
  readonly fencingToken: number | null;
}

interface ResourceView {
  readonly used: number;
  readonly holders: readonly ClaimView[];
  readonly waiters: readonly ClaimView[];
}

const SHAPES = [
  { kind: 'lock', capacity: 1, units: 1 },
  { kind: 'election', capacity: 1, units: 1 },
  { kind: 'semaphore', capacity: 3, units: 1 },
  { kind: 'semaphore', capacity: 3, units: 2 },
  { kind: 'semaphore', capacity: 4, units: 4 },
  { kind: 'rwlock', capacity: 5, units: 1 },
  { kind: 'rwlock', capacity: 5, units: 5 },
  { kind: 'barrier', capacity: 3, units: 1 },
] as const;

/** Mostly one name of one kind, so that claims meet. */
const GROUPS = [
  SHAPES.filter(({ kind }) => kind === 'lock' || kind === 'election'),
  SHAPES.filter(({ kind, capacity }) => kind === 'semaphore' && capacity === 3),
  SHAPES.filter(({ kind }) => kind === 'semaphore' || kind === 'rwlock'),
  SHAPES.filter(({ kind }) => kind === 'rwlock'),
  SHAPES.filter(({ kind }) => kind === 'barrier'),
];
const leaseNumber = fc.integer({ min: 0, max: 7 });

const stepOf = (shapes: readonly (typeof SHAPES)[number][]) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('claim' as const),
        shape: fc.constantFrom(...shapes),
        name: fc.constantFrom('a', 'a', 'a', 'a/b'),
        lease: leaseNumber,
        ttlMs: fc.integer({ min: 100, max: 20_000 }),
        waits: fc.constantFrom(true, true, true, false),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('renew' as const), lease: leaseNumber }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), lease: leaseNumber }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), lease: leaseNumber }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), lease: leaseNumber }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), lease: leaseNumber }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('wait' as const), forMs: fc.integer({ min: 1, max: 9_000 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
  );
const story = fc
  .constantFrom(...GROUPS)
  .chain((shapes) => fc.array(stepOf(shapes), { maxLength: 40, size: 'max' }));
type Step = typeof story extends fc.Arbitrary<(infer T)[]> ? T : never;

/** The module and its slow twin, moved together. */
class Twins {
  readonly bench = new Bench([leasesModule]);
  readonly naive = new NaiveClaims();
  readonly #lastTokens = new Map<string, number>();

  take(each: Step): void {
    const { bench, naive } = this;
    const at = { position: bench.machine.position + 1, groupMs: bench.groupMs };
    if (each.do === 'wait') {
      bench.groupMs += each.forMs;
      return;
    }
    if (each.do === 'expire') {
      bench.apply(leases('expire'));
      naive.expire(at);
      return;
    }
    const leaseId = idOf(each.lease);
    if (each.do === 'claim') this.#claim(each, leaseId, at);
    else if (each.do === 'drop') {
      bench.apply(leases('drop', { leaseIds: [leaseId] }));
      if (naive.held(leaseId) === undefined) naive.end(leaseId, at);
    } else if (each.do === 'leave') {
      bench.apply(leases('leave', { leaseId }));
      naive.end(leaseId, at);
    } else this.#asHolder(each.do, leaseId, at);
  }

  #claim(
    each: Extract<Step, { do: 'claim' }>,
    leaseId: string,
    at: { position: number; groupMs: number },
  ): void {
    const { name, ttlMs, waits } = each;
    const wish = { ...each.shape, leaseId, name, ttlMs, waits };
    const outcome = this.bench.apply(leases('claim', { ...wish, value: null, owner: 'me' }));
    const expected = this.naive.claim(wish, at);
    if (!outcome.ok) assert.equal(outcome.error.code, expected);
    else assert.equal((outcome.result as ClaimView).fencingToken === null ? 'waiting' : 'held', expected);
  }

  #asHolder(
    kind: 'renew' | 'release' | 'revoke',
    leaseId: string,
    at: { position: number; groupMs: number },
  ): void {
    const held = this.naive.held(leaseId);
    const [claimKind = 'lock', ...rest] = (held?.resource ?? 'lock/a').split('/');
    const body = kind === 'revoke' ? { leaseId } : { leaseId, kind: claimKind, name: rest.join('/') };
    const code = codeOf(this.bench.apply(leases(kind, body)));
    assert.equal(code, held !== undefined ? 'ok' : kind === 'revoke' ? 'NOT_FOUND' : 'FENCED');
    if (held === undefined) return;
    if (kind === 'renew') this.naive.renew(leaseId, at.groupMs);
    else this.naive.end(leaseId, at);
  }

  compare(): void {
    for (const { kind } of SHAPES) for (const name of ['a', 'a/b']) this.#compareOne(kind, name);
    const deadlines = this.naive.claims
      .filter(({ token }) => token !== null)
      .map(({ deadlineMs }) => deadlineMs);
    const next = this.bench.query('leases', 'nextDeadline');
    assert.equal(next, deadlines.length === 0 ? null : Math.min(...deadlines));
  }

  #compareOne(kind: string, name: string): void {
    const view = this.bench.query('leases', 'resource', { kind, name }) as ResourceView | null;
    const claims = this.naive.of(`${kind}/${name}`);
    if (claims.length === 0) {
      assert.equal(view, null);
      return;
    }
    assert.ok(view !== null);
    const isHeld = ({ token }: { token: number | null }) => token !== null;
    const [held, waiting] = [claims.filter(isHeld), claims.filter((claim) => !isHeld(claim))];
    assert.deepEqual(
      view.holders.map(({ leaseId, fencingToken }) => [leaseId, fencingToken]),
      held.map(({ leaseId, token }) => [leaseId, token]),
    );
    assert.deepEqual(
      view.waiters.map(({ leaseId }) => leaseId),
      waiting.map(({ leaseId }) => leaseId),
    );
    this.#checkLaws(`${kind}/${name}`, view);
  }

  /** K1, K5 */
  #checkLaws(resource: string, view: ResourceView): void {
    const capacity = { lock: 1, election: 1, semaphore: 4, rwlock: 5, barrier: 3 }[
      resource.split('/')[0] ?? ''
    ];
    assert.ok(view.used <= (capacity ?? 0), `${resource} is overfull`);
    const newest = Math.max(0, ...view.holders.map(({ fencingToken }) => fencingToken ?? 0));
    assert.ok(newest >= (this.#lastTokens.get(resource) ?? 0) || view.holders.length > 0);
    if (/^(lock|election)/.test(resource) && newest > 0) {
      assert.ok(newest >= (this.#lastTokens.get(resource) ?? 0), `${resource}: a token went back`);
      this.#lastTokens.set(resource, newest);
    }
  }
}

describe('leases and claims', () => {
  it('do what a plain list of claims does', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const twins = new Twins();
        for (const each of steps) {
          twins.take(each);
          twins.compare();
        }
      }),
      { numRuns: 300 },
    );
  });

  it('leave nothing behind when all of them have ended', async () => {
    fc.assert(
      fc.property(story, (steps) => {
        const twins = new Twins();
        for (const each of steps) twins.take(each);
        const { bench } = twins;
        for (let lease = 0; lease < 8; lease += 1) bench.apply(leases('leave', { leaseId: idOf(lease) }));
        const left = [...bench.machine.read('leases').table('counts').range({})];
        const none = { leases: 0, names: 0, endpoints: 0 };
        assert.deepEqual(left.length === 0 ? none : left[0]?.[1], none);
        for (const table of ['leases', 'expiry', 'resources', 'claims', 'held', 'queue']) {
          assert.deepEqual([...bench.machine.read('leases').table(table).range({})], [], table);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('end by a command only: a lease past its deadline can be prolonged until expire was applied', () => {
    const bench = new Bench([leasesModule]);
    resultOf(bench.apply(leases('grant', { leaseId: idOf(1), ttlMs: 1_000, owner: 'me' })));
    bench.groupMs = 1_500;
    assert.deepEqual(resultOf(bench.apply(leases('keepAlive', { leaseId: idOf(1) }))), {
      leaseId: idOf(1),
      ttlMs: 1_000,
    });
    bench.groupMs = 2_499;
    assert.deepEqual(resultOf(bench.apply(leases('expire'))), { expired: 0 });
    bench.groupMs = 2_500;
    assert.deepEqual(resultOf(bench.apply(leases('expire'))), { expired: 1 });
    assert.equal(codeOf(bench.apply(leases('keepAlive', { leaseId: idOf(1) }))), 'NOT_FOUND');
  });

  it('give a claim that was let in while it waited time to be taken up, and its own time from the first renewal', () => {
    const bench = new Bench([leasesModule]);
    for (const lease of [1, 2]) resultOf(bench.apply(claim(lease, { ttlMs: 500 })));
    resultOf(bench.apply(leases('release', { leaseId: idOf(1), kind: 'lock', name: 'a' })));
    bench.groupMs = 9_999;
    assert.deepEqual(resultOf(bench.apply(leases('expire'))), { expired: 0 });
    resultOf(bench.apply(leases('renew', { leaseId: idOf(2), kind: 'lock', name: 'a' })));
    assert.equal(bench.query('leases', 'nextDeadline'), 10_499);
  });

  it('keep one of those who proclaim themselves leader, with the value it said last', () => {
    const bench = new Bench([leasesModule]);
    resultOf(bench.apply(claim(1, { kind: 'election', value: 'first' })));
    resultOf(bench.apply(claim(2, { kind: 'election', value: 'second' })));
    const proclaim = (lease: number, value: string) =>
      bench.apply(leases('proclaim', { name: 'a', leaseId: idOf(lease), value }));
    resultOf(proclaim(1, 'first again'));
    assert.equal(codeOf(proclaim(2, 'not yet')), 'FENCED');
    const view = bench.query('leases', 'resource', { kind: 'election', name: 'a' }) as {
      holders: { value: string }[];
    };
    assert.deepEqual(
      view.holders.map(({ value }) => value),
      ['first again'],
    );
  });

  it('page through names, each once', () => {
    const bench = new Bench([leasesModule]);
    for (let at = 0; at < 25; at += 1) resultOf(bench.apply(claim(at, { name: `p/${at}` })));
    for (const name of ['o', 'q']) resultOf(bench.apply(claim(name === 'o' ? 90 : 91, { name })));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const body = { kind: 'lock', prefix: 'p/', limit: 10, ...(cursor !== undefined && { cursor }) };
      const page = bench.query('leases', 'resources', body) as {
        items: { name: string }[];
        cursor?: string;
      };
      seen.push(...page.items.map(({ name }) => name));
      cursor = page.cursor;
    } while (cursor !== undefined);
    assert.equal(new Set(seen).size, 25);
    assert.equal(seen.length, 25);
  });

  const refusals: readonly (readonly [string, object, string, RegExp])[] = [
    ['an empty name', { name: '' }, 'INVALID_PARAMS', /name.*empty/],
    ['a long name', { name: 'ä'.repeat(600) }, 'INVALID_PARAMS', /name.*1200 bytes.*1024/],
    ['a life too short', { ttlMs: 1 }, 'INVALID_PARAMS', /ttlMs/],
    ['a life too long', { ttlMs: 8 * 24 * 3_600_000 }, 'INVALID_PARAMS', /ttlMs/],
    ['an id of its own making', { leaseId: 'mine' }, 'INVALID_PARAMS', /leaseId.*lse_/],
    ['more units than there are', { capacity: 2, units: 3, kind: 'semaphore' }, 'INVALID_PARAMS', /units/],
    ['an endless barrier', { capacity: 1_001, kind: 'barrier' }, 'INVALID_PARAMS', /capacity.*1000/],
    ['a long value', { value: 'x'.repeat(4_097), kind: 'election' }, 'INVALID_PARAMS', /value.*4096/],
  ];
  for (const [what, overrides, code, message] of refusals) {
    it(`refuse ${what}, naming it`, () => {
      const outcome = new Bench([leasesModule]).apply(claim(1, overrides));
      assert.equal(codeOf(outcome), code);
      assert.match(outcome.ok ? '' : outcome.error.message, message);
    });
  }

  it('refuse the thousand-and-first who waits, and still tell who only tries that it is taken', () => {
    const bench = new Bench([leasesModule]);
    for (let lease = 0; lease <= 1_000; lease += 1) resultOf(bench.apply(claim(lease)));
    const refused = bench.apply(claim(2_000));
    assert.equal(codeOf(refused), 'RESOURCE_EXHAUSTED');
    assert.match(refused.ok ? '' : refused.error.message, /1000 wait for lock "a"/);
    assert.equal(codeOf(bench.apply(claim(2_001, { waits: false }))), 'CONFLICT');
  });

  it('list where a service can be had exactly while the lease of each endpoint lives', () => {
    const bench = new Bench([leasesModule]);
    const register = (lease: number, overrides: object = {}) => {
      const body = { name: 's', leaseId: idOf(lease), address: `at ${lease}`, labels: {}, ttlMs: 1_000 };
      return bench.apply(leases('register', { ...body, owner: 'me', ...overrides }));
    };
    const addresses = (name = 's') =>
      (
        bench.query('leases', 'service', { name }) as { endpoints: { address: string }[] } | null
      )?.endpoints.map(({ address }) => address);
    for (const lease of [1, 2]) resultOf(register(lease));
    resultOf(bench.apply(leases('grant', { leaseId: idOf(3), ttlMs: 5_000, owner: 'me' })));
    for (const name of ['s', 's/2']) resultOf(register(3, { name, ttlMs: null }));
    resultOf(register(3, { ttlMs: null, address: 'moved' }));
    assert.deepEqual(addresses(), ['at 1', 'at 2', 'moved']);
    assert.equal(codeOf(register(1)), 'CONFLICT');
    assert.equal(codeOf(register(9, { ttlMs: null })), 'NOT_FOUND');
    const deregister = (lease: number) =>
      bench.apply(leases('deregister', { name: 's', leaseId: idOf(lease) }));
    resultOf(deregister(1));
    assert.equal(codeOf(deregister(1)), 'FENCED');
    assert.equal(codeOf(bench.apply(leases('keepAlive', { leaseId: idOf(1) }))), 'NOT_FOUND');
    bench.groupMs = 1_000;
    resultOf(bench.apply(leases('expire')));
    assert.deepEqual(addresses(), ['moved']);
    resultOf(deregister(3));
    assert.equal(addresses(), undefined);
    assert.deepEqual(addresses('s/2'), ['at 3']);
    resultOf(bench.apply(leases('revoke', { leaseId: idOf(3) })));
    for (const table of ['leases', 'expiry', 'endpoints', 'endpoints-of', 'services']) {
      assert.deepEqual([...bench.machine.read('leases').table(table).range({})], [], table);
    }
  });

  it('lets nobody but the leader drop and expire', () => {
    assert.equal(leasesModule.commands['drop']?.isLeadersOnly, true);
    assert.equal(leasesModule.commands['expire']?.isLeadersOnly, true);
  });
});

function claim(lease: number, overrides: object = {}) {
  const wish = { kind: 'lock', name: 'a', capacity: 1, units: 1, ttlMs: 1_000, value: null, waits: true };
  return leases('claim', { ...wish, leaseId: idOf(lease), owner: 'me', ...overrides });
}
