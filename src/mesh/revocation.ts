import { AspenError, encode, type MeshId, type PeerId } from '../base/index.ts';
import { type RootSigner, type RootVerifier, rootNumberOf, UNKNOWN_ROOT } from './certificate.ts';
import { isPeerId } from './identity.ts';
import { meshIdOf } from './mesh-id.ts';
import { foreignRecord, isBytes, isWallMs, signStatement, statementBytes } from './statement.ts';

/**
 * The mesh's word that a peer no longer belongs to it. It wins over every certificate, whatever the times in both; one that a root key of before
 * signed, only while no later list of valid certificates names the peer (V2 in `roots.ts`).
 */
export interface Revocation {
  readonly meshId: MeshId;
  /** Ed25519, 32 bytes. */
  readonly rootPublicKey: Uint8Array;
  readonly peerId: PeerId;
  /** Wall time of the signer; for people. */
  readonly issuedAtMs: number;
  /** By the root key, 64 bytes. */
  readonly signature: Uint8Array;
}

const LABEL = 'aspen revocation v1';
export const REVOCATION_BYTES_LIMIT = 512;

export function signRevocation(
  { crypto, rootSeed, meshId }: RootSigner,
  { peerId, issuedAtMs }: Pick<Revocation, 'peerId' | 'issuedAtMs'>,
): Revocation {
  const rootPublicKey = crypto.signingPublicKey(rootSeed);
  const unsigned = { meshId: meshId ?? meshIdOf(crypto, rootPublicKey), rootPublicKey, peerId, issuedAtMs };
  return { ...unsigned, signature: signStatement(crypto, rootSeed, LABEL, fieldsOf(unsigned)) };
}

/** @returns at most {@link REVOCATION_BYTES_LIMIT} bytes. */
export function encodeRevocation(revocation: Revocation): Uint8Array {
  return encode(revocation);
}

/**
 * @param foreign encoded bytes, or the value they decode to.
 * @throws AspenError DENIED with the reason, whatever the bytes are.
 */
export function verifyRevocation(verifier: RootVerifier, foreign: unknown): Revocation {
  const { crypto, meshId } = verifier;
  const revocation = readRevocation(foreign);
  if (revocation === undefined) throw denied('it is malformed');
  if (revocation.meshId !== meshId) throw denied(`it is not of mesh ${meshId}`);
  if (rootNumberOf(verifier, revocation.rootPublicKey) === undefined)
    throw denied(`it is not of mesh ${meshId} as far as its root keys are known here`, UNKNOWN_ROOT);
  const signed = statementBytes(LABEL, fieldsOf(revocation));
  if (!crypto.verify(revocation.rootPublicKey, signed, revocation.signature)) {
    throw denied('its signature does not hold');
  }
  return revocation;
}

function fieldsOf({ meshId, rootPublicKey, peerId, issuedAtMs }: Omit<Revocation, 'signature'>) {
  return [meshId, rootPublicKey, peerId, issuedAtMs];
}

function readRevocation(foreign: unknown): Revocation | undefined {
  const { meshId, rootPublicKey, peerId, issuedAtMs, signature } =
    foreignRecord(foreign, REVOCATION_BYTES_LIMIT) ?? {};
  if (typeof meshId !== 'string' || !isPeerId(peerId) || !isWallMs(issuedAtMs)) return undefined;
  if (!isBytes(rootPublicKey, 32) || !isBytes(signature, 64)) return undefined;
  return { meshId: meshId as MeshId, rootPublicKey, peerId, issuedAtMs, signature };
}

function denied(reason: string, code?: string): AspenError {
  return new AspenError('DENIED', `the revocation does not count: ${reason}`, {
    ...(code !== undefined && { details: { reason: code } }),
  });
}
