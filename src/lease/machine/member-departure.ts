import { z } from 'zod';
import { AspenError, type PeerId } from '../../base/index.ts';
import { textKey } from '../../storage/index.ts';
import { bytes, peerId, rootNumber } from './member-fields.ts';
import { listMembers, type Member, wasRevoked } from './member-records.ts';
import type { ApplyContext } from './module.ts';
import { knowsRoot, noteMembersChanged, requirePresentRoot } from './root-succession.ts';

export const revokeSchema = z.object({ peerId, revocation: bytes, rootNumber });

export function applyRevokeMember(
  { peerId, revocation, rootNumber: number }: z.infer<typeof revokeSchema>,
  context: ApplyContext,
) {
  const members = context.table<Member>('members');
  const member = members.get(textKey(peerId));
  if (member === undefined) throw new AspenError('NOT_FOUND', `${peerId} is not a member`);
  if (member.revokedAtMs === null) {
    requireAnotherVoter(context, peerId);
    requirePresentRoot(context, number); // M5
    members.put(textKey(peerId), { ...member, revokedAtMs: context.wallMs, revocation });
    noteMembersChanged(context, knowsRoot(context, peerId) ? { revokedKeeper: peerId } : {});
    context.table<Uint8Array>('custody').delete(textKey(peerId)); // M4
    context.emit({ type: 'revoked', peerId, revocation });
  }
  return { peerId, revoked: true };
}

export function applyLeave({ peerId }: { readonly peerId: PeerId }, context: ApplyContext) {
  const member = context.table<Member>('members').get(textKey(peerId));
  if (member === undefined) return { peerId, left: true };
  if (member.revokedAtMs !== null) throw wasRevoked(peerId);
  requireAnotherVoter(context, peerId);
  noteMembersChanged(context, knowsRoot(context, peerId) ? { leavingKeeper: peerId } : {});
  context.table<Member>('members').delete(textKey(peerId));
  context.table<Uint8Array>('custody').delete(textKey(peerId)); // M4
  context.emit({ type: 'left', peerId });
  return { peerId, left: true };
}

/** Without a member who may vote there would be no group, and nobody to admit another. */
function requireAnotherVoter(context: ApplyContext, peerId: PeerId): void {
  const others = listMembers(context).filter(
    (member) => member.peerId !== peerId && member.revokedAtMs === null && member.role === 'voter',
  );
  if (others.length > 0) return;
  throw new AspenError('CONFLICT', `${peerId} is the only member that may vote: the mesh would end with it`);
}
