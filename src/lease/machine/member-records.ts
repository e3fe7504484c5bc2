import { AspenError, type PeerId } from '../../base/index.ts';
import { type Role, roleAllows } from '../../mesh/index.ts';
import { textKey } from '../../storage/index.ts';
import type { QueryContext } from './module.ts';

export interface Member {
  readonly peerId: PeerId;
  readonly role: Role;
  /** X25519, 32 bytes: what the root key is sealed to. */
  readonly sealingKey: Uint8Array;
  /** As signed with the mesh's root key. */
  readonly certificate: Uint8Array;
  /** Wall time. */
  readonly admittedAtMs: number;
  readonly ticketId: string | null;
  readonly revokedAtMs: number | null;
  readonly revocation: Uint8Array | null;
  /** Newest machine version that its software understands, as far as it said. */
  readonly understandsVersion: number;
  /** Of the root key that signed the certificate. @default 0 */
  readonly rootNumber?: number;
}

export interface MeshRecord {
  readonly meshId: string;
  /** The present root key, Ed25519, 32 bytes. */
  readonly rootPublicKey: Uint8Array;
  readonly foundedAtMs: number;
}

/** Where the one {@link MeshRecord} is. */
export const MESH_KEY = 'mesh';

/** @throws AspenError DENIED unless `peerId` is a member whose role allows what `needed` allows. */
export function requireRole(
  context: Pick<QueryContext, 'read'>,
  peerId: PeerId,
  { needed, deed }: { readonly needed: Role; readonly deed: string },
): void {
  const member = context.read<Member>('members', 'members').get(textKey(peerId));
  if (member !== undefined && member.revokedAtMs === null && roleAllows(member.role, needed)) return;
  throw new AspenError('DENIED', `${peerId} may not ${deed}: its role is ${roleText(member)}`);
}

/** @returns everybody the group knows, revoked members included. */
export function listMembers(context: Pick<QueryContext, 'table'>): Member[] {
  return Array.from(context.table<Member>('members').range({}), ([, member]) => member);
}

/** M3: why nobody comes back under a name that was revoked. */
export function wasRevoked(peerId: PeerId): AspenError {
  return new AspenError('DENIED', `${peerId} was revoked from this mesh`, {
    details: { reason: 'member-revoked' },
  });
}

function roleText(member: Member | undefined): string {
  if (member === undefined) return 'none';
  return member.revokedAtMs === null ? member.role : 'revoked';
}
