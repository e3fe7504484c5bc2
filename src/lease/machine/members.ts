import { z } from 'zod';
import { AspenError, type PeerId } from '../../base/index.ts';
import { isPeerId, isRole, type Role, roleAllows } from '../../mesh/index.ts';
import { textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import type { ApplyContext, MachineModule, QueryContext } from './module.ts';
import {
  applySucceed,
  knowsRoot,
  noteMembersChanged,
  readRootRecords,
  readRootState,
  requirePresentRoot,
  succeedSchema,
} from './root-succession.ts';
import { type TicketRecord, ticketRefusal } from './ticket-rules.ts';

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

/** Tickets kept; creating one more drops those that nobody can use any more. */
const TICKETS_LIMIT = 10_000;
const MESH_KEY = 'mesh';

const peerId = z.custom<PeerId>(isPeerId, 'expected a peer id');
const role = z.custom<Role>(isRole, 'expected a role: voter, worker, submitter or observer');
const key32 = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === 32,
  'expected 32 bytes',
);
const bytes = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length > 0 && value.length <= 4_096,
  'expected 1 to 4096 bytes',
);
const ticketId = z.string().min(1).max(64);
const wallMs = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const version = z.number().int().min(1);

const newcomer = { peerId, sealingKey: key32, certificate: bytes };
const foundSchema = z.object({
  meshId: z.string().min(1).max(64),
  rootPublicKey: key32,
  founder: z.object(newcomer),
  custody: bytes,
  version,
});
const createTicketSchema = z.object({
  id: ticketId,
  role,
  secretHash: key32,
  expiresAtMs: wallMs,
  uses: z.number().int().min(1).max(10_000),
});
/** Of the root key that signed what the command carries. */
const rootNumber = z.number().int().min(0).default(0);
const admitSchema = z.object({ ticketId, secretHash: key32, ...newcomer, rootNumber });
const revokeSchema = z.object({ peerId, revocation: bytes, rootNumber });
const custodySchema = z.object({
  sealed: z
    .array(z.object({ peerId, box: bytes }))
    .min(1)
    .max(64),
});
const understandsSchema = z.object({ peerId, version });

/**
 * Who belongs to the mesh, by which ticket, and who keeps its root key.
 *
 * - M1 A mesh is founded once.
 * - M2 A ticket admits at most `uses` different peers, none after its expiry or revocation; a peer it admitted gets the same answer again.
 * - M3 A revoked peer never comes back under that name.
 * - M4 The root key is sealed only for members who may vote, and is taken from whoever leaves or is revoked.
 * - M5 Once somebody is revoked to whom the root key was sealed, it is due to be replaced: by a key that only those who stay are given, together
 *   with the list of the members' certificates, and with an end to every ticket of before. What a replaced key signs is no longer agreed to.
 */
export const membersModule: MachineModule = {
  name: 'members',
  tables: ['members', 'tickets', 'custody', 'mesh', 'roots'],
  commands: {
    found: { since: 1, parse: parseWith(foundSchema), apply: applyFound },
    createTicket: {
      since: 1,
      isLeadersOnly: true,
      parse: parseWith(createTicketSchema),
      apply: applyCreateTicket,
    },
    revokeTicket: {
      since: 1,
      isLeadersOnly: true,
      parse: parseWith(z.object({ id: ticketId })),
      apply: applyRevokeTicket,
    },
    admit: { since: 1, isLeadersOnly: true, parse: parseWith(admitSchema), apply: applyAdmit },
    revokeMember: { since: 1, isLeadersOnly: true, parse: parseWith(revokeSchema), apply: applyRevokeMember },
    leave: { since: 1, isLeadersOnly: true, parse: parseWith(z.object({ peerId })), apply: applyLeave },
    custody: { since: 1, isLeadersOnly: true, parse: parseWith(custodySchema), apply: applyCustody },
    succeed: { since: 1, isLeadersOnly: true, parse: parseWith(succeedSchema), apply: applySucceed },
    understands: {
      since: 1,
      isLeadersOnly: true,
      parse: parseWith(understandsSchema),
      apply: applyUnderstands,
    },
  },
  queries: {
    /** Everybody, revoked members included. */
    list: { parse: () => null, run: (_body, context) => ({ members: listMembers(context) }) },
    get: {
      parse: parseWith(z.object({ peerId })),
      run: (body: { peerId: PeerId }, { table }) =>
        table<Member>('members').get(textKey(body.peerId)) ?? null,
    },
    tickets: {
      parse: () => null,
      run: (_body, { table }) => ({
        tickets: Array.from(table<TicketRecord>('tickets').range({}), ([, ticket]) => ticket),
      }),
    },
    /** Number of the present root key, when it came, and whether another one is due. */
    root: { parse: () => null, run: (_body, context) => rootReport(context) },
    mesh: {
      parse: () => null,
      run: (_body, { table }) => table<MeshRecord>('mesh').get(MESH_KEY) ?? null,
    },
  },
};

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

function roleText(member: Member | undefined): string {
  if (member === undefined) return 'none';
  return member.revokedAtMs === null ? member.role : 'revoked';
}

/** @returns everybody the group knows, revoked members included. */
export function listMembers(context: Pick<QueryContext, 'table'>): Member[] {
  return Array.from(context.table<Member>('members').range({}), ([, member]) => member);
}

function rootReport(context: QueryContext) {
  const { number, due } = readRootState(context);
  return { number, due: [...due], sinceMs: readRootRecords(context).at(-1)?.atMs ?? null };
}

function applyFound(body: z.infer<typeof foundSchema>, context: ApplyContext): { readonly meshId: string } {
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

function applyCreateTicket(body: z.infer<typeof createTicketSchema>, context: ApplyContext): TicketRecord {
  const tickets = context.table<TicketRecord>('tickets');
  if (tickets.get(textKey(body.id)) !== undefined) {
    throw new AspenError('CONFLICT', `there is a ticket ${body.id} already`);
  }
  const all = Array.from(tickets.range({}), ([, ticket]) => ticket);
  if (all.length >= TICKETS_LIMIT) dropDead(all, context);
  const ticket: TicketRecord = { ...body, redeemedBy: [], revokedAtMs: null };
  tickets.put(textKey(body.id), ticket);
  return ticket;
}

function dropDead(all: readonly TicketRecord[], context: ApplyContext): void {
  const dead = all.filter(
    ({ revokedAtMs, expiresAtMs }) => revokedAtMs !== null || expiresAtMs < context.wallMs,
  );
  if (dead.length === 0) {
    throw new AspenError('RESOURCE_EXHAUSTED', `there are ${all.length} valid tickets, revoke some first`, {
      details: { limit: 'TICKETS_LIMIT' },
    });
  }
  for (const { id } of dead) context.table<TicketRecord>('tickets').delete(textKey(id));
}

function applyRevokeTicket({ id }: { readonly id: string }, context: ApplyContext) {
  const tickets = context.table<TicketRecord>('tickets');
  const ticket = tickets.get(textKey(id));
  if (ticket === undefined) throw new AspenError('NOT_FOUND', `there is no ticket ${id}`);
  if (ticket.revokedAtMs === null) tickets.put(textKey(id), { ...ticket, revokedAtMs: context.wallMs });
  return { id, revoked: true };
}

function applyAdmit(body: z.infer<typeof admitSchema>, context: ApplyContext): { certificate: Uint8Array } {
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

function applyRevokeMember(
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

function applyLeave({ peerId }: { readonly peerId: PeerId }, context: ApplyContext) {
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

function applyCustody({ sealed }: z.infer<typeof custodySchema>, context: ApplyContext) {
  for (const { peerId, box } of sealed) {
    const member = context.table<Member>('members').get(textKey(peerId));
    if (member === undefined || member.revokedAtMs !== null || member.role !== 'voter') {
      throw new AspenError('DENIED', `${peerId} is no member that may keep the root key`); // M4
    }
    context.table<Uint8Array>('custody').put(textKey(peerId), box);
  }
  return { kept: sealed.length };
}

function applyUnderstands({ peerId, version }: z.infer<typeof understandsSchema>, context: ApplyContext) {
  const members = context.table<Member>('members');
  const member = members.get(textKey(peerId));
  if (member === undefined) throw new AspenError('NOT_FOUND', `${peerId} is not a member`);
  members.put(textKey(peerId), { ...member, understandsVersion: version });
  return { version };
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

function wasRevoked(peerId: PeerId): AspenError {
  return new AspenError('DENIED', `${peerId} was revoked from this mesh`, {
    details: { reason: 'member-revoked' },
  });
}

/** Hashes are no secrets: the leader compared the secret itself before it proposed. */
function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
