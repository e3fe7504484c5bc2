import assert from 'node:assert/strict';
import { encodeMembership, ownMembership } from '../../../src/agent/membership.ts';
import type { MeshId } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import { createIdentity, encodeCertificate, meshIdOf, signCertificate } from '../../../src/mesh/index.ts';

describe('what a node kept about its mesh', () => {
  const crypto = new OsCrypto();
  const seed = new Uint8Array(32).fill(1);
  const rootSeed = new Uint8Array(32).fill(2);
  const rootPublicKey = createIdentity(crypto, rootSeed).publicKey;
  const meshId: MeshId = meshIdOf(crypto, rootPublicKey);
  const { peerId, sealingKey } = createIdentity(crypto, seed);
  const facts = { peerId, role: 'voter', sealingKey, issuedAtMs: 1, ticketId: null } as const;
  const certificate = encodeCertificate(signCertificate({ crypto, rootSeed }, facts));
  const file = encodeMembership({
    meshId,
    rootPublicKey,
    certificate,
    foundingRootSeed: null,
    contacts: [],
    roots: [],
    witnesses: [],
  });

  it('is taken where it is of this node', () => {
    assert.equal(ownMembership(crypto, { file, seed }).meshId, meshId);
  });

  it('is refused where the identity is another one, naming both', () => {
    const other = new Uint8Array(32).fill(3);
    assert.throws(() => ownMembership(crypto, { file, seed: other }), {
      code: 'INTERNAL',
      message: new RegExp(`${peerId}.*${createIdentity(crypto, other).peerId}`),
    });
  });

  it('is refused by the name of the file where it is damaged', () => {
    assert.throws(() => ownMembership(crypto, { file: new Uint8Array(20).fill(0xc1), seed }), {
      code: 'INTERNAL',
      message: /the file mesh is damaged \(20 bytes\)/,
    });
  });
});
