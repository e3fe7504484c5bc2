import { createRegistry, type Registry } from '../../crdt/index.ts';
import { departureKey, publicKeyOf, verifyDeparture, verifyDischarge } from '../../mesh/index.ts';
import type { Store } from '../../storage/index.ts';
import type { Membership } from '../membership.ts';
import { DEPARTURES, DISCHARGES, isRevocationOf, REVOCATIONS } from '../membership-links.ts';
import type { NodeRooms } from './node-rooms.ts';

export interface RegistryRoomComponents {
  readonly store: Store;
  readonly membership: Membership;
  readonly onFatal: (error: unknown) => void;
}

/** What members tell each other about themselves: believed of members only, and only what they signed. */
export function createNodeRegistry(
  rooms: NodeRooms,
  { store, membership, onFatal }: RegistryRoomComponents,
): Registry {
  const { self, platform, gate, mesh, acquaintances } = rooms;
  const { clock, random, crypto, logger, directory, trial = {} } = platform;
  const { transport, messenger } = mesh;
  const { meshId, certificate } = membership;
  return createRegistry(
    {
      self,
      incarnation: directory.incarnation,
      sign: (bytes) => crypto.sign(directory.seed, bytes),
      verify: (peerId, bytes, signature) =>
        gate.standingOf(peerId) === 'member' && crypto.verify(publicKeyOf(peerId), bytes, signature),
      certificate: () => certificate,
      onCertificate: (owner, shown) => acquaintances.meet(owner, shown),
      clock,
      random,
      store,
      gossip: transport.gossip,
      messenger,
      logger,
      links: () => transport.links().filter(({ isQuiet }) => isQuiet !== true), // Z5
      hasParted: (peerId) => mesh.links.hasParted(peerId),
      probe: (peerId, signal) => mesh.connector.connect(peerId, signal),
      bulletinVerifiers: {
        [DEPARTURES]: (key, bytes) => {
          const departure = verifyDeparture({ crypto, meshId }, bytes);
          return departure !== undefined && departureKey(departure) === key;
        },
        [DISCHARGES]: (key, bytes) => {
          const discharge = verifyDischarge({ crypto, meshId, roots: gate.roots }, bytes);
          return discharge !== undefined && departureKey(discharge) === key;
        },
        [REVOCATIONS]: (key, bytes) => isRevocationOf({ crypto, meshId, roots: gate.roots }, key, bytes),
      },
      ...(trial.refutation !== undefined && { refutation: trial.refutation }),
      onFailure: onFatal,
    },
    {
      scope: meshId,
      ...(trial.missedFrom !== undefined && { missedFrom: trial.missedFrom }),
      ...(trial.heartbeatEveryMs !== undefined && { heartbeatEveryMs: trial.heartbeatEveryMs }),
    },
  );
}
