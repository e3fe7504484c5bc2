import {
  type Crypto,
  type MeshId,
  type PeerId,
  SeededRandom,
  silentLogger,
} from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import {
  createIdentity,
  encodeCertificate,
  encodeTicket,
  type Identity,
  MembershipGate,
  meshIdOf,
  type Role,
  secretHash,
  signCertificate,
  signTicket,
  type TicketMember,
  VolatileGateMemory,
} from '../../../src/mesh/index.ts';

export { ManualClock, settle } from '../lease/manual-clock.ts';

export const crypto: Crypto = new OsCrypto();
export const rootSeed = seedOf(200);
export const meshId = meshIdOf(crypto, crypto.signingPublicKey(rootSeed));
export const otherRootSeed = seedOf(201);

export function seedOf(number: number): Uint8Array {
  return new SeededRandom(number).bytes(32);
}

export function identityOf(number: number): Identity {
  return createIdentity(crypto, seedOf(number));
}

export function certificateFor(
  { peerId, sealingKey }: Pick<Identity, 'peerId' | 'sealingKey'>,
  facts: {
    readonly role?: Role;
    readonly issuedAtMs?: number;
    readonly seed?: Uint8Array;
    readonly meshId?: MeshId;
  } = {},
): Uint8Array {
  const { role = 'voter', issuedAtMs = 1_000, seed = rootSeed, meshId: mesh } = facts;
  const signer = { crypto, rootSeed: seed, ...(mesh !== undefined && { meshId: mesh }) };
  return encodeCertificate(signCertificate(signer, { peerId, role, sealingKey, issuedAtMs, ticketId: null }));
}

/** @param admitted whose certificates it holds from the start. */
export function gateWith(...admitted: readonly Identity[]): MembershipGate {
  const gate = new MembershipGate(
    { crypto, memory: new VolatileGateMemory(), log: silentLogger },
    { meshId },
  );
  for (const identity of admitted) gate.admit(certificateFor(identity));
  return gate;
}

export function ticketFor(members: readonly TicketMember[], seed: Uint8Array = rootSeed) {
  const secret = new SeededRandom(7).bytes(16);
  const facts = { id: 'tkt_01k9z3abc', role: 'voter', expiresAtMs: 2_000_000, uses: 2 } as const;
  const grant = signTicket({ crypto, rootSeed: seed }, { ...facts, secretHash: secretHash(crypto, secret) });
  const ticket = { ...grant, secret, members };
  return { ticket, text: encodeTicket(crypto, ticket) };
}

export function textBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** @returns what the promise rejects with; fails the test when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

export const peerIdsOf = (identities: readonly Identity[]): PeerId[] =>
  identities.map(({ peerId }) => peerId);
