import { type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import { isPeerId, publicKeyOf } from './identity.ts';
import { foreignRecord, isBytes, signStatement, statementBytes } from './statement.ts';

/**
 * A member's word that it has left for good, told when the group has agreed.
 *
 * - G5 It counts when the member itself signed it, and ends one certificate: whoever comes back by a ticket has another one.
 */
export interface Departure {
  readonly meshId: MeshId;
  readonly peerId: PeerId;
  /** Of the certificate that it ends, 64 bytes. */
  readonly certificateSignature: Uint8Array;
  /** By the key of the peer itself, 64 bytes. */
  readonly signature: Uint8Array;
}

const LABEL = 'aspen departure v1';
const DEPARTURE_BYTES_LIMIT = 512;

/** @returns the departure, encoded. */
export function signDeparture(
  { crypto, seed }: { readonly crypto: Crypto; readonly seed: Uint8Array },
  unsigned: Omit<Departure, 'signature'>,
): Uint8Array {
  return encode({ ...unsigned, signature: signStatement(crypto, seed, LABEL, fieldsOf(unsigned)) });
}

/** @returns undefined when it is no departure from this mesh that its peer signed, whatever the bytes are. */
export function verifyDeparture(
  { crypto, meshId }: { readonly crypto: Crypto; readonly meshId: MeshId | undefined },
  foreign: unknown,
): Departure | undefined {
  const { peerId, certificateSignature, signature, ...rest } =
    foreignRecord(foreign, DEPARTURE_BYTES_LIMIT) ?? {};
  if (meshId === undefined || rest['meshId'] !== meshId || !isPeerId(peerId)) return undefined;
  if (!isBytes(certificateSignature, 64) || !isBytes(signature, 64)) return undefined;
  const departure = { meshId, peerId, certificateSignature, signature };
  const isSigned = crypto.verify(publicKeyOf(peerId), statementBytes(LABEL, fieldsOf(departure)), signature);
  return isSigned ? departure : undefined;
}

/** Names one membership: whoever comes back and leaves again leaves another one. */
export function departureKey({
  peerId,
  certificateSignature,
}: Pick<Departure, 'peerId' | 'certificateSignature'>): string {
  return `${peerId} ${Buffer.from(certificateSignature.subarray(0, 12)).toString('hex')}`;
}

function fieldsOf({ meshId, peerId, certificateSignature }: Omit<Departure, 'signature'>) {
  return [meshId, peerId, certificateSignature];
}
