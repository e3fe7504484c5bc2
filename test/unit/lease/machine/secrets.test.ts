import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SeededRandom } from '../../../../src/base/index.ts';
import { OsCrypto } from '../../../../src/base/os-crypto.ts';
import { membersModule, type SecretView, secretsModule } from '../../../../src/lease/machine/index.ts';
import { createIdentity } from '../../../../src/mesh/index.ts';
import { Bench, codeOf, resultOf } from './support.ts';

const crypto = new OsCrypto();
const random = new SeededRandom(11);
const NODES = Array.from({ length: 5 }, () => createIdentity(crypto, random.bytes(32)).peerId as string);
const [founder, one, two, observer, stranger] = NODES as [string, string, string, string, string];
const key = random.bytes(32);
const certificate = random.bytes(200);
const hash = random.bytes(32);

const secrets = (kind: string, body: unknown) => ({ module: 'secrets', kind, body });
const members = (kind: string, body: unknown) => ({ module: 'members', kind, body });
const grantOf = (peerId: string) => ({ peerId, sealingKey: key, wrap: new Uint8Array(80).fill(1) });
const idOf = (number: number) => number.toString(16).padStart(32, '0');
const set = (name: string, id: number, nodes: readonly string[], more: object = {}) =>
  secrets('set', { name, id: idOf(id), box: new Uint8Array(100), grants: nodes.map(grantOf), ...more });
const leave = (peerId: string) => members('leave', { peerId });
const revoke = (peerId: string) =>
  members('revokeMember', { peerId, revocation: certificate, rootNumber: 0 });

/** A mesh of a founder, two workers and an observer. */
function founded(): Bench {
  const bench = new Bench([membersModule, secretsModule]);
  const person = { sealingKey: key, certificate };
  const founding = { meshId: 'm', rootPublicKey: key, custody: random.bytes(60), version: 1 };
  resultOf(bench.apply(members('found', { ...founding, founder: { peerId: founder, ...person } })));
  for (const [id, role, peers] of [
    ['tkt_1', 'worker', [one, two]],
    ['tkt_2', 'observer', [observer]],
  ] as const) {
    const ticket = { id, role, secretHash: hash, expiresAtMs: 2_000_000_000_000, uses: 9 };
    resultOf(bench.apply(members('createTicket', ticket)));
    for (const peerId of peers)
      resultOf(
        bench.apply(members('admit', { ticketId: id, secretHash: hash, peerId, ...person, rootNumber: 0 })),
      );
  }
  return bench;
}

function get(bench: Bench, name: string): SecretView | null {
  return bench.query('secrets', 'get', { name }) as SecretView | null;
}

function opens(bench: Bench, name: string, peerId: string): boolean {
  const { openings } = bench.query('secrets', 'open', { names: [name], peerId }) as { openings: unknown[] };
  return openings[0] !== null;
}

describe('secrets of the mesh', () => {
  it('are given out to nodes with a grant, and to no other', () => {
    const bench = founded();
    const view = resultOf(bench.apply(set('db', 1, [one]))) as SecretView;
    assert.deepEqual([view.version, view.grants.map(({ peerId }) => peerId)], [1, [one]]);
    assert.deepEqual(
      [opens(bench, 'db', one), opens(bench, 'db', two), opens(bench, 'no', one)],
      [true, false, false],
    );
    assert.ok(!('wrap' in (view.grants[0] ?? {})) && !('box' in view));
  });

  const refusals: readonly (readonly [string, { module: string; kind: string; body: unknown }, string])[] = [
    ['a grant to an observer', set('x', 1, [observer]), 'DENIED'],
    ['a grant to a stranger', set('x', 1, [stranger]), 'DENIED'],
    ['a secret for nobody', set('x', 1, []), 'INVALID_PARAMS'],
    ['a node twice', set('x', 1, [one, one]), 'INVALID_PARAMS'],
    ['a name that is none', set('../x', 1, [one]), 'INVALID_PARAMS'],
    [
      'a grant of another version',
      secrets('grant', { name: 'db', id: idOf(9), grant: grantOf(two) }),
      'CONFLICT',
    ],
    [
      'a grant of what is unknown',
      secrets('grant', { name: 'x', id: idOf(1), grant: grantOf(two) }),
      'NOT_FOUND',
    ],
    [
      'a later grant to an observer',
      secrets('grant', { name: 'db', id: idOf(1), grant: grantOf(observer) }),
      'DENIED',
    ],
    ['to revoke what was not granted', secrets('revoke', { name: 'db', peerId: two }), 'NOT_FOUND'],
    ['to replace what was replaced meanwhile', set('db', 2, [one], { expectedId: idOf(7) }), 'CONFLICT'],
    ['to make anew what is there', set('db', 2, [one], { expectedId: null }), 'CONFLICT'],
  ];
  for (const [what, command, code] of refusals) {
    it(`refuse ${what}`, () => {
      const bench = founded();
      resultOf(bench.apply(set('db', 1, [one])));
      assert.equal(codeOf(bench.apply(command)), code);
      assert.equal(get(bench, 'db')?.version, 1);
    });
  }

  it('name who may know a value without a grant, until another value is set', () => {
    const bench = founded();
    resultOf(bench.apply(set('db', 1, [one, two])));
    resultOf(bench.apply(secrets('revoke', { name: 'db', peerId: two })));
    assert.deepEqual(get(bench, 'db')?.exposedTo, [two]);
    resultOf(bench.apply(set('db', 2, [one], { isSameValue: true })));
    assert.deepEqual(get(bench, 'db')?.exposedTo, [two], 'another key does not make it unknown');
    resultOf(bench.apply(set('db', 3, [one])));
    assert.deepEqual(get(bench, 'db')?.exposedTo, []);
  });

  it('are taken from a member that is revoked or leaves, with the same command', () => {
    const bench = founded();
    resultOf(bench.apply(set('a', 1, [one, two, founder])));
    resultOf(bench.apply(set('b', 2, [two])));
    resultOf(bench.apply(revoke(one)));
    resultOf(bench.apply(leave(two)));
    assert.deepEqual(
      get(bench, 'a')?.grants.map(({ peerId }) => peerId),
      [founder],
    );
    assert.deepEqual(get(bench, 'a')?.exposedTo, [one, two]);
    assert.deepEqual(get(bench, 'b')?.grants, []);
    assert.equal(codeOf(bench.apply(set('a', 3, [one]))), 'DENIED');
  });

  it('are gone when deleted', () => {
    const bench = founded();
    resultOf(bench.apply(set('db', 1, [one])));
    assert.deepEqual(resultOf(bench.apply(secrets('delete', { name: 'db' }))), { deleted: true });
    assert.deepEqual(resultOf(bench.apply(secrets('delete', { name: 'db' }))), { deleted: false });
    assert.equal(opens(bench, 'db', one), false);
    assert.deepEqual(bench.query('secrets', 'list'), { secrets: [] });
  });

  it('do what a simple twin does', () => {
    const name = fc.constantFrom('a', 'b');
    const node = fc.constantFrom(...NODES);
    const step = fc.oneof(
      fc.record({
        do: fc.constant('set' as const),
        name,
        nodes: fc.uniqueArray(node, { minLength: 1 }),
        same: fc.boolean(),
      }),
      fc.record({ do: fc.constant('grant' as const), name, node }),
      fc.record({ do: fc.constant('revoke' as const), name, node }),
      fc.record({ do: fc.constant('delete' as const), name }),
      fc.record({ do: fc.constant('leave' as const), node: fc.constantFrom(one, two) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const bench = founded();
        const runners = new Set([founder, one, two]);
        const twin = new Map<string, { id: number; granted: Set<string>; exposed: Set<string> }>();
        for (const [at, action] of steps.entries()) {
          const id = at + 1;
          if (action.do === 'leave') {
            resultOf(bench.apply(leave(action.node)));
            runners.delete(action.node);
            for (const secret of twin.values())
              if (secret.granted.delete(action.node)) secret.exposed.add(action.node);
            continue;
          }
          const there = twin.get(action.name);
          if (action.do === 'set') {
            const outcome = bench.apply(set(action.name, id, action.nodes, { isSameValue: action.same }));
            assert.equal(
              outcome.ok,
              action.nodes.every((one) => runners.has(one)),
            );
            if (!outcome.ok) continue;
            const granted = new Set(action.nodes);
            const knew = action.same && there ? [...there.exposed, ...there.granted] : [];
            twin.set(action.name, { id, granted, exposed: new Set(knew.filter((one) => !granted.has(one))) });
          } else if (action.do === 'grant') {
            const body = { name: action.name, id: idOf(there?.id ?? 0), grant: grantOf(action.node) };
            const outcome = bench.apply(secrets('grant', body));
            assert.equal(outcome.ok, there !== undefined && runners.has(action.node));
            if (!outcome.ok || there === undefined) continue;
            there.granted.add(action.node);
            there.exposed.delete(action.node);
          } else if (action.do === 'revoke') {
            const outcome = bench.apply(secrets('revoke', { name: action.name, peerId: action.node }));
            assert.equal(outcome.ok, there?.granted.delete(action.node) ?? false);
            if (outcome.ok) there?.exposed.add(action.node);
          } else {
            resultOf(bench.apply(secrets('delete', { name: action.name })));
            twin.delete(action.name);
          }
        }
        for (const each of ['a', 'b']) {
          const expected = twin.get(each);
          const view = get(bench, each);
          assert.deepEqual([...(view?.exposedTo ?? [])].sort(), [...(expected?.exposed ?? [])].sort());
          for (const peer of NODES)
            assert.equal(opens(bench, each, peer), expected?.granted.has(peer) ?? false);
        }
      }),
      { numRuns: 150 },
    );
  });
});
