import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, encode } from '../../../../src/base/index.ts';
import {
  encodeBatch,
  kvModule,
  type MachineModule,
  NotUnderstood,
} from '../../../../src/lease/machine/index.ts';
import { Bench, codeOf, entryOf, resultOf } from './support.ts';

const EPOCH = 2 ** 40;

/** Writes first and refuses then, so that a rollback has something to take back. */
const fickleModule: MachineModule = {
  name: 'fickle',
  tables: ['marks'],
  commands: {
    mark: {
      since: 1,
      parse: (body) => body as { name: string; refuse?: boolean; crash?: boolean },
      apply: ({ name, refuse, crash }, context) => {
        context.table<number>('marks').put(name, context.position);
        context.emit({ type: 'marked', name });
        if (crash) throw new TypeError('a fault in the module');
        if (refuse) throw new AspenError('CONFLICT', `${name} is refused`);
        return context.position;
      },
    },
    later: { since: 2, parse: () => null, apply: () => null },
    byBody: {
      since: ({ isNew }: { isNew: boolean }) => (isNew ? 2 : 1),
      parse: (body) => body as { isNew: boolean },
      apply: (_body, { version }) => version,
    },
  },
  queries: {
    marks: {
      parse: () => null,
      run: (_body, { table }) => Array.from(table<number>('marks').range({}), ([name]) => name),
    },
  },
};

const mark = (name: string, extra: object = {}) => ({
  module: 'fickle',
  kind: 'mark',
  body: { name, ...extra },
});

describe('the machine', () => {
  it('gives each command a position that grows by one, refused ones too', () => {
    const bench = new Bench([fickleModule]);
    assert.equal(resultOf(bench.apply(mark('a'))), EPOCH + 1);
    assert.equal(codeOf(bench.apply(mark('b', { refuse: true }))), 'CONFLICT');
    assert.equal(resultOf(bench.apply(mark('c'))), EPOCH + 3);
  });

  it('undoes every write of a refused command and keeps those around it in the same entry', () => {
    const bench = new Bench([fickleModule]);
    const outcomes = bench.applyAll([mark('a'), mark('b', { refuse: true }), mark('c')]);
    assert.deepEqual(outcomes.map(codeOf), ['ok', 'CONFLICT', 'ok']);
    assert.deepEqual(bench.query('fickle', 'marks'), ['a', 'c']);
  });

  it('tells facts of what was applied and none of what was refused', () => {
    const bench = new Bench([fickleModule]);
    const entry = entryOf(1, [mark('a', { refuse: true }), mark('b')]);
    assert.deepEqual(bench.machine.applyEntry(entry).facts, [
      { module: 'fickle', type: 'marked', name: 'b' },
    ]);
  });

  it('lets a fault in a module through, since nobody knows the state after it', () => {
    const bench = new Bench([fickleModule]);
    assert.throws(() => bench.apply(mark('a', { crash: true })), TypeError);
  });

  it('stops before an entry it does not understand and leaves it unapplied', () => {
    const bench = new Bench([fickleModule]);
    bench.apply(mark('a'));
    const unknown = [
      entryOf(2, [mark('b'), { module: 'nobody', kind: 'mark' }]),
      entryOf(2, [mark('b'), { module: 'fickle', kind: 'constructor' }]),
      entryOf(2, [mark('b')], { version: 99 }),
    ];
    for (const entry of unknown) {
      assert.throws(() => bench.machine.applyEntry(entry), NotUnderstood);
      assert.equal(bench.machine.appliedIndex, 1);
      assert.deepEqual(bench.query('fickle', 'marks'), ['a']);
    }
  });

  it('admits a command of a newer version only when the group has agreed on it', () => {
    const bench = new Bench([fickleModule]);
    const body = new Uint8Array([0xc0]);
    const later = { module: 'fickle', kind: 'later', body, request: null };
    assert.throws(() => bench.machine.admit(later), { code: 'CONFLICT' });
    const saying = (isNew: boolean) => ({ ...later, kind: 'byBody', body: encode({ isNew }) });
    assert.equal(bench.machine.admit(saying(false)), 1, 'the old words of a command are understood');
    assert.throws(() => bench.machine.admit(saying(true)), { code: 'CONFLICT' });
    resultOf(bench.apply({ module: 'machine', kind: 'raise', body: { version: 2 } }));
    assert.equal(bench.machine.admit(later), 2);
    assert.equal(bench.machine.admit(saying(true)), 2);
    assert.throws(() => bench.machine.admit({ module: 'nobody', kind: 'x', body, request: null }), {
      code: 'METHOD_NOT_FOUND',
    });
  });

  it('applies of its own commands what everybody else reads (A6)', () => {
    for (const name of ['plain', 'half a pair \ud83d', 'long '.repeat(300_000)]) {
      const [leader, follower] = [new Bench([fickleModule]), new Bench([fickleModule])];
      const given = { name };
      const body = encode(given);
      leader.machine.admit({ module: 'fickle', kind: 'mark', body, request: null }, given);
      const command = { module: 'fickle', kind: 'mark', body, request: null, requestId: null };
      const batch = { epoch: 1, version: 1, groupMs: 0, wallMs: 0, commands: [command] };
      const entry = { ...entryOf(1, []), payload: encodeBatch(batch) };
      const facts = leader.machine.applyEntry(entry, batch).facts;
      assert.deepEqual(facts, follower.machine.applyEntry(entry).facts);
      assert.equal(leader.machine.hash, follower.machine.hash);
      assert.deepEqual(leader.query('fickle', 'marks'), follower.query('fickle', 'marks'));
    }
  });

  it('reads a command of its own again where that is what limits it', () => {
    const bench = new Bench([fickleModule]);
    const given = { name: JSON.parse('['.repeat(220) + ']'.repeat(220)) };
    const command = { module: 'fickle', kind: 'mark', body: encode(given), request: null };
    assert.throws(() => bench.machine.admit(command, given), { code: 'INVALID_REQUEST' });
  });

  it('applies an entry by the version that stands in it, before and after another was agreed on (A5)', () => {
    const bench = new Bench([fickleModule]);
    const asks = { module: 'fickle', kind: 'byBody', body: { isNew: false } };
    const raise = { module: 'machine', kind: 'raise', body: { version: 2 } };
    const versionOf = (index: number, version: number) =>
      bench.machine.applyEntry(entryOf(index, [raise, asks], { version })).outcomes.map(resultOf)[1];
    assert.deepEqual([versionOf(1, 1), versionOf(2, 2), versionOf(3, 1)], [1, 2, 1]);
  });

  it('stamps what it lets in with the version that is agreed on, so that older software stops before it (A5)', () => {
    const bench = new Bench([fickleModule]);
    const old = { module: 'fickle', kind: 'mark', body: encode({ name: 'a' }), request: null };
    assert.equal(bench.machine.admit(old), 1);
    resultOf(bench.apply({ module: 'machine', kind: 'raise', body: { version: 2 } }));
    assert.equal(bench.machine.admit(old), 2);
  });

  it("lets only the leader itself propose what is the leader's", () => {
    const bench = new Bench([kvModule]);
    const request = { client: 'c', sequence: 1, acknowledgedThrough: 0 };
    const expire = { module: 'kv', kind: 'expire', body: new Uint8Array([0xc0]) };
    assert.throws(() => bench.machine.admit({ ...expire, request }), { code: 'DENIED' });
    assert.equal(bench.machine.admit({ ...expire, request: null }), 1);
  });

  it('moves group time on and never back', () => {
    const bench = new Bench([fickleModule]);
    for (const [groupMs, expected] of [
      [500, 500],
      [400, 500],
      [700, 700],
    ] as const) {
      bench.groupMs = groupMs;
      bench.apply(mark('a'));
      assert.equal(bench.machine.groupMs, expected);
    }
  });

  it('comes back from its store as it was: index, position, hash and group time', async () => {
    const bench = new Bench([fickleModule]);
    bench.groupMs = 77;
    bench.applyAll([mark('a'), mark('b')]);
    const before = told(bench);
    await bench.restart();
    assert.deepEqual(told(bench), before);
  });

  it('refuses a query it does not know', () => {
    const bench = new Bench([fickleModule]);
    assert.throws(() => bench.query('fickle', 'toString'), { code: 'METHOD_NOT_FOUND' });
  });

  it('leads two replicas through the same entries to the same hash, a restart in between or not', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const spec = fc.oneof(
      fc.record({
        module: fc.constant('kv'),
        kind: fc.constant('put'),
        body: fc.record({ key, value: fc.string({ maxLength: 8 }) }),
      }),
      fc.record({ module: fc.constant('kv'), kind: fc.constant('delete'), body: fc.record({ key }) }),
      fc.record({
        module: fc.constant('fickle'),
        kind: fc.constant('mark'),
        body: fc.record({ name: key, refuse: fc.boolean() }),
      }),
      fc.record({
        module: fc.constant('kv'),
        kind: fc.constant('put'),
        body: fc.record({ key, value: fc.string({ maxLength: 8 }) }),
        requestId: key,
      }),
      fc.record({
        module: fc.constant('fickle'),
        kind: fc.constant('mark'),
        body: fc.record({ name: key }),
        request: fc.record({
          client: fc.constantFrom('x', 'y'),
          sequence: fc.integer({ min: 1, max: 9 }),
          acknowledgedThrough: fc.integer({ min: 0, max: 5 }),
        }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(spec, { maxLength: 4 }), { maxLength: 12 }), async (entries) => {
        const [steady, restarted] = [
          new Bench([fickleModule, kvModule]),
          new Bench([fickleModule, kvModule]),
        ];
        for (const specs of entries) {
          assert.deepEqual(steady.applyAll(specs), restarted.applyAll(specs));
          await restarted.restart();
          assert.deepEqual(told(steady), told(restarted));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('shows a different hash once a single write differs', () => {
    const [left, right] = [new Bench([kvModule]), new Bench([kvModule])];
    left.apply({ module: 'kv', kind: 'put', body: { key: 'a', value: '1' } });
    right.apply({ module: 'kv', kind: 'put', body: { key: 'a', value: '2' } });
    assert.notEqual(left.machine.hash, right.machine.hash);
  });
});

function told({ machine }: Bench) {
  const { appliedIndex, position, hash, groupMs } = machine;
  return { appliedIndex, position, hash, groupMs };
}
