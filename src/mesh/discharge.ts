import { type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import type { RootSigner } from './certificate.ts';
import { isPeerId } from './identity.ts';
import { meshIdOf } from './mesh-id.ts';
import { foreignRecord, isBytes, signStatement, statementBytes } from './statement.ts';

/**
 * The mesh's word that one membership has ended because its member left: for one that died before it could say so itself.
 *
 * - G7 It counts only as long as the key that signed it is the root, and ends one certificate: whoever comes back by a ticket has another one. A
 *   later root key needs none, since its list does not name who has left.
 */
export interface Discharge {
  readonly meshId: MeshId;
  /** Ed25519, 32 bytes. */
  readonly rootPublicKey: Uint8Array;
  readonly peerId: PeerId;
  /** Of the certificate that it ends, 64 bytes. */
  readonly certificateSignature: Uint8Array;
  /** By the root key, 64 bytes. */
  readonly signature: Uint8Array;
}

export interface DischargeVerifier {
  readonly crypto: Crypto;
  readonly meshId: MeshId | undefined;
  readonly roots: { readonly number: number; numberOf(rootPublicKey: Uint8Array): number | undefined };
}

const LABEL = 'aspen discharge v1';
const DISCHARGE_BYTES_LIMIT = 512;

/** @returns the discharge, encoded. */
export function signDischarge(
  { crypto, rootSeed, meshId }: RootSigner,
  ended: Pick<Discharge, 'peerId' | 'certificateSignature'>,
): Uint8Array {
  const rootPublicKey = crypto.signingPublicKey(rootSeed);
  const unsigned = { meshId: meshId ?? meshIdOf(crypto, rootPublicKey), rootPublicKey, ...ended };
  return encode({ ...unsigned, signature: signStatement(crypto, rootSeed, LABEL, fieldsOf(unsigned)) });
}

/** G7. @returns undefined when it is no discharge that the present root key of this mesh signed, whatever the bytes are. */
export function verifyDischarge(
  { crypto, meshId, roots }: DischargeVerifier,
  foreign: unknown,
): Discharge | undefined {
  const { peerId, rootPublicKey, certificateSignature, signature, ...rest } =
    foreignRecord(foreign, DISCHARGE_BYTES_LIMIT) ?? {};
  if (meshId === undefined || rest['meshId'] !== meshId || !isPeerId(peerId)) return undefined;
  if (!isBytes(rootPublicKey, 32) || !isBytes(certificateSignature, 64) || !isBytes(signature, 64))
    return undefined;
  if (roots.numberOf(rootPublicKey) !== roots.number) return undefined;
  const discharge = { meshId, rootPublicKey, peerId, certificateSignature, signature };
  const isSigned = crypto.verify(rootPublicKey, statementBytes(LABEL, fieldsOf(discharge)), signature);
  return isSigned ? discharge : undefined;
}

function fieldsOf({ meshId, rootPublicKey, peerId, certificateSignature }: Omit<Discharge, 'signature'>) {
  return [meshId, rootPublicKey, peerId, certificateSignature];
}
