import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { PeerId } from '../base/index.ts';
import { withoutTarget } from './circuit-address.ts';
import type { Libp2pDialer } from './libp2p-dialer.ts';
import type { Libp2pParts } from './libp2p-node.ts';
import { notRunning } from './libp2p-transport-errors.ts';

export interface ConnectionsComponents {
  /** @throws AspenError UNAVAILABLE while the transport does not run. */
  readonly node: () => Libp2pParts['node'];
  /** While the transport runs. */
  readonly dialer: () => Libp2pDialer | undefined;
  readonly markBusy: (connection: Connection) => Disposable | undefined;
}

/** Connections to peers, made where there is none. */
export class Libp2pConnections {
  readonly #components: ConnectionsComponents;

  constructor(components: ConnectionsComponents) {
    this.#components = components;
  }

  /** Uses the connection there is, or a new one: also where the old one turns out to be over, which this end may hear a moment late. */
  async use<T>(
    peerId: PeerId,
    addresses: readonly string[],
    signal: AbortSignal,
    use: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const busily = async (connection: Connection): Promise<T> => {
      using _busy = this.#components.markBusy(connection);
      return await use(connection);
    };
    const open = this.#components
      .node()
      .getConnections(peerIdFromString(peerId))
      .find(({ status }) => status === 'open');
    if (open === undefined) return await busily(await this.dial(peerId, addresses, signal));
    try {
      return await busily(open);
    } catch (error) {
      if (!isOver(error) || signal.aborted) throw error;
      open.abort(new Error('the connection is over'));
      return await busily(await this.dial(peerId, addresses, signal));
    }
  }

  /** Always a new one. @throws AspenError UNAVAILABLE */
  async dial(peerId: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const dialer = this.#components.dialer();
    if (dialer === undefined) throw notRunning();
    return await dialer.dial(peerId, addresses.map(withoutTarget), signal);
  }
}

/** Nothing was begun on it: its end was under way. */
function isOver(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConnectionClosedError';
}
