import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, type PeerId, silentLogger } from '../../../src/base/index.ts';
import {
  decodeRootEntry,
  decodeRootList,
  encodeRevocation,
  encodeRootEntry,
  encodeRootList,
  encodeSuccession,
  type Identity,
  isOnRootList,
  isVouchedFor,
  MembershipGate,
  nextWitnesses,
  proveOnRootList,
  ROOT_ENTRY_BYTES_LIMIT,
  rootListDigest,
  SUCCESSION_BYTES_LIMIT,
  signRevocation,
  VolatileGateMemory,
} from '../../../src/mesh/index.ts';
import { entryOf, forgedSeed, listOf, rootSeeds, successionOf } from './succession-support.ts';
import { certificateFor, crypto, identityOf, meshId, peerIdsOf, seedOf } from './support.ts';

const [ada, bob, eve, dan, kim] = [1, 2, 3, 4, 5].map(identityOf) as unknown as [
  Identity,
  Identity,
  Identity,
  Identity,
  Identity,
];
const denied = { name: 'AspenError', code: 'DENIED' };
const revocationOf = ({ peerId }: Identity, seed: Uint8Array) =>
  encodeRevocation(signRevocation({ crypto, rootSeed: seed, meshId }, { peerId, issuedAtMs: 1 }));
const later = (identity: Identity, number: number) =>
  certificateFor(identity, { seed: rootSeeds[number] as Uint8Array, meshId });

/** A member that was there when ada, bob and eve voted; eve is the thief. */
function gateOf(
  { memory = new VolatileGateMemory(), witnesses = [ada, bob, eve] as readonly Identity[] } = {},
  entries: readonly Uint8Array[] = [],
): MembershipGate {
  const gate = new MembershipGate(
    { crypto, memory, log: silentLogger },
    { meshId, roots: { witnesses: peerIdsOf(witnesses), entries } },
  );
  return gate;
}

function settledGate(): MembershipGate {
  const gate = gateOf();
  for (const identity of [ada, bob, eve, dan]) gate.admit(certificateFor(identity));
  return gate;
}

const first = successionOf({ stay: [ada, bob, dan], out: [eve], voters: peerIdsOf([ada, bob]) });
const honest = entryOf(first, [ada, bob]);

describe('list of certificates that stay valid', () => {
  const anybody = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 });

  it('R6 proves whoever is on it, and nobody else', () => {
    fc.assert(
      fc.property(anybody, fc.integer({ min: 61, max: 90 }), (numbers, stranger) => {
        const entries = numbers.map((number) => ({
          peerId: identityOf(number).peerId,
          certificateHash: crypto.sha256(seedOf(number)),
        }));
        const bytes = encodeRootList(entries);
        const list = { digest: rootListDigest(crypto, bytes), count: entries.length };
        for (const entry of entries) {
          const proof = proveOnRootList(crypto, bytes, entry.peerId);
          assert.ok(proof !== undefined && isOnRootList(crypto, list, entry, proof));
          const other = { ...entry, certificateHash: crypto.sha256(seedOf(99)) };
          assert.ok(!isOnRootList(crypto, list, other, proof));
          assert.ok(!isOnRootList(crypto, { ...list, count: list.count + 70 }, entry, proof));
        }
        const outside = identityOf(stranger).peerId;
        assert.equal(proveOnRootList(crypto, bytes, outside), undefined);
      }),
      { numRuns: 20 },
    );
  });

  it('comes back as it was written, in one order, and is refused out of order, doubled or cut', () => {
    const bytes = listOf([bob, ada, dan]);
    assert.deepEqual(bytes, listOf([dan, ada, bob]));
    assert.equal(decodeRootList(bytes)?.length, 3);
    const rows = [0, 64, 128].map((at) => bytes.subarray(at, at + 64));
    assert.equal(decodeRootList(Buffer.concat([rows[1] as Uint8Array, rows[0] as Uint8Array])), undefined);
    assert.equal(decodeRootList(Buffer.concat([rows[0] as Uint8Array, rows[0] as Uint8Array])), undefined);
    assert.equal(decodeRootList(bytes.subarray(0, 100)), undefined);
  });
});

describe('witnesses', () => {
  const names = fc.uniqueArray(fc.constantFrom(...'abcdefg'), { minLength: 1, maxLength: 7 });
  const peers = (list: readonly string[]) => list as unknown as PeerId[];

  it('W1 are changed only by what a majority of them tells alike', () => {
    fc.assert(
      fc.property(names, fc.array(fc.tuple(fc.constantFrom(...'abcdefgxyz'), names)), (witnesses, told) => {
        const next = nextWitnesses(peers(witnesses), new Map(told) as never);
        if (next.join() === witnesses.join()) return;
        const alike = [...new Map(told)].filter(
          ([who, roster]) => witnesses.includes(who) && [...roster].sort().join() === [...next].sort().join(),
        );
        assert.ok(alike.length * 2 > witnesses.length);
      }),
    );
  });

  it('W1 W2 two different statements are never both vouched for, unless a witness vouches for both', () => {
    fc.assert(
      fc.property(names, fc.subarray([...'abcdefg']), fc.subarray([...'abcdefg']), (witnesses, one, out) => {
        const other = [...'abcdefg'].filter((name) => !one.includes(name));
        const believed = [one, other].filter((said) =>
          isVouchedFor({ witnesses: peers(witnesses), revoked: peers(out), said: peers(said) }),
        );
        assert.ok(believed.length < 2);
      }),
    );
  });

  it('nobody convinces who has none, but the first that tells is asked for them', () => {
    assert.ok(!isVouchedFor({ witnesses: [], revoked: [], said: [] }));
    assert.deepEqual(nextWitnesses([], new Map([[ada.peerId, [bob.peerId]]])), [bob.peerId]);
  });
});

describe('succession of the root key', () => {
  it('R1 is believed when a majority of the voters known before vouches for it', () => {
    const gate = settledGate();
    assert.ok(gate.roots.learn(honest));
    assert.equal(gate.roots.number, 1);
    assert.deepEqual(gate.roots.witnesses, peerIdsOf([ada, bob])); // R4
    assert.equal(gate.standingOf(eve.peerId), 'refused'); // V3
    assert.equal(gate.standingOf(dan.peerId), 'member');
    assert.equal(gate.roots.learn(honest), false);
  });

  const forged: readonly { readonly why: string; readonly entry: Uint8Array }[] = [
    { why: 'the old root key alone', entry: entryOf(first, []) },
    { why: 'a minority of the voters', entry: entryOf(first, [ada]) },
    {
      why: 'the revoked one with a minority',
      entry: entryOf(successionOf({ stay: [ada, bob], out: [eve], toSeed: forgedSeed }), [ada, eve]),
    },
    {
      why: 'the thief, who calls the honest ones revoked and invents voters',
      entry: entryOf(
        successionOf({
          stay: [eve, dan, kim],
          out: [ada, bob],
          toSeed: forgedSeed,
          voters: peerIdsOf([eve, dan, kim]),
        }),
        [eve, dan, kim],
      ),
    },
    {
      why: 'another mesh',
      entry: entryOf(
        successionOf({
          stay: [ada, bob],
          fromSeed: seedOf(201),
          toSeed: forgedSeed,
          meshId: 'a'.repeat(24) as never,
        }),
        [ada, bob],
      ),
    },
    {
      why: 'a key that is not the root of this mesh',
      entry: entryOf(successionOf({ stay: [ada, bob], fromSeed: seedOf(201) }), [ada, bob]),
    },
    {
      why: 'a number that does not come next',
      entry: entryOf(successionOf({ stay: [ada, bob], number: 2, fromSeed: rootSeeds[0] }), [ada, bob]),
    },
  ];
  for (const { why, entry } of forged) {
    it(`R1 R2 is not believed from ${why}`, () => {
      const gate = settledGate();
      assert.throws(() => gate.roots.learn(entry), denied);
      assert.equal(gate.roots.number, 0);
      assert.equal(gate.standingOf(ada.peerId), 'member');
    });
  }

  it('R1 is not believed with a vouch for another statement, or one that was changed', () => {
    const gate = settledGate();
    const other = successionOf({ stay: [ada, bob, dan], out: [eve], toSeed: forgedSeed });
    const { vouches } = decodeRootEntry(honest);
    const stolen = encodeRootEntry({ succession: other, vouches });
    assert.throws(() => gate.roots.learn(stolen), /0 of the 3 voters/);
    const changed = { ...first, toKey: crypto.signingPublicKey(forgedSeed) };
    assert.throws(() => gate.roots.learn(entryOf(changed, [ada, bob])), /signatures do not hold/);
  });

  it('R3 a fork of a number that is believed changes nothing, whoever vouches for it', () => {
    const gate = settledGate();
    gate.roots.learn(honest);
    const fork = successionOf({ stay: [ada, bob], out: [eve], toSeed: forgedSeed });
    assert.throws(() => gate.roots.learn(entryOf(fork, [ada, bob])), /another root key of number 1/);
    assert.equal(gate.roots.numberOf(crypto.signingPublicKey(forgedSeed)), undefined);
  });

  it('waits at a voter for the others, and is believed with the vouch that makes a majority', () => {
    const gate = settledGate();
    gate.roots.note(first, decodeRootEntry(entryOf(first, [ada])).vouches[0] as never);
    assert.equal(gate.roots.number, 0);
    assert.ok(gate.roots.pending !== undefined);
    gate.roots.learn(entryOf(first, [bob]));
    assert.equal(gate.roots.number, 1);
    assert.equal(gate.roots.pending, undefined);
  });

  it('goes on over several, also for who was away during all of them', () => {
    const second = successionOf({
      stay: [ada, dan, kim],
      out: [bob],
      number: 2,
      voters: peerIdsOf([ada, dan, kim]),
    });
    const third = successionOf({ stay: [ada, dan], out: [kim], number: 3 });
    const firstWithThree = successionOf({ stay: [ada, bob, dan], out: [eve] });
    const entries = [
      entryOf(firstWithThree, [ada, bob, dan]),
      entryOf(second, [ada, dan]),
      entryOf(third, [ada, dan]),
    ];
    const gate = settledGate();
    for (const entry of entries) gate.roots.learn(entry);
    assert.equal(gate.roots.number, 3);
    assert.deepEqual(
      [bob, eve, kim].map(({ peerId }) => gate.standingOf(peerId)),
      ['refused', 'refused', 'refused'],
    );
    const again = gateOf(
      { witnesses: gate.roots.witnesses.map((peerId) => ({ peerId }) as Identity) },
      gate.roots.entries(),
    );
    assert.equal(again.roots.number, 3);
    assert.throws(() => gateOf({}, entries.slice(1)), denied);
  });

  it('R5 a ticket of a later key leads a joiner there, and nowhere but there', () => {
    const key = crypto.signingPublicKey(rootSeeds[1]);
    const joiner = gateOf({ witnesses: [] });
    assert.throws(() => joiner.roots.learn(honest), denied);
    assert.throws(() => joiner.roots.learnUpTo([honest], crypto.signingPublicKey(forgedSeed)), denied);
    assert.equal(joiner.roots.number, 0);
    joiner.roots.learnUpTo([honest], key);
    assert.deepEqual([joiner.roots.number, joiner.roots.witnesses], [1, peerIdsOf([ada, bob])]);
  });

  it('fits one admission message with as many peers as it may name', () => {
    const many = Array.from({ length: 16 }, (_, at) => identityOf(20 + at));
    const succession = successionOf({
      stay: many,
      out: [ada, bob, eve, dan, kim],
      vouchers: peerIdsOf(many),
      issuedAtMs: 9e12,
    });
    assert.ok(encodeSuccession(succession).length <= SUCCESSION_BYTES_LIMIT);
    assert.ok(entryOf(succession, many).length <= ROOT_ENTRY_BYTES_LIMIT);
  });

  it('is refused, and never more than refused, when it is garbage', () => {
    const gate = settledGate();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
        assert.throws(() => gate.roots.learn(garbage), AspenError);
      }),
    );
  });
});

describe('gate under another root key', () => {
  function rotated(): MembershipGate {
    const gate = settledGate();
    gate.roots.learn(honest);
    return gate;
  }

  it('V1 takes certificates of the new key, and of the old one only what is on the list', () => {
    const gate = rotated();
    gate.roots.setList(listOf([ada, bob, dan]));
    gate.admit(later(kim, 1));
    assert.equal(gate.standingOf(kim.peerId), 'member');
    assert.throws(() => gate.admit(certificateFor(identityOf(9))), /root key that was replaced/);
    assert.throws(() => gate.admit(certificateFor(dan, { issuedAtMs: 9_000 })), /root key that was replaced/);
    assert.equal(gate.admit(certificateFor(ada)).peerId, ada.peerId);
  });

  it('V1 takes a proof where the list is not here yet, and drops with the list whoever is not on it', () => {
    const gate = settledGate();
    gate.admit(certificateFor(kim)); // by the thief, before this node heard
    gate.roots.learn(honest);
    const list = listOf([ada, bob, dan]);
    gate.forget(dan.peerId);
    assert.throws(() => gate.admit(certificateFor(dan)), denied);
    gate.admit(certificateFor(dan), proveOnRootList(crypto, list, dan.peerId));
    assert.throws(
      () => gate.admit(certificateFor(identityOf(9)), proveOnRootList(crypto, list, dan.peerId)),
      denied,
    );
    assert.equal(gate.standingOf(kim.peerId), 'member');
    const dropped: PeerId[] = [];
    gate.onChange((peerId) => dropped.push(peerId));
    gate.roots.setList(list);
    assert.deepEqual(dropped.sort(), peerIdsOf([eve, kim]).sort()); // G4
    assert.equal(gate.standingOf(kim.peerId), 'stranger');
  });

  it('takes no list but the one that was signed', () => {
    const gate = rotated();
    assert.throws(() => gate.roots.setList(listOf([ada, bob, dan, eve])), denied);
    assert.throws(() => gate.roots.setList(seedOf(1)), denied);
    assert.ok(gate.roots.lacksList);
  });

  it('V4 a revocation that the thief signed with the old key does nothing to whom the next key admitted, whichever comes first', () => {
    for (const order of ['member first', 'revocation first'] as const) {
      const gate = settledGate();
      gate.roots.learn(honest);
      gate.roots.setList(listOf([ada, bob, dan]));
      const steps = [() => gate.admit(later(kim, 1)), () => gate.revoke(revocationOf(kim, rootSeeds[0]))];
      for (const step of order === 'member first' ? steps : steps.toReversed()) step();
      assert.equal(gate.standingOf(kim.peerId), 'member', order);
      gate.admit(later(kim, 1));
      gate.revoke(revocationOf(kim, rootSeeds[1]));
      assert.equal(gate.standingOf(kim.peerId), 'refused', order);
      assert.throws(() => gate.admit(later(kim, 1)), denied);
    }
  });

  it('V2 a revocation that the thief signed with the old key ends with the list', () => {
    const gate = settledGate();
    gate.revoke(revocationOf(dan, rootSeeds[0]));
    assert.equal(gate.standingOf(dan.peerId), 'refused');
    gate.roots.learn(honest);
    gate.roots.setList(listOf([ada, bob, dan]));
    assert.equal(gate.standingOf(dan.peerId), 'member');
    assert.throws(() => gate.revoke(revocationOf(bob, rootSeeds[0])), /replaced root key/);
    gate.revoke(revocationOf(dan, rootSeeds[1]));
    assert.equal(gate.standingOf(dan.peerId), 'refused');
  });

  it('W3 no revocations cut a node off from the majority of its witnesses', () => {
    const gate = settledGate();
    gate.revoke(revocationOf(eve, rootSeeds[0]));
    assert.equal(gate.standingOf(eve.peerId), 'refused');
    gate.revoke(revocationOf(ada, rootSeeds[0]));
    gate.revoke(revocationOf(bob, rootSeeds[0]));
    assert.deepEqual(
      [ada, bob].map(({ peerId }) => gate.standingOf(peerId)),
      ['member', 'member'],
    );
    gate.roots.learn(honest);
    gate.roots.setList(listOf([ada, bob, dan]));
    assert.deepEqual(
      [ada, bob, eve].map(({ peerId }) => gate.standingOf(peerId)),
      ['member', 'member', 'refused'],
    );
  });

  it('G3 remembers the list over a restart, and does without it', () => {
    const memory = new VolatileGateMemory();
    const gate = gateOf({ memory });
    for (const identity of [ada, bob, dan, kim]) gate.admit(certificateFor(identity));
    gate.roots.learn(honest);
    const before = gateOf({ memory, witnesses: [ada, bob] }, gate.roots.entries());
    assert.ok(before.roots.lacksList);
    assert.equal(before.standingOf(kim.peerId), 'member');
    gate.roots.setList(listOf([ada, bob, dan]));
    const after = gateOf({ memory, witnesses: [ada, bob] }, gate.roots.entries());
    assert.ok(!after.roots.lacksList);
    assert.equal(after.standingOf(kim.peerId), 'stranger');
    assert.equal(after.standingOf(dan.peerId), 'member');
  });
});
