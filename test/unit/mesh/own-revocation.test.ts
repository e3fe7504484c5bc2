import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import {
  decodeAdmissionAnswer,
  encodeAdmissionAnswer,
  encodeAdmissionRequest,
} from '../../../src/mesh/admission-messages.ts';
import {
  encodeRevocation,
  type Identity,
  type Mesh,
  RevokedError,
  type RootBookOptions,
  signRevocation,
} from '../../../src/mesh/index.ts';
import { contactOf, Village } from './nodes.ts';
import { entryOf, listOf, rootSeeds, successionOf } from './succession-support.ts';
import {
  certificateFor,
  crypto,
  failureOf,
  gateWith,
  identityOf,
  meshId,
  otherRootSeed,
  peerIdsOf,
  rootSeed,
  ticketFor,
} from './support.ts';

const [ada, bob, eve, dan] = [1, 2, 3, 4].map(identityOf) as unknown as [
  Identity,
  Identity,
  Identity,
  Identity,
];
const AT_MS = Date.UTC(2026, 4, 1);
const revocationOf = ({ peerId }: Identity, seed: Uint8Array = rootSeed) =>
  encodeRevocation(signRevocation({ crypto, rootSeed: seed, meshId }, { peerId, issuedAtMs: AT_MS }));

const succession = successionOf({ stay: [ada, bob, dan], out: [eve], voters: peerIdsOf([ada, bob]) });
const before: RootBookOptions = { witnesses: peerIdsOf([ada, bob, eve]) };
const after: RootBookOptions = {
  entries: [entryOf(succession, [ada, bob])],
  witnesses: peerIdsOf([ada, bob]),
};

const hasList = ({ gate: { roots } }: Mesh) => roots.number === 1 && !roots.lacksList;

describe('a node that was revoked', () => {
  let village: Village;
  beforeEach(() => {
    village = new Village();
  });
  afterEach(() => village[Symbol.asyncDispose]());

  /** Who answers everybody alike. */
  const liar = async (identity: Identity, revocation: Uint8Array) => {
    const node = await village.node(identity);
    node.admission[Symbol.dispose]();
    node.transport.admission.answer(async () => encodeAdmissionAnswer({ type: 'revoked', revocation }));
    return node;
  };
  const introduced = (from: Mesh, to: Mesh) =>
    village.settled(failureOf(from.admission.introduce(contactOf(to))));

  it('A6 hears it from the first member it meets, with the date, and says so', async () => {
    const member = await village.node(bob);
    const away = await village.node(dan, { contacts: [contactOf(member)] });
    member.gate.revoke(revocationOf(dan));
    assert.equal(away.admission.own.current, undefined);
    away.connector.consider({ ...contactOf(member), source: 'ticket' });
    await village.until(() => away.admission.own.current !== undefined, 'it knows');
    assert.deepEqual(away.admission.own.current, { atMs: AT_MS });
    assert.throws(
      () => away.admission.own.throwIfRevoked(),
      (error) =>
        error instanceof RevokedError &&
        error.code === 'DENIED' &&
        /was revoked from mesh .+ \(2026-05-01T.+empty data directory with a new ticket/.test(error.message),
    );
    assert.deepEqual([away.transport.links(), member.transport.links()], [[], []]);
  });

  it('A6 hears it, too, when its link ends because of it', async () => {
    const member = await village.node(bob);
    const live = await village.node(dan, { contacts: [contactOf(member)] });
    await village.until(() => live.transport.isLinked(bob.peerId), 'they are linked');
    member.gate.revoke(revocationOf(dan));
    await village.until(() => live.admission.own.current !== undefined, 'it knows', 15_000);
  });

  it('A6 believes no peer that shows the revocation of another, of another mesh, or a forged one', async () => {
    const forged = { ...signRevocation({ crypto, rootSeed }, { peerId: dan.peerId, issuedAtMs: 1 }) };
    const shown = [
      revocationOf(eve),
      encodeRevocation(
        signRevocation({ crypto, rootSeed: otherRootSeed }, { peerId: dan.peerId, issuedAtMs: 1 }),
      ),
      revocationOf(dan, otherRootSeed),
      encodeRevocation({ ...forged, issuedAtMs: 2 }),
      new Uint8Array(40),
    ];
    for (const [at, revocation] of shown.entries()) {
      const peer = await liar(identityOf(20 + at), revocation);
      const node = await village.node(dan);
      const error = await introduced(node, peer);
      assert.ok(error instanceof AspenError && !(error instanceof RevokedError), `${at}: ${error}`);
      assert.equal(node.admission.own.current, undefined, `${at}`);
      await village.stop(node);
    }
  });

  it('A6 does not believe an error that only says so', async () => {
    const peer = await village.node(bob);
    peer.admission[Symbol.dispose]();
    const error = new AspenError('DENIED', 'you were revoked', { details: { reason: 'revoked' } });
    peer.transport.admission.answer(async () => encodeAdmissionAnswer({ type: 'refused', error }));
    const node = await village.node(dan);
    assert.ok(!((await introduced(node, peer)) instanceof RevokedError));
    assert.equal(node.admission.own.current, undefined);
  });

  it('A6 is shown nothing else, whatever it says: its ticket is not redeemed, its root keys are not learnt', async () => {
    let redeemed = 0;
    const member = await village.node(bob, {
      roots: before,
      redeem: async () => {
        redeemed += 1;
        return certificateFor(dan);
      },
    });
    member.gate.revoke(revocationOf(dan));
    const revoked = await village.node(dan);
    const { ticket } = ticketFor([]);
    const { entries = [] } = after;
    const requests = [
      { type: 'hello', meshId },
      { type: 'certificate', meshId, certificate: certificateFor(dan, { issuedAtMs: 9_000_000 }) },
      { type: 'ticket', meshId, ticketId: ticket.id, secret: ticket.secret, sealingKey: dan.sealingKey },
      { type: 'roots', meshId, from: 1, entries: entries as Uint8Array[] },
    ] as const;
    const { peerId, addresses } = contactOf(member);
    const types: string[] = [];
    for (const request of requests) {
      const asked = revoked.transport.admission.ask(peerId, addresses, encodeAdmissionRequest(request));
      types.push(decodeAdmissionAnswer(await village.settled(asked)).type);
    }
    assert.deepEqual(types, ['revoked', 'revoked', 'revoked', 'roots']);
    assert.deepEqual([redeemed, member.gate.roots.number], [0, 0]);
    assert.equal(member.gate.standingOf(dan.peerId), 'refused');
  });

  it('A4 is heard as often as a stranger', async () => {
    const member = await village.node(bob);
    member.gate.revoke(revocationOf(dan));
    const pest = await village.node(dan);
    const codes: string[] = [];
    for (let count = 0; count < 21; count += 1)
      codes.push(((await introduced(pest, member)) as AspenError).code);
    assert.deepEqual([codes[19], codes[20]], ['DENIED', 'RESOURCE_EXHAUSTED']);
  });

  it('A6 tries the members ever more rarely, though it is alone', async () => {
    const member = await village.node(bob);
    member.gate.revoke(revocationOf(dan));
    const away = await village.node(dan, { contacts: [contactOf(member)] });
    const asked: number[] = [];
    const { admission } = away.transport;
    const ask = admission.ask.bind(admission);
    admission.ask = async (...args) => {
      asked.push(village.clock.monotonicMs());
      return await ask(...args);
    };
    await village.clock.advance(600_000);
    const late = asked.filter((atMs) => atMs > village.clock.monotonicMs() - 300_000);
    assert.ok(late.length >= 2 && late.length <= 12, `${late.length} in the last five minutes`);
  });

  it('A6 learns of the root key under which it was revoked, where that is a later one', async () => {
    const member = await village.node(bob, { roots: after, list: listOf([ada, bob, dan]) });
    const voter = await village.node(eve, { roots: before });
    await introduced(voter, member);
    assert.deepEqual(voter.admission.own.current, { atMs: undefined });

    member.gate.revoke(revocationOf(dan, rootSeeds[1]));
    const worker = await village.node(dan, { roots: before });
    assert.ok((await introduced(worker, member)) instanceof RevokedError);
    assert.deepEqual(worker.admission.own.current, { atMs: AT_MS });
    assert.equal(worker.gate.roots.number, 1);
  });

  it('V2 says so no longer once it has heard of a later root key that keeps it: a thief of the one before signed it', async () => {
    const thief = await liar(eve, revocationOf(dan));
    const kept = await village.node(dan, { roots: before });
    assert.ok((await introduced(kept, thief)) instanceof RevokedError);
    const honest = await village.node(bob, { roots: after, list: listOf([ada, bob, dan]) });
    kept.connector.consider({ ...contactOf(honest), source: 'ticket' });
    await village.until(() => hasList(kept), 'it has the list', 180_000);
    assert.equal(kept.admission.own.current, undefined);
    assert.ok(!((await introduced(kept, thief)) instanceof RevokedError));
    assert.equal(kept.admission.own.current, undefined);
  });

  it('V2 does so, too, when it was agreed and on its disk', async () => {
    const kept = await village.node(dan, { roots: before });
    kept.gate.revoke(revocationOf(dan));
    assert.deepEqual(kept.admission.own.current, { atMs: AT_MS });
    const honest = await village.node(bob, { roots: after, list: listOf([ada, bob, dan]) });
    kept.connector.consider({ ...contactOf(honest), source: 'ticket' });
    await village.until(() => hasList(kept), 'it has the list', 180_000);
    assert.equal(kept.admission.own.current, undefined);
  });

  it('that comes with a new ticket and its old key is told why, by whichever member is asked', async () => {
    const member = await village.node(bob);
    member.gate.revoke(revocationOf(dan));
    const joiner = await village.node(dan, { isMember: false });
    const gone = { peerId: ada.peerId, addresses: ['/memory/gone'] };
    const { ticket } = ticketFor([contactOf(member), gone]);
    const error = await village.settled(
      failureOf(joiner.admission.join(ticket, { sealingKey: dan.sealingKey })),
    );
    assert.ok(error instanceof RevokedError, String(error));
  });

  it('G2 starts, refused by its own gate', () => {
    const gate = gateWith(ada);
    const revocation = revocationOf(dan);
    gate.revoke(revocation);
    gate.recallOwn(certificateFor(dan));
    assert.equal(gate.standingOf(dan.peerId), 'refused');
    assert.equal(gate.certificateOf(dan.peerId), undefined);
  });
});
