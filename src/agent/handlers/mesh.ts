import type { PeerId } from '../../base/index.ts';
import {
  decodeTicket,
  encodeTicket,
  type Role,
  TICKET_MEMBERS_LIMIT,
  type TicketMember,
  ticketFacts,
} from '../../mesh/index.ts';
import type { Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import type { MeshNode } from '../mesh-node.ts';
import { linkMatrixOf, peersOf } from '../peer-views.ts';

type MeshHandlers = Pick<
  Handlers,
  | 'mesh.ticket'
  | 'mesh.tickets'
  | 'mesh.ticketInspect'
  | 'mesh.ticketRevoke'
  | 'mesh.peers'
  | 'mesh.matrix'
  | 'mesh.join'
  | 'mesh.leave'
>;

const DAY_MS = 86_400_000;
const LEAVE_TIMEOUT_MS = 60_000;

/** Invitations, members, and this node's coming and going. */
export function meshHandlers(daemon: Daemon, onLeft: () => void): MeshHandlers {
  return {
    'mesh.ticket': async ({ role = 'voter', ttlMs = DAY_MS, uses = 1, requestId }) =>
      createTicket(daemon.node, { role, ttlMs, uses, requestId }),
    'mesh.tickets': async () => ({ tickets: await daemon.node.members.tickets() }),
    'mesh.ticketInspect': async ({ ticket }) => {
      const { expiresAtMs, members, ...facts } = ticketFacts(decodeTicket(daemon.platform.crypto, ticket));
      return {
        ...facts,
        expiresAt: expiresAtMs,
        members: members.map((member) => ({ ...member, addresses: [...member.addresses] })),
      };
    },
    'mesh.ticketRevoke': async ({ id, requestId }) => daemon.node.members.revokeTicket(id, requestId),
    'mesh.peers': async () => ({ peers: await peersOf(daemon.node) }),
    'mesh.matrix': async () => linkMatrixOf(daemon.node),
    'mesh.join': async ({ ticket, abandon = false }, { signal }) => {
      const joined = await daemon.join(ticket, { abandon, signal });
      return { ...joined, peerId: daemon.node.self };
    },
    'mesh.leave': async ({ timeoutMs = LEAVE_TIMEOUT_MS }) => {
      const meshId = await daemon.leave({ timeoutMs });
      onLeft();
      return { meshId, left: true };
    },
  };
}

/** The leader signs the grant; the addresses are those this node knows now. */
async function createTicket(
  node: MeshNode,
  request: {
    readonly role: Role;
    readonly ttlMs: number;
    readonly uses: number;
    readonly requestId?: string | undefined;
  },
) {
  const { grant, secret } = await node.members.createTicket(request);
  const ticket = encodeTicket(node.platform.crypto, { ...grant, secret, members: contactsOf(node) });
  return { ticket, id: grant.id, expiresAt: grant.expiresAtMs };
}

/** This node first, then relays, since others may not be reached from where the newcomer is, then voters, then others that are linked. */
function contactsOf(node: MeshNode): TicketMember[] {
  const voters = new Set<string>(node.group.status().voters);
  const rank = ({ peerId }: { readonly peerId: PeerId }) =>
    2 * Number(node.registry.node(peerId)?.profile.isRelay === true) + Number(voters.has(peerId));
  const others = node.mesh.transport
    .links()
    .toSorted((left, right) => rank(right) - rank(left))
    .map(({ peerId, address }) => ({ peerId, addresses: node.acquaintances.addressesOf(peerId, address) }))
    .filter(({ addresses }) => addresses.length > 0);
  return [{ peerId: node.self, addresses: [...node.mesh.reach.addresses()] }, ...others].slice(
    0,
    TICKET_MEMBERS_LIMIT,
  );
}
