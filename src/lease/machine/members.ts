import { z } from 'zod';
import { AspenError, type PeerId } from '../../base/index.ts';
import { textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import { admitSchema, applyAdmit, applyFound, foundSchema } from './member-admission.ts';
import { applyLeave, applyRevokeMember, revokeSchema } from './member-departure.ts';
import { bytes, peerId, ticketId, version } from './member-fields.ts';
import { listMembers, MESH_KEY, type Member, type MeshRecord } from './member-records.ts';
import type { ApplyContext, MachineModule, QueryContext } from './module.ts';
import { applySucceed, readRootRecords, readRootState, succeedSchema } from './root-succession.ts';
import type { TicketRecord } from './ticket-rules.ts';
import { applyCreateTicket, applyRevokeTicket, createTicketSchema } from './tickets.ts';

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

function rootReport(context: QueryContext) {
  const { number, due } = readRootState(context);
  return { number, due: [...due], sinceMs: readRootRecords(context).at(-1)?.atMs ?? null };
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
