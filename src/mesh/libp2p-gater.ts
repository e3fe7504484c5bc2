import type { ConnectionGater, PeerId as Libp2pPeerId } from '@libp2p/interface';
import type { PeerId } from '../base/index.ts';
import type { ConnectionWatch } from './libp2p-connection-watch.ts';
import type { Door } from './libp2p-door.ts';
import type { Gate } from './transport.ts';

export interface GaterComponents {
  readonly gate: Gate;
  readonly door: Door;
  /** While the transport runs. */
  readonly watch: () => ConnectionWatch | undefined;
}

/** T2: a refused peer is never dialed; one that comes is a stranger, within the places for strangers, and is dismissed in the admission exchange. */
export function gaterFor({ gate, door, watch }: GaterComponents): ConnectionGater {
  const standingOf = (peerId: Libp2pPeerId) => gate.standingOf(peerId.toString() as PeerId);
  const isRefused = (peerId: Libp2pPeerId) => standingOf(peerId) === 'refused';
  return {
    denyDialPeer: isRefused,
    denyDialMultiaddr: () => false,
    denyInboundConnection: (connection) => !door.admits(connection), // F1, F4
    denyInboundEncryptedConnection: (peerId, connection) => {
      door.known(connection, { isMember: standingOf(peerId) === 'member' });
      return watch()?.hasRoomFor(peerId, connection.remoteAddr.toString()) === false;
    },
    denyOutboundEncryptedConnection: isRefused,
    denyInboundRelayReservation: () => true,
  };
}
