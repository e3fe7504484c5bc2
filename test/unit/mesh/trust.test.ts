import assert from 'node:assert/strict';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import fc from 'fast-check';
import { AspenError, decode, encode, silentLogger } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import {
  createIdentity,
  decodeTicket,
  encodeRevocation,
  encodeTicket,
  isMeshId,
  isPeerId,
  MembershipGate,
  meshIdOf,
  peerIdOf,
  publicKeyOf,
  ROLES,
  roleAllows,
  secretHash,
  signRevocation,
  type Ticket,
  ticketFacts,
  VolatileGateMemory,
  verifyCertificate,
  verifyRevocation,
} from '../../../src/mesh/index.ts';
import {
  certificateFor,
  crypto,
  gateWith,
  identityOf,
  meshId,
  otherRootSeed,
  rootSeed,
  seedOf,
  ticketFor,
} from './support.ts';

const [ada, bob] = [identityOf(1), identityOf(2)];
const denied = { name: 'AspenError', code: 'DENIED' };
const verifier = { crypto, meshId };

describe('identity', () => {
  it('gives the peer id that libp2p gives for the same key', async () => {
    for (const number of [1, 2, 3, 4, 5]) {
      const libp2p = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seedOf(number)));
      assert.equal(createIdentity(crypto, seedOf(number)).peerId, libp2p.toString());
    }
  });

  it('reads the public key back from the peer id', () => {
    assert.deepEqual(publicKeyOf(ada.peerId), ada.publicKey);
    assert.equal(peerIdOf(ada.publicKey), ada.peerId);
  });

  it('knows a peer id from any other text', () => {
    assert.ok(isPeerId(ada.peerId));
    for (const text of [
      '',
      '12D3KooW',
      `${ada.peerId}x`,
      ada.peerId.slice(1),
      'Qm'.padEnd(46, 'a'),
      '0OIl',
      7,
      null,
    ]) {
      assert.ok(!isPeerId(text), String(text));
    }
    fc.assert(fc.property(fc.string(), (text) => !isPeerId(text)));
  });
});

describe('roles and mesh ids', () => {
  it('nest: each role may do what the ones after it may', () => {
    for (const [at, role] of ROLES.entries()) {
      for (const [other, needed] of ROLES.entries()) assert.equal(roleAllows(role, needed), at <= other);
    }
  });

  it('derive the mesh id from the root key alone', () => {
    assert.ok(isMeshId(meshId));
    assert.equal(meshIdOf(crypto, crypto.signingPublicKey(rootSeed)), meshId);
    assert.notEqual(meshIdOf(crypto, crypto.signingPublicKey(otherRootSeed)), meshId);
  });
});

describe('certificate', () => {
  it('C1 holds for the mesh whose root key signed it', () => {
    const certificate = verifyCertificate(verifier, certificateFor(ada, { role: 'worker' }));
    assert.equal(certificate.peerId, ada.peerId);
    assert.equal(certificate.role, 'worker');
    assert.ok(crypto.equal(certificate.sealingKey, ada.sealingKey));
  });

  it('C1 does not hold when the root key of another mesh signed it, whatever mesh id it claims', () => {
    const foreign = certificateFor(ada, { seed: otherRootSeed });
    assert.throws(() => verifyCertificate(verifier, foreign), denied);
    assert.throws(
      () => verifyCertificate(verifier, encode({ ...(decode(foreign) as object), meshId })),
      /root key is not the key of the mesh/,
    );
  });

  it('C1 does not hold when any field was changed', () => {
    const fields = decode(certificateFor(ada, { role: 'observer' })) as Record<string, unknown>;
    const changes = {
      role: 'voter',
      peerId: bob.peerId,
      sealingKey: bob.sealingKey,
      issuedAtMs: 2_000,
      ticketId: 'tkt_other',
    };
    for (const [field, value] of Object.entries(changes)) {
      assert.throws(() => verifyCertificate(verifier, encode({ ...fields, [field]: value })), denied, field);
    }
  });

  it('is refused, and never more than refused, when it is garbage', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.anything()), (garbage) => {
        assert.throws(() => verifyCertificate(verifier, garbage), denied);
        assert.throws(() => verifyRevocation(verifier, garbage), denied);
      }),
    );
  });
});

describe('ticket', () => {
  const members = [
    { peerId: ada.peerId, addresses: ['/ip4/192.0.2.7/tcp/4100', '/ip6/2001:db8::1/tcp/4100'] },
  ];
  const { ticket, text } = ticketFor(members);

  it('comes back as it was written', () => {
    assert.match(text, /^aspen1[A-Za-z0-9_-]+$/);
    assert.deepEqual(decodeTicket(crypto, `  ${text}\n`), ticket);
    assert.equal(decodeTicket(crypto, text).meshId, meshId);
  });

  it('shows everything but its secret', () => {
    const shown = JSON.stringify(ticketFacts(ticket));
    assert.ok(shown.includes(ticket.id) && shown.includes('192.0.2.7'));
    assert.deepEqual(Object.keys(ticketFacts(ticket)).sort(), [
      'expiresAtMs',
      'id',
      'members',
      'meshId',
      'role',
      'uses',
    ]);
  });

  it('K1 notices any single character that was changed, left out or added', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .';
    for (let at = 0; at < text.length; at += 1) {
      const other = alphabet[
        (alphabet.indexOf(text[at] as string) + 1 + (at % 60)) % alphabet.length
      ] as string;
      for (const wrong of [
        text.slice(0, at) + other + text.slice(at + 1),
        text.slice(0, at) + text.slice(at + 1),
      ]) {
        if (wrong === text) continue;
        assert.throws(() => decodeTicket(crypto, wrong), { code: 'INVALID_PARAMS' }, `at ${at}`);
      }
    }
    for (const tail of 'AQgw-_=')
      assert.throws(() => decodeTicket(crypto, text + tail), { code: 'INVALID_PARAMS' });
  });

  it('K1 is refused when somebody changed it with care', () => {
    const changes: Partial<Ticket>[] = [
      { role: 'observer' },
      { uses: 9_999 },
      { expiresAtMs: 9_999_999_999_999 },
      { id: 'tkt_other' },
      { rootPublicKey: crypto.signingPublicKey(otherRootSeed) },
      { secret: seedOf(9).subarray(0, 16) },
    ];
    for (const change of changes) {
      const forged = encodeTicket(crypto, { ...ticket, ...change });
      assert.throws(() => decodeTicket(crypto, forged), denied, Object.keys(change).join());
    }
  });

  it('K2 may be given other members by whoever passes it on', () => {
    const moved = encodeTicket(crypto, {
      ...ticket,
      members: [{ peerId: bob.peerId, addresses: ['/dns4/b/tcp/1'] }],
    });
    assert.equal(decodeTicket(crypto, moved).members[0]?.peerId, bob.peerId);
  });

  it('leaves out what is beyond its limits', () => {
    const many = Array.from({ length: 9 }, (_, number) => ({
      peerId: identityOf(number + 10).peerId,
      addresses: Array.from({ length: 20 }, (_, port) => `/ip4/192.0.2.1/tcp/${port + 1}`),
    }));
    const read = decodeTicket(crypto, encodeTicket(crypto, { ...ticket, members: many }));
    assert.deepEqual([read.members.length, read.members[0]?.addresses.length], [5, 8]);
  });

  it('keeps only a hash of its secret in the agreed state, and another secret has another hash', () => {
    assert.deepEqual(secretHash(crypto, ticket.secret), ticket.secretHash);
    assert.notDeepEqual(secretHash(crypto, seedOf(3).subarray(0, 16)), ticket.secretHash);
  });

  it('never fails but with an AspenError, whatever the text', () => {
    const encoded = fc.uint8Array({ maxLength: 300 }).map((body) => {
      const check = crypto.sha256(body).subarray(0, 4);
      return `aspen1${Buffer.concat([body, check]).toString('base64url')}`;
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((tail) => `aspen1${tail}`),
          encoded,
        ),
        (garbage) => {
          assert.throws(() => decodeTicket(crypto, garbage), AspenError);
        },
      ),
    );
  });
});

describe('membership gate', () => {
  it('G1 takes everybody for a stranger until a certificate says otherwise', () => {
    const gate = gateWith(ada);
    assert.equal(gate.standingOf(ada.peerId), 'member');
    assert.equal(gate.standingOf(bob.peerId), 'stranger');
    assert.throws(() => gate.admit(certificateFor(bob, { seed: otherRootSeed })), denied);
    assert.equal(gate.standingOf(bob.peerId), 'stranger');
  });

  it('G1 admits nobody while the node belongs to no mesh', () => {
    const components = { crypto, memory: new VolatileGateMemory(), log: silentLogger };
    const gate = new MembershipGate(components, { meshId: undefined });
    assert.throws(() => gate.admit(certificateFor(ada)), denied);
    assert.equal(gate.standingOf(ada.peerId), 'stranger');
  });

  it('G2 refuses a revoked peer for ever, whatever certificate comes later', () => {
    const gate = gateWith(ada, bob);
    const revocation = encodeRevocation(
      signRevocation({ crypto, rootSeed }, { peerId: bob.peerId, issuedAtMs: 1 }),
    );
    gate.revoke(revocation);
    gate.revoke(revocation);
    assert.throws(() => gate.admit(certificateFor(bob, { issuedAtMs: 9e12 })), denied);
    assert.equal(gate.standingOf(bob.peerId), 'refused');
    assert.equal(gate.certificateOf(bob.peerId), undefined);
    assert.deepEqual(
      gate.members().map(({ peerId }) => peerId),
      [ada.peerId],
    );
  });

  it('G2 takes no revocation from another mesh', () => {
    const gate = gateWith(ada);
    const facts = { peerId: ada.peerId, issuedAtMs: 1 };
    const foreign = encodeRevocation(signRevocation({ crypto, rootSeed: otherRootSeed }, facts));
    assert.throws(() => gate.revoke(foreign), denied);
    assert.equal(gate.standingOf(ada.peerId), 'member');
  });

  it('keeps the latest certificate of a peer, and tells each change once', () => {
    const gate = gateWith();
    const changes: string[] = [];
    gate.onChange((peerId) => changes.push(peerId));
    gate.admit(certificateFor(ada, { role: 'voter', issuedAtMs: 5 }));
    gate.admit(certificateFor(ada, { role: 'observer', issuedAtMs: 4 }));
    gate.admit(certificateFor(ada, { role: 'voter', issuedAtMs: 5 }));
    assert.equal(gate.certificateOf(ada.peerId)?.role, 'voter');
    assert.deepEqual(changes, [ada.peerId]);
  });

  it('G3 does not check the signature of a certificate again that it holds, and checks it of each that is another', () => {
    let checks = 0;
    const counting = new (class extends OsCrypto {
      override verify(...signed: Parameters<OsCrypto['verify']>): boolean {
        checks += 1;
        return super.verify(...signed);
      }
    })();
    const gate = new MembershipGate(
      { crypto: counting, memory: new VolatileGateMemory(), log: silentLogger },
      { meshId },
    );
    const bytes = certificateFor(ada);
    gate.verify(bytes);
    gate.admit(bytes); // verified just now
    gate.admit(certificateFor(bob));
    gate.admit(Uint8Array.from(bytes)); // held
    assert.equal(checks, 2);
    const fields = decode(bytes) as Record<string, unknown>;
    for (const [field, value] of Object.entries({ role: 'observer', issuedAtMs: 9_000, ticketId: 'tkt_x' }))
      assert.throws(() => gate.admit(encode({ ...fields, [field]: value })), denied, field);
    assert.throws(() => gate.admit(encode({ ...fields, signature: new Uint8Array(64) })), denied);
    assert.equal(checks, 6);
    gate.revoke(
      encodeRevocation(signRevocation({ crypto, rootSeed }, { peerId: ada.peerId, issuedAtMs: 1 })),
    );
    assert.throws(() => gate.admit(bytes), denied);
  });

  it('G3 remembers over a restart, and leaves out what was damaged meanwhile', () => {
    const memory = new VolatileGateMemory();
    const before = new MembershipGate({ crypto, memory, log: silentLogger }, { meshId });
    before.admit(certificateFor(ada));
    before.admit(certificateFor(bob));
    before.revoke(
      encodeRevocation(signRevocation({ crypto, rootSeed }, { peerId: bob.peerId, issuedAtMs: 1 })),
    );
    memory.saveCertificate(identityOf(3).peerId, seedOf(3));
    const after = new MembershipGate({ crypto, memory, log: silentLogger }, { meshId });
    assert.deepEqual(
      [ada, bob, identityOf(3)].map(({ peerId }) => after.standingOf(peerId)),
      ['member', 'refused', 'stranger'],
    );
  });

  it('holds no more members than its limit', () => {
    const components = { crypto, memory: new VolatileGateMemory(), log: silentLogger };
    const gate = new MembershipGate(components, { meshId, membersLimit: 1 });
    gate.admit(certificateFor(ada));
    gate.admit(certificateFor(ada, { issuedAtMs: 9_000 }));
    assert.throws(() => gate.admit(certificateFor(bob)), { code: 'RESOURCE_EXHAUSTED' });
  });
});
