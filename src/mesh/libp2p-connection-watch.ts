import type { Connection, Libp2p, PeerId as Libp2pPeerId } from '@libp2p/interface';
import type { Clock, Timer } from '../base/index.ts';
import { sourceOf } from './source-budget.ts';

export interface ConnectionWatchComponents {
  readonly clock: Clock;
  readonly node: Libp2p;
  readonly isMember: (peerId: Libp2pPeerId) => boolean;
  readonly carriesChannel: (connection: Connection) => boolean;
}

interface Watched {
  timer: Timer | undefined;
  busyCount: number;
}

/** Most connections that strangers may hold at once, all of them and those of one address (F1). */
const STRANGERS_LIMIT = 128;
const STRANGERS_PER_SOURCE = 48;

/**
 * Closes every connection that carries no channel and no exchange: a stranger that was not admitted, and what is left over when
 * two peers dialed each other at once (T2, T3).
 */
export class ConnectionWatch implements Disposable {
  readonly #clock: Clock;
  readonly #node: Libp2p;
  readonly #isMember: (peerId: Libp2pPeerId) => boolean;
  readonly #carriesChannel: (connection: Connection) => boolean;
  readonly #graceMs: number;
  readonly #watched = new Map<Connection, Watched>();
  #refusedCount = 0;
  readonly #onOpen = ({ detail }: CustomEvent<Connection>) => this.#opened(detail);
  readonly #onClose = ({ detail }: CustomEvent<Connection>) => this.#closed(detail);

  constructor(components: ConnectionWatchComponents, { graceMs }: { readonly graceMs: number }) {
    const { clock, node, isMember, carriesChannel } = components;
    this.#clock = clock;
    this.#node = node;
    this.#isMember = isMember;
    this.#carriesChannel = carriesChannel;
    this.#graceMs = graceMs;
    node.addEventListener('connection:open', this.#onOpen);
    node.addEventListener('connection:close', this.#onClose);
  }

  [Symbol.dispose](): void {
    this.#node.removeEventListener('connection:open', this.#onOpen);
    this.#node.removeEventListener('connection:close', this.#onClose);
    for (const watched of this.#watched.values()) watched.timer?.cancel();
    this.#watched.clear();
  }

  /** Strangers turned away since the start. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** @returns false when strangers, or those of its address, hold as many connections as they may and this is another one. */
  hasRoomFor(peerId: Libp2pPeerId, address: string): boolean {
    if (this.#isMember(peerId)) return true;
    const source = sourceOf(address);
    let strangers = 0;
    let ofSource = 0;
    for (const { remotePeer, remoteAddr } of this.#watched.keys()) {
      if (this.#isMember(remotePeer)) continue;
      strangers += 1;
      if (sourceOf(remoteAddr.toString()) === source) ofSource += 1;
    }
    const hasRoom = strangers < STRANGERS_LIMIT && ofSource < STRANGERS_PER_SOURCE;
    if (!hasRoom) this.#refusedCount += 1;
    return hasRoom;
  }

  /** While something is being exchanged the connection is left alone. */
  markBusy(connection: Connection): Disposable {
    const watched = this.#watched.get(connection);
    if (watched !== undefined) watched.busyCount += 1;
    return {
      [Symbol.dispose]: () => {
        if (watched !== undefined) watched.busyCount -= 1;
      },
    };
  }

  /** A channel on it ended: it has the same time as a new one to become useful. */
  release(connection: Connection): void {
    const watched = this.#watched.get(connection);
    if (watched !== undefined) this.#arm(connection, watched);
  }

  #opened(connection: Connection): void {
    const watched: Watched = { timer: undefined, busyCount: 0 };
    this.#watched.set(connection, watched);
    this.#arm(connection, watched);
  }

  #closed(connection: Connection): void {
    this.#watched.get(connection)?.timer?.cancel();
    this.#watched.delete(connection);
  }

  #arm(connection: Connection, watched: Watched): void {
    watched.timer?.cancel();
    watched.timer = this.#clock.setTimer(this.#graceMs, () => {
      if (this.#carriesChannel(connection)) return;
      if (watched.busyCount > 0) this.#arm(connection, watched);
      else connection.abort(new Error('the connection carries nothing'));
    });
  }
}
