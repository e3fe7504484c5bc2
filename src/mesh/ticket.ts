import { AspenError, type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import type { RootSigner } from './certificate.ts';
import { isPeerId } from './identity.ts';
import { isMeshId, meshIdOf } from './mesh-id.ts';
import { isRole, type Role } from './roles.ts';
import { foreignRecord, isBytes, isWallMs, signStatement, statementBytes } from './statement.ts';

/** A member that the joiner may try, and where. */
export interface TicketMember {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
}

/**
 * What the mesh promises to whoever brings the secret. The secret itself is not here: the signer needs, and the agreed state
 * keeps, only its hash.
 */
export interface TicketGrant {
  /** `tkt_...` */
  readonly id: string;
  readonly meshId: MeshId;
  /** Ed25519, 32 bytes. */
  readonly rootPublicKey: Uint8Array;
  readonly role: Role;
  /** Wall time after which the group refuses it. */
  readonly expiresAtMs: number;
  /** How many joiners it admits. */
  readonly uses: number;
  /** {@link secretHash} of the secret, 32 bytes. */
  readonly secretHash: Uint8Array;
  /** By the root key, over all of the above, 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * An invitation: a grant, its secret, and whom to ask.
 *
 * - K1 Whatever was changed in the text is noticed: by the checksum when it was an accident, by the signature when it was not.
 * - K3 The mesh id follows from the root key, or stands under the signature where the root key is a later one: then the joiner follows the
 *   signatures from the mesh id to this key before it believes anything (R5).
 * - K2 `members` is not under the signature, so that any member can issue a ticket with the addresses it knows at that moment, after
 *   the leader has signed the grant. Changing the list on the way does no harm: the joiner tells its secret only to a peer that has
 *   shown a certificate of this very mesh for its own authenticated peer id, and the mesh's root key is under the signature.
 *   A forged list can only lead nowhere, as cutting the network would.
 */
export interface Ticket extends TicketGrant {
  /** 16 bytes. */
  readonly secret: Uint8Array;
  readonly members: readonly TicketMember[];
}

/** What `ticket inspect` may show: everything but the secret. */
export interface TicketFacts {
  readonly id: string;
  readonly meshId: MeshId;
  readonly role: Role;
  readonly expiresAtMs: number;
  readonly uses: number;
  readonly members: readonly TicketMember[];
}

const PREFIX = 'aspen1';
const LABEL = 'aspen ticket v1';
const SECRET_LABEL = 'aspen ticket secret v1';
const CHECKSUM_BYTES = 4;
export const TICKET_SECRET_BYTES = 16;
export const TICKET_MEMBERS_LIMIT = 5;
export const TICKET_ADDRESSES_LIMIT = 8;
const ADDRESS_CHARACTERS_LIMIT = 256;
const USES_LIMIT = 10_000;
const TICKET_CHARACTERS_LIMIT = 16_384;

/** @param facts with the hash of the secret: the signer need not know the secret. */
export function signTicket(
  { crypto, rootSeed, meshId }: RootSigner,
  facts: Pick<TicketGrant, 'id' | 'role' | 'expiresAtMs' | 'uses' | 'secretHash'>,
): TicketGrant {
  const rootPublicKey = crypto.signingPublicKey(rootSeed);
  const { id, role, expiresAtMs, uses, secretHash } = facts;
  const unsigned = {
    id,
    meshId: meshId ?? meshIdOf(crypto, rootPublicKey),
    rootPublicKey,
    role,
    expiresAtMs,
    uses,
    secretHash,
  };
  return { ...unsigned, signature: signStatement(crypto, rootSeed, LABEL, fieldsOf(unsigned)) };
}

/**
 * @param ticket its members beyond {@link TICKET_MEMBERS_LIMIT}, and their addresses beyond {@link TICKET_ADDRESSES_LIMIT}, are left out.
 * @returns `aspen1` and base64url.
 */
export function encodeTicket(crypto: Crypto, ticket: Ticket): string {
  const members = ticket.members
    .slice(0, TICKET_MEMBERS_LIMIT)
    .map(({ peerId, addresses }) => [peerId, addresses.slice(0, TICKET_ADDRESSES_LIMIT)]);
  const { id, meshId, rootPublicKey, role, expiresAtMs, uses, secret, signature } = ticket;
  const isOfFirstRoot = meshIdOf(crypto, rootPublicKey) === meshId;
  const body = encode({
    ...(isOfFirstRoot ? { v: 1 } : { v: 2, mesh: meshId }),
    id,
    root: rootPublicKey,
    role,
    until: expiresAtMs,
    uses,
    secret,
    members,
    sig: signature,
  });
  return PREFIX + Buffer.concat([body, checksum(crypto, body)]).toString('base64url');
}

/**
 * @throws AspenError INVALID_PARAMS when the text is not a ticket or was damaged, DENIED when no mesh has signed it.
 * Whether it has expired or is used up is the group's to say.
 */
export function decodeTicket(crypto: Crypto, text: string): Ticket {
  const ticket = readTicket(crypto, ticketBody(crypto, text.trim()));
  if (ticket === undefined) throw notATicket('its content is malformed');
  if (!crypto.verify(ticket.rootPublicKey, statementBytes(LABEL, fieldsOf(ticket)), ticket.signature)) {
    throw new AspenError('DENIED', `ticket ${ticket.id} was changed: its signature does not hold`);
  }
  return ticket;
}

export function ticketFacts(ticket: Ticket): TicketFacts {
  const { id, meshId, role, expiresAtMs, uses, members } = ticket;
  return { id, meshId, role, expiresAtMs, uses, members };
}

/** @returns 32 bytes; what the group compares with {@link Crypto.equal}. */
export function secretHash(crypto: Crypto, secret: Uint8Array): Uint8Array {
  return crypto.sha256(statementBytes(SECRET_LABEL, [secret]));
}

function fieldsOf(grant: Omit<TicketGrant, 'signature'>) {
  const { id, meshId, rootPublicKey, role, expiresAtMs, uses, secretHash: hash } = grant;
  return [id, meshId, rootPublicKey, role, expiresAtMs, uses, hash];
}

function ticketBody(crypto: Crypto, text: string): Uint8Array {
  if (!text.startsWith(PREFIX)) throw notATicket(`it does not begin with ${PREFIX}`);
  if (text.length > TICKET_CHARACTERS_LIMIT)
    throw notATicket(`it is longer than ${TICKET_CHARACTERS_LIMIT} characters`);
  const code = text.slice(PREFIX.length);
  const bytes = new Uint8Array(Buffer.from(code, 'base64url'));
  // Buffer skips what it does not know and ignores spare bits at the end: only the one text that encodes these bytes is a ticket.
  const isCanonical = Buffer.from(bytes).toString('base64url') === code;
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  if (!isCanonical || !crypto.equal(checksum(crypto, body), bytes.subarray(body.length))) {
    throw notATicket('a character is wrong or missing');
  }
  return body;
}

function checksum(crypto: Crypto, body: Uint8Array): Uint8Array {
  return crypto.sha256(body).subarray(0, CHECKSUM_BYTES);
}

function readTicket(crypto: Crypto, body: Uint8Array): Ticket | undefined {
  const { v, mesh, id, root, role, until, uses, secret, members, sig } =
    foreignRecord(body, TICKET_CHARACTERS_LIMIT) ?? {};
  if (
    !(v === 1 || (v === 2 && isMeshId(mesh))) ||
    typeof id !== 'string' ||
    !/^tkt_[0-9a-z]{1,40}$/.test(id) ||
    !isRole(role)
  )
    return undefined;
  if (!isBytes(root, 32) || !isBytes(secret, TICKET_SECRET_BYTES) || !isBytes(sig, 64)) return undefined;
  if (!isWallMs(until) || !isUses(uses)) return undefined;
  const named = readMembers(members);
  if (named === undefined) return undefined;
  return {
    id,
    meshId: v === 2 ? (mesh as MeshId) : meshIdOf(crypto, root),
    rootPublicKey: root,
    role,
    expiresAtMs: until,
    uses,
    secretHash: secretHash(crypto, secret),
    signature: sig,
    secret,
    members: named,
  };
}

function isUses(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= USES_LIMIT;
}

function readMembers(members: unknown): TicketMember[] | undefined {
  if (!Array.isArray(members) || members.length === 0 || members.length > TICKET_MEMBERS_LIMIT)
    return undefined;
  const named: TicketMember[] = [];
  for (const member of members) {
    const [peerId, addresses] = Array.isArray(member) ? member : [];
    if (!isPeerId(peerId) || !isAddressList(addresses)) return undefined;
    named.push({ peerId, addresses });
  }
  return named;
}

function isAddressList(value: unknown): value is string[] {
  const isAddress = (item: unknown) =>
    typeof item === 'string' && item.startsWith('/') && item.length <= ADDRESS_CHARACTERS_LIMIT;
  return Array.isArray(value) && value.length <= TICKET_ADDRESSES_LIMIT && value.every(isAddress);
}

function notATicket(reason: string): AspenError {
  return new AspenError(
    'INVALID_PARAMS',
    `not a usable ticket: ${reason}; copy it whole, it begins with ${PREFIX}`,
  );
}
