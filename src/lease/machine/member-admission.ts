import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { textKey } from '../../storage/index.ts';
import { bytes, key32, peerId, rootNumber, ticketId, version } from './member-fields.ts';
import { MESH_KEY, type Member, type MeshRecord, wasRevoked } from './member-records.ts';
import type { ApplyContext } from './module.ts';
import { noteMembersChanged, readRootState, requirePresentRoot } from './root-succession.ts';
import { type TicketRecord, ticketRefusal } from './ticket-rules.ts';

const newcomer = { peerId, sealingKey: key32, certificate: bytes };

export const foundSchema = z.object({
  meshId: z.string().min(1).max(64),
  rootPublicKey: key32,
  founder: z.object(newcomer),
  custody: bytes,
  version,
});

export const admitSchema = z.object({ ticketId, secretHash: key32, ...newcomer, rootNumber });

export function applyFound(
  body: z.infer<typeof foundSchema>,
  context: ApplyContext,
): { readonly meshId: string } {
  const mesh = context.table<MeshRecord>('mesh').get(MESH_KEY);
  if (mesh?.meshId === body.meshId) return { meshId: mesh.meshId };
  if (mesh !== undefined) {
    throw new AspenError('CONFLICT', `this group belongs to mesh ${mesh.meshId} already`, {
      details: { current: mesh.meshId },
    }); // M1
  }
  const { meshId, rootPublicKey, founder, custody } = body;
  context.table<MeshRecord>('mesh').put(MESH_KEY, { meshId, rootPublicKey, foundedAtMs: context.wallMs });
  putMember(context, { ...founder, role: 'voter', ticketId: null, understandsVersion: body.version });
  context.table<Uint8Array>('custody').put(textKey(founder.peerId), custody);
  return { meshId };
}

/** M2, M3 */
export function applyAdmit(
  body: z.infer<typeof admitSchema>,
  context: ApplyContext,
): { certificate: Uint8Array } {
  const known = context.table<Member>('members').get(textKey(body.peerId));
  if (known !== undefined && known.revokedAtMs !== null) throw wasRevoked(body.peerId); // M3
  const tickets = context.table<TicketRecord>('tickets');
  const ticket = tickets.get(textKey(body.ticketId));
  const isSecretRight = ticket !== undefined && sameBytes(ticket.secretHash, body.secretHash);
  const isOfPresentRoot = (known?.rootNumber ?? 0) === readRootState(context).number;
  if (known !== undefined && isSecretRight && isOfPresentRoot) return { certificate: known.certificate }; // M2
  const refusal = ticketRefusal(body.ticketId, ticket, { isSecretRight, wallMs: context.wallMs });
  if (refusal !== undefined || ticket === undefined) throw refusal; // M2
  requirePresentRoot(context, body.rootNumber); // M5
  tickets.put(textKey(ticket.id), { ...ticket, redeemedBy: [...ticket.redeemedBy, body.peerId] });
  const { peerId, sealingKey, certificate } = body;
  putMember(context, {
    peerId,
    sealingKey,
    certificate,
    role: ticket.role,
    ticketId: ticket.id,
    understandsVersion: known?.understandsVersion ?? 1,
    rootNumber: body.rootNumber,
  });
  return { certificate };
}

function putMember(
  context: ApplyContext,
  member: Omit<Member, 'admittedAtMs' | 'revokedAtMs' | 'revocation'>,
): void {
  context.table<Member>('members').put(textKey(member.peerId), {
    ...member,
    admittedAtMs: context.wallMs,
    revokedAtMs: null,
    revocation: null,
  });
  noteMembersChanged(context);
  context.emit({ type: 'admitted', peerId: member.peerId, certificate: member.certificate });
}

/** Hashes are no secrets: the leader compared the secret itself before it proposed. */
function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
