import { AspenError, type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import { type Identity, isPeerId, publicKeyOf } from './identity.ts';
import { foreignRecord, isBytes, isWallMs, signStatement, statementBytes } from './statement.ts';

/** H3: where a member says it is reached, signed by itself. Whoever keeps it for others can withhold it, and not change it. */
export interface AddressRecord {
  readonly peerId: PeerId;
  /** Multiaddrs, the best first. */
  readonly addresses: readonly string[];
  /** Wall time of the member; of two records the later one counts. */
  readonly issuedAtMs: number;
}

export interface AddressRecordVerifier {
  readonly crypto: Crypto;
  readonly meshId: MeshId;
}

const LABEL = 'aspen addresses v1';
export const ADDRESS_RECORD_BYTES_LIMIT = 3 * 2 ** 10;
export const RECORDED_ADDRESSES_LIMIT = 8;
const ADDRESS_CHARACTERS_LIMIT = 256;

/** @returns the signed record, at most {@link ADDRESS_RECORD_BYTES_LIMIT} bytes: addresses that do not fit are left out. */
export function signAddressRecord(
  { crypto, meshId, identity }: AddressRecordVerifier & { readonly identity: Identity },
  { addresses, issuedAtMs }: Omit<AddressRecord, 'peerId'>,
): Uint8Array {
  const { peerId, seed } = identity;
  const told = addresses.filter(isAddress).slice(0, RECORDED_ADDRESSES_LIMIT);
  const record = { peerId, addresses: told, issuedAtMs };
  const signature = signStatement(crypto, seed, LABEL, fieldsOf(meshId, record));
  return encode({ ...record, signature });
}

/**
 * @param foreign encoded bytes.
 * @throws AspenError DENIED with the reason, whatever the bytes are.
 */
export function verifyAddressRecord(
  { crypto, meshId }: AddressRecordVerifier,
  foreign: Uint8Array,
): AddressRecord {
  const read = readRecord(foreign);
  if (read === undefined) throw denied('it is malformed');
  const { signature, ...record } = read;
  if (!crypto.verify(publicKeyOf(record.peerId), statementBytes(LABEL, fieldsOf(meshId, record)), signature))
    throw denied('its signature does not hold');
  return record;
}

/** Under which name a table keeps the record of a member: it tells neither the mesh nor the member to whoever does not know both. */
export function addressRecordName({ crypto, meshId }: AddressRecordVerifier, peerId: PeerId): string {
  return hashOf(crypto, 'aspen address of', [meshId, peerId]);
}

/** Under which name a table keeps who can be asked about the mesh. */
export function meshRecordName({ crypto, meshId }: AddressRecordVerifier): Uint8Array {
  return crypto.sha256(statementBytes('aspen members of', [meshId]));
}

function hashOf(crypto: Crypto, label: string, fields: readonly string[]): string {
  return Buffer.from(crypto.sha256(statementBytes(label, fields))).toString('hex');
}

function fieldsOf(meshId: MeshId, { peerId, addresses, issuedAtMs }: AddressRecord) {
  return [meshId, peerId, issuedAtMs, ...addresses];
}

function readRecord(foreign: Uint8Array): (AddressRecord & { readonly signature: Uint8Array }) | undefined {
  const { peerId, addresses, issuedAtMs, signature } =
    foreignRecord(foreign, ADDRESS_RECORD_BYTES_LIMIT) ?? {};
  if (!isPeerId(peerId) || !isWallMs(issuedAtMs) || !isBytes(signature, 64)) return undefined;
  if (!Array.isArray(addresses) || addresses.length > RECORDED_ADDRESSES_LIMIT) return undefined;
  if (!addresses.every(isAddress)) return undefined;
  return { peerId, addresses, issuedAtMs, signature };
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('/') && value.length <= ADDRESS_CHARACTERS_LIMIT;
}

function denied(reason: string): AspenError {
  return new AspenError('DENIED', `the record of addresses does not count: ${reason}`);
}
