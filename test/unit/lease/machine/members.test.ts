import assert from 'node:assert/strict';
import { SeededRandom } from '../../../../src/base/index.ts';
import { OsCrypto } from '../../../../src/base/os-crypto.ts';
import { membersModule } from '../../../../src/lease/machine/index.ts';
import { createIdentity } from '../../../../src/mesh/index.ts';
import { Bench, codeOf, resultOf } from './support.ts';

const crypto = new OsCrypto();
const random = new SeededRandom(3);
const [founder, one, two] = [1, 2, 3].map(
  () => createIdentity(crypto, random.bytes(32)).peerId,
) as unknown as [string, string, string];
const key = random.bytes(32);
const secretHash = random.bytes(32);
const certificate = random.bytes(200);

const members = (kind: string, body: unknown = null) => ({ module: 'members', kind, body });
const found = (meshId = 'mesh-1') =>
  members('found', {
    meshId,
    rootPublicKey: key,
    founder: { peerId: founder, sealingKey: key, certificate },
    custody: random.bytes(60),
    version: 1,
  });
const ticket = (overrides: object = {}) =>
  members('createTicket', {
    id: 'tkt_1',
    role: 'voter',
    secretHash,
    expiresAtMs: 2_000_000,
    uses: 1,
    ...overrides,
  });
const admit = (peerId: string, overrides: object = {}) =>
  members('admit', { ticketId: 'tkt_1', secretHash, peerId, sealingKey: key, certificate, ...overrides });

function founded(): Bench {
  const bench = new Bench([membersModule]);
  resultOf(bench.apply(found()));
  return bench;
}

function list(bench: Bench): { peerId: string; revokedAtMs: number | null }[] {
  return (bench.query('members', 'list') as { members: { peerId: string; revokedAtMs: number | null }[] })
    .members;
}

describe('members', () => {
  it('are founded once; another mesh cannot take the group over', () => {
    const bench = founded();
    assert.deepEqual(resultOf(bench.apply(found())), { meshId: 'mesh-1' });
    assert.equal(codeOf(bench.apply(found('mesh-2'))), 'CONFLICT');
    assert.equal(list(bench).length, 1);
  });

  const refusals: readonly {
    readonly why: string;
    readonly prepare?: (bench: Bench) => void;
    readonly ask?: object;
    readonly message: RegExp;
    readonly reason: string;
  }[] = [
    {
      why: 'an unknown ticket',
      ask: { ticketId: 'tkt_9' },
      message: /tkt_9.*does not know/,
      reason: 'unknown',
    },
    { why: 'a wrong secret', ask: { secretHash: key }, message: /tkt_1.*secret/, reason: 'wrong-secret' },
    {
      why: 'a revoked ticket',
      prepare: (bench) => void bench.apply(members('revokeTicket', { id: 'tkt_1' })),
      message: /tkt_1.*revoked/,
      reason: 'revoked',
    },
    {
      why: 'an expired ticket',
      prepare: (bench) => {
        bench.wallMs = 2_000_001;
      },
      message: /tkt_1.*expired/,
      reason: 'expired',
    },
    {
      why: 'a used-up ticket',
      prepare: (bench) => void bench.apply(admit(two)),
      message: /tkt_1.*used up, 1 of 1/,
      reason: 'used-up',
    },
  ];
  for (const { why, prepare, ask, message, reason } of refusals) {
    it(`are not admitted by ${why}, and nothing changes`, () => {
      const bench = founded();
      bench.apply(ticket());
      prepare?.(bench);
      const before = list(bench);
      const outcome = bench.apply(admit(one, ask));
      assert.equal(codeOf(outcome), 'DENIED');
      assert.ok(!outcome.ok);
      assert.match(outcome.error.message, message);
      assert.equal(outcome.error.details['reason'], reason);
      assert.equal(outcome.error.outcome, 'not-applied');
      assert.deepEqual(list(bench), before);
    });
  }

  it('get the same certificate again, even after the ticket expired, and use it up once', () => {
    const bench = founded();
    bench.apply(ticket({ uses: 2 }));
    const first = resultOf(bench.apply(admit(one)));
    bench.wallMs = 3_000_000;
    assert.deepEqual(resultOf(bench.apply(admit(one, { certificate: random.bytes(9) }))), first);
    const { tickets } = bench.query('members', 'tickets') as { tickets: { redeemedBy: string[] }[] };
    assert.deepEqual(tickets[0]?.redeemedBy, [one]);
  });

  it('that were revoked never come back under their name, and lose the root key', () => {
    const bench = founded();
    bench.apply(ticket());
    bench.apply(admit(one));
    resultOf(bench.apply(members('custody', { sealed: [{ peerId: one, box: key }] })));
    resultOf(bench.apply(members('revokeMember', { peerId: one, revocation: key })));
    bench.apply(ticket({ id: 'tkt_2' }));
    assert.equal(codeOf(bench.apply(admit(one, { ticketId: 'tkt_2' }))), 'DENIED');
    assert.equal(codeOf(bench.apply(members('custody', { sealed: [{ peerId: one, box: key }] }))), 'DENIED');
    assert.equal(bench.machine.read('members').table('custody').get(one), undefined);
  });

  it('keep the root key only when they may vote', () => {
    const bench = founded();
    bench.apply(ticket({ role: 'worker' }));
    bench.apply(admit(one));
    assert.equal(codeOf(bench.apply(members('custody', { sealed: [{ peerId: one, box: key }] }))), 'DENIED');
    assert.equal(codeOf(bench.apply(members('custody', { sealed: [{ peerId: two, box: key }] }))), 'DENIED');
  });

  it('the last one that may vote neither leaves nor is revoked', () => {
    const bench = founded();
    assert.equal(codeOf(bench.apply(members('leave', { peerId: founder }))), 'CONFLICT');
    assert.equal(
      codeOf(bench.apply(members('revokeMember', { peerId: founder, revocation: key }))),
      'CONFLICT',
    );
    bench.apply(ticket());
    bench.apply(admit(one));
    assert.equal(codeOf(bench.apply(members('leave', { peerId: founder }))), 'ok');
    assert.deepEqual(
      list(bench).map(({ peerId }) => peerId),
      [one],
    );
  });
});
