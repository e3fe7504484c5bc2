import { AspenError, type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import { isPeerId } from './identity.ts';
import { meshIdOf } from './mesh-id.ts';
import { isRole, type Role } from './roles.ts';
import { foreignRecord, isBytes, isWallMs, signStatement, statementBytes } from './statement.ts';

/**
 * The mesh's word that a peer belongs to it.
 *
 * - C1 A certificate holds only when its root key is the one the mesh id was derived from or a successor of it that is believed here, and that
 *   key signed every field.
 * - C2 It never expires: a node that was off for a year comes back without help. Only a revocation ends it, or a succession of the root key
 *   whose list it is not on.
 * - C3 It proves nothing about who shows it; the handshake does. Whoever accepts one compares `peerId` with the authenticated peer.
 */
export interface Certificate {
  readonly meshId: MeshId;
  /** Ed25519, 32 bytes. */
  readonly rootPublicKey: Uint8Array;
  readonly peerId: PeerId;
  readonly role: Role;
  /** X25519 key of the peer, 32 bytes: what the root key is sealed to when the peer becomes a voter. */
  readonly sealingKey: Uint8Array;
  /** Wall time of the signer. */
  readonly issuedAtMs: number;
  /** The ticket it was given for; null for the founder. */
  readonly ticketId: string | null;
  /** By the root key, 64 bytes. */
  readonly signature: Uint8Array;
}

/** What the signer states; mesh id and root public key follow from the root key. */
export type CertificateFacts = Pick<
  Certificate,
  'peerId' | 'role' | 'sealingKey' | 'issuedAtMs' | 'ticketId'
>;

const LABEL = 'aspen certificate v1';
export const CERTIFICATE_BYTES_LIMIT = 1_024;
const TICKET_ID_LIMIT = 64;
/** `details.reason` where asking the other one for later root keys can help. */
export const UNKNOWN_ROOT = 'unknown-root';

/** Signs in the name of the mesh. */
export interface RootSigner {
  readonly crypto: Crypto;
  /** The mesh's present root key, 32 secret bytes. */
  readonly rootSeed: Uint8Array;
  /** @default as it was derived from the first root key */
  readonly meshId?: MeshId;
}

/** Decides what a root key signed. */
export interface RootVerifier {
  readonly crypto: Crypto;
  readonly meshId: MeshId;
  /** The successors of the first root key that are believed. @default none */
  readonly roots?: { numberOf(rootPublicKey: Uint8Array): number | undefined };
}

export interface CertificateVerifier extends RootVerifier {
  /** Whether a signature over these very fields was found to hold before. @default each is checked */
  readonly isProven?: (certificate: Certificate) => boolean;
  /** For simulations of many nodes in one process, which share what they read alike. @default {@link readCertificate} */
  readonly read?: ((foreign: unknown) => Certificate | undefined) | undefined;
}

/** @returns the number of a root key of the mesh; undefined for any other. */
export function rootNumberOf(
  { crypto, meshId, roots }: RootVerifier,
  rootPublicKey: Uint8Array,
): number | undefined {
  if (roots !== undefined) return roots.numberOf(rootPublicKey);
  return meshIdOf(crypto, rootPublicKey) === meshId ? 0 : undefined;
}

export function signCertificate(
  { crypto, rootSeed, ...signer }: RootSigner,
  facts: CertificateFacts,
): Certificate {
  const rootPublicKey = crypto.signingPublicKey(rootSeed);
  const { peerId, role, sealingKey, issuedAtMs, ticketId } = facts;
  const meshId = signer.meshId ?? meshIdOf(crypto, rootPublicKey);
  const unsigned = { meshId, rootPublicKey, peerId, role, sealingKey, issuedAtMs, ticketId };
  return { ...unsigned, signature: signStatement(crypto, rootSeed, LABEL, fieldsOf(unsigned)) };
}

/** @returns at most {@link CERTIFICATE_BYTES_LIMIT} bytes. */
export function encodeCertificate(certificate: Certificate): Uint8Array {
  return encode(certificate);
}

/**
 * @param foreign encoded bytes, or the value they decode to.
 * @returns the certificate, checked to be of this mesh (C1).
 * @throws AspenError DENIED with the reason, whatever the bytes are.
 */
export function verifyCertificate(verifier: CertificateVerifier, foreign: unknown): Certificate {
  const { crypto, meshId, isProven, read = readCertificate } = verifier;
  const certificate = read(foreign);
  if (certificate === undefined) throw denied('it is malformed');
  if (certificate.meshId !== meshId)
    throw denied(`it is for mesh ${certificate.meshId}, this is mesh ${meshId}`);
  if (rootNumberOf(verifier, certificate.rootPublicKey) === undefined)
    throw denied('its root key is not the key of the mesh', UNKNOWN_ROOT);
  if (isProven?.(certificate) === true) return certificate;
  const signed = statementBytes(LABEL, fieldsOf(certificate));
  if (!crypto.verify(certificate.rootPublicKey, signed, certificate.signature)) {
    throw denied('its signature does not hold');
  }
  return certificate;
}

/** Whether all that is signed, and the signature, are the same. */
export function isSameCertificate(left: Certificate, right: Certificate): boolean {
  if (left === right) return true;
  const others = [...fieldsOf(right), right.signature];
  return [...fieldsOf(left), left.signature].every((field, at) => isSameField(field, others[at]));
}

function isSameField(left: unknown, right: unknown): boolean {
  if (!(left instanceof Uint8Array) || !(right instanceof Uint8Array)) return left === right;
  return Buffer.compare(left, right) === 0;
}

/** @returns 32 bytes that name a certificate, every field and the signature. */
export function certificateHash(crypto: Crypto, certificate: Certificate): Uint8Array {
  return crypto.sha256(statementBytes(LABEL, [...fieldsOf(certificate), certificate.signature]));
}

function fieldsOf(certificate: Omit<Certificate, 'signature'>) {
  const { meshId, rootPublicKey, peerId, role, sealingKey, issuedAtMs, ticketId } = certificate;
  return [meshId, rootPublicKey, peerId, role, sealingKey, issuedAtMs, ticketId];
}

/** @returns undefined when the foreign value has not its shape. Says nothing about its signature. */
export function readCertificate(foreign: unknown): Certificate | undefined {
  const { meshId, rootPublicKey, peerId, role, sealingKey, issuedAtMs, ticketId, signature } =
    foreignRecord(foreign, CERTIFICATE_BYTES_LIMIT) ?? {};
  const isTicketId =
    ticketId === null || (typeof ticketId === 'string' && ticketId.length <= TICKET_ID_LIMIT);
  if (typeof meshId !== 'string' || !isPeerId(peerId) || !isRole(role) || !isTicketId) return undefined;
  if (!isBytes(rootPublicKey, 32) || !isBytes(sealingKey, 32) || !isBytes(signature, 64)) return undefined;
  if (!isWallMs(issuedAtMs)) return undefined;
  return {
    meshId: meshId as MeshId,
    rootPublicKey,
    peerId,
    role,
    sealingKey,
    issuedAtMs,
    ticketId,
    signature,
  };
}

function denied(reason: string, name?: string): AspenError {
  const details = name === undefined ? {} : { details: { reason: name } };
  return new AspenError('DENIED', `the certificate does not count: ${reason}`, details);
}
