import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import {
  decodeTicket,
  encodeTicket,
  type Identity,
  type Mesh,
  type RootBookOptions,
  secretHash,
  signTicket,
  signVouch,
} from '../../../src/mesh/index.ts';
import { contactOf, Village } from './nodes.ts';
import { entryOf, forgedSeed, listOf, rootSeeds, successionOf } from './succession-support.ts';
import { certificateFor, crypto, identityOf, meshId, peerIdsOf, seedOf, ticketFor } from './support.ts';

const [ada, bob, eve, dan, kim] = [1, 2, 3, 4, 5].map(identityOf) as unknown as [
  Identity,
  Identity,
  Identity,
  Identity,
  Identity,
];
const before: RootBookOptions = { witnesses: peerIdsOf([ada, bob, eve]) };
const succession = successionOf({ stay: [ada, bob, dan], out: [eve], voters: peerIdsOf([ada, bob]) });
const entries = [entryOf(succession, [ada, bob])];
const after: RootBookOptions = { entries, witnesses: peerIdsOf([ada, bob]) };
const list = listOf([ada, bob, dan]);
const later = (identity: Identity) => certificateFor(identity, { seed: rootSeeds[1], meshId });

function isLinked(left: Mesh, right: Mesh): boolean {
  return left.transport.isLinked(right.self) && right.transport.isLinked(left.self);
}

describe('root keys between members', () => {
  for (const whoDials of ['who was away', 'the newcomer'] as const) {
    it(`A5 who was away follows to the key of a newcomer that it meets first, when ${whoDials} dials`, async () => {
      await using village = new Village();
      const newcomer = await village.node(kim, {
        address: '/memory/kim',
        roots: after,
        list,
        certificate: later(kim),
      });
      const away = await village.node(dan, { address: '/memory/dan', roots: before });
      if (whoDials === 'who was away') away.connector.consider({ ...contactOf(newcomer), source: 'ticket' });
      else newcomer.connector.consider({ ...contactOf(away), source: 'ticket' });
      await village.until(() => isLinked(away, newcomer), 'they are linked');
      await village.until(() => !away.gate.roots.lacksList, 'the list is there');
      assert.equal(away.gate.roots.number, 1);
      assert.equal(away.gate.standingOf(eve.peerId), 'refused');
    });
  }

  it('R1 a thief that shows a key of its own convinces nobody, and what it signed with the old one ends with the news', async () => {
    await using village = new Village();
    const forged = successionOf({
      stay: [eve, kim, dan],
      out: [ada, bob],
      toSeed: forgedSeed,
      voters: peerIdsOf([eve, kim]),
    });
    const thief = await village.node(eve, {
      address: '/memory/eve',
      roots: { entries: [entryOf(forged, [eve, kim])] },
      certificate: certificateFor(eve, { seed: forgedSeed, meshId }),
    });
    const away = await village.node(dan, { address: '/memory/dan', roots: before });
    away.connector.consider({ ...contactOf(thief), source: 'ticket' });
    await village.clock.advance(5_000);
    assert.ok(!away.transport.isLinked(eve.peerId));
    assert.equal(away.gate.roots.number, 0);
    const honest = await village.node(ada, { address: '/memory/ada', roots: after, list });
    away.connector.consider({ ...contactOf(honest), source: 'ticket' });
    await village.until(() => away.gate.roots.number === 1 && !away.gate.roots.lacksList, 'the news');
    assert.equal(away.gate.standingOf(eve.peerId), 'refused');
  });

  it('says so when a key cannot be believed', async () => {
    await using village = new Village();
    const strangers = { witnesses: peerIdsOf([identityOf(11), identityOf(12), identityOf(13)]) };
    const away = await village.node(dan, { address: '/memory/dan', roots: strangers });
    const honest = await village.node(ada, { address: '/memory/ada', roots: after, list });
    away.connector.consider({ ...contactOf(honest), source: 'ticket' });
    await village.until(() => away.roots.problem() !== undefined, 'the problem is told');
    assert.match(away.roots.problem() ?? '', /root key 1 does not count: 0 of the 3 voters/);
    assert.equal(away.gate.roots.number, 0);
  });

  it('X1 the words of voters come together over links, and each believes with the majority', async () => {
    await using village = new Village();
    const voters = await Promise.all(
      [ada, bob].map((identity, at) => village.node(identity, { address: `/memory/${at}`, roots: before })),
    );
    const [one, two] = voters as [Mesh, Mesh];
    const other = await village.node(dan, { address: '/memory/dan', roots: before });
    for (const mesh of [two, other]) mesh.connector.consider({ ...contactOf(one), source: 'ticket' });
    await village.until(() => isLinked(one, two) && isLinked(one, other), 'all are linked');
    one.gate.roots.note(succession, signVouch(crypto, ada, succession));
    await village.clock.advance(3_000);
    assert.deepEqual(
      [one, two, other].map(({ gate }) => gate.roots.number),
      [0, 0, 0],
    );
    two.gate.roots.note(succession, signVouch(crypto, bob, succession));
    await village.until(() => [one, two, other].every(({ gate }) => gate.roots.number === 1), 'all believe');
  });
});

describe('joining under another root key', () => {
  const redeem = async ({ peerId, sealingKey }: Pick<Identity, 'peerId' | 'sealingKey'>) =>
    certificateFor({ peerId, sealingKey }, { seed: rootSeeds[1], meshId });

  function laterTicket(at: Mesh) {
    const secret = seedOf(77).subarray(0, 16);
    const facts = { id: 'tkt_2', role: 'voter', expiresAtMs: 2_000_000, uses: 1 } as const;
    const signer = { crypto, rootSeed: rootSeeds[1], meshId };
    const grant = signTicket(signer, { ...facts, secretHash: secretHash(crypto, secret) });
    const members = [{ peerId: at.self as PeerId, addresses: [...at.transport.addresses()] }];
    return decodeTicket(crypto, encodeTicket(crypto, { ...grant, secret, members }));
  }

  it('K3 a ticket of the later key names the mesh, and no other can be put in its place', async () => {
    await using village = new Village();
    const member = await village.node(ada, { address: '/memory/ada', roots: after, list });
    const ticket = laterTicket(member);
    assert.equal(ticket.meshId, meshId);
    const moved = encodeTicket(crypto, { ...ticket, meshId: 'a'.repeat(24) as never });
    assert.throws(() => decodeTicket(crypto, moved), { code: 'DENIED' });
  });

  it('R5 takes in who brings a ticket of the later key, at a member whose certificate is of the first', async () => {
    await using village = new Village();
    const member = await village.node(ada, { address: '/memory/ada', roots: after, list, redeem });
    const joiner = await village.node(kim, { isMember: false });
    const joining = joiner.admission.join(laterTicket(member), { sealingKey: kim.sealingKey });
    await village.settled(joining);
    assert.equal(joiner.gate.roots.number, 1);
    assert.equal(joiner.gate.standingOf(kim.peerId), 'member');
    assert.equal(joiner.gate.standingOf(ada.peerId), 'member');
    assert.equal(member.gate.standingOf(kim.peerId), 'member');
  });

  it('R5 leads a member that could not believe the key there, on the word of who handed the ticket over', async () => {
    await using village = new Village();
    const strangers = { witnesses: peerIdsOf([identityOf(11), identityOf(12), identityOf(13)]) };
    const away = await village.node(dan, { address: '/memory/dan', roots: strangers });
    const honest = await village.node(ada, { address: '/memory/ada', roots: after, list });
    await village.settled(away.admission.follow(laterTicket(honest)));
    assert.equal(away.gate.roots.number, 1);
    assert.deepEqual(away.gate.roots.witnesses, peerIdsOf([ada, bob]));
    away.connector.consider({ ...contactOf(honest), source: 'ticket' });
    await village.until(() => !away.gate.roots.lacksList, 'the list is there');
    assert.equal(away.gate.standingOf(dan.peerId), 'member');
  });

  it('A1 tells no secret to a thief that has the old key only', async () => {
    await using village = new Village();
    const told: unknown[] = [];
    const impostor = await village.node(eve, {
      address: '/memory/eve',
      redeem: async (redemption) => {
        told.push(redemption);
        return later(kim);
      },
    });
    const joiner = await village.node(kim, { isMember: false });
    const joining = joiner.admission.join(laterTicket(impostor), { sealingKey: kim.sealingKey });
    await assert.rejects(village.settled(joining), /does not know the root key of the ticket/);
    assert.deepEqual(told, []);
  });

  it('sends away who brings a ticket of before, with the way out', async () => {
    await using village = new Village();
    const member = await village.node(kim, {
      address: '/memory/kim',
      roots: after,
      list,
      certificate: later(kim),
      redeem,
    });
    const joiner = await village.node(identityOf(9), { isMember: false });
    const { ticket } = ticketFor([{ peerId: member.self, addresses: [...member.transport.addresses()] }]);
    const joining = joiner.admission.join(ticket, { sealingKey: identityOf(9).sealingKey });
    await assert.rejects(
      village.settled(joining),
      /before the mesh replaced its root key.*ask for a new one/,
    );
  });
});
