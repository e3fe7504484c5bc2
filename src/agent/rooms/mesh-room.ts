import type { PeerId } from '../../base/index.ts';
import { KnownPeers, TicketSource } from '../../discovery/index.ts';
import { type Identity, MembershipGate, Mesh } from '../../mesh/index.ts';
import type { Store } from '../../storage/index.ts';
import type { AgentConfig } from '../config.ts';
import { StoreGateMemory } from '../gate-memory.ts';
import { StoreKnownPeersMemory } from '../known-peers-memory.ts';
import type { Membership } from '../membership.ts';
import type { Platform } from '../platform.ts';
import { thriftOf } from '../power.ts';
import type { NodeRooms } from './node-rooms.ts';

export interface GateRoomComponents {
  readonly platform: Platform;
  readonly store: Store;
  readonly membership: Membership;
  /** Something could not be remembered. */
  readonly onMemoryFault: (error: unknown) => void;
}

export interface MeshRoomComponents extends GateRoomComponents {
  readonly identity: Identity;
  readonly config: AgentConfig;
}

export function createNodeGate({
  platform,
  store,
  membership,
  onMemoryFault,
}: GateRoomComponents): MembershipGate {
  const { crypto, logger } = platform;
  const { meshId, roots, witnesses, certificate } = membership;
  const gate = new MembershipGate(
    { crypto, memory: new StoreGateMemory(store, onMemoryFault), log: logger },
    { meshId, roots: { entries: roots, witnesses } },
  );
  gate.recallOwn(certificate);
  return gate;
}

/** Links to the members, however they are found, and what is said over them. */
export function createNodeMesh(
  rooms: NodeRooms,
  { platform, store, membership, onMemoryFault, identity, config }: MeshRoomComponents,
): Mesh {
  const { clock, crypto, random, logger: log } = platform;
  const { gate, acquaintances } = rooms;
  const { meshId } = membership;
  const transport = platform.createTransport({
    identity,
    gate,
    meshId,
    listen: config.listen,
    ...(config.announce.length > 0 && { announce: config.announce }),
  });
  transport.spare?.((peerId) => thriftOf(rooms.power, rooms.registry.node(peerId)?.profile.power));
  const knownPeers = new KnownPeers({ memory: new StoreKnownPeersMemory(store, onMemoryFault), clock });
  const contacts = membership.contacts.map((contact) => ({ ...contact, peerId: contact.peerId as PeerId }));
  const discovery = platform.createDiscovery({
    meshId,
    identity,
    gate,
    transport,
    introduce: async (contact, signal) => void (await rooms.mesh.admission.introduce(contact, { signal })),
    addressesOf: (peerId) => rooms.mesh.connector.book.addressesOf(peerId),
    ownAddresses: () => rooms.mesh.reach.addresses(),
    isReachable: () => rooms.mesh.reach.isRelay || rooms.mesh.reach.reachability === 'public',
  });
  return new Mesh(
    {
      transport,
      gate,
      sources: [new TicketSource(contacts), ...discovery],
      knownPeers,
      redeem: (redemption) => rooms.members.redeem(redemption),
      members: () => acquaintances.known(),
      linkable: () => acquaintances.linkable(),
      pinned: () => acquaintances.deciders(),
      ...(platform.networkMark !== undefined && { networkMark: platform.networkMark }),
      clock,
      crypto,
      random,
      log,
    },
    { reach: { relay: config.relay } },
  );
}
