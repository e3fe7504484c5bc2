import { createIdentity, encodeCertificate, meshIdOf, signCertificate } from '../mesh/index.ts';
import type { Membership } from './membership.ts';
import type { Platform } from './platform.ts';

const ROOT_SEED_BYTES = 32;

/** Draws the root key of a new mesh and makes this node its first member, eligible as a voter. */
export function foundMesh({
  crypto,
  random,
  clock,
  directory,
}: Pick<Platform, 'crypto' | 'random' | 'clock'> & {
  readonly directory: Pick<Platform['directory'], 'seed'>;
}): Membership {
  const rootSeed = random.bytes(ROOT_SEED_BYTES);
  const rootPublicKey = crypto.signingPublicKey(rootSeed);
  const { peerId, sealingKey } = createIdentity(crypto, directory.seed);
  const certificate = signCertificate(
    { crypto, rootSeed },
    { peerId, role: 'voter', sealingKey, issuedAtMs: clock.wallMs(), ticketId: null },
  );
  return {
    meshId: meshIdOf(crypto, rootPublicKey),
    rootPublicKey,
    certificate: encodeCertificate(certificate),
    foundingRootSeed: rootSeed,
    contacts: [],
    roots: [],
    witnesses: [peerId],
  };
}
