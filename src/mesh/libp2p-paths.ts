import type { Connection } from '@libp2p/interface';
import type { Clock, Logger, MeshId, PeerId, Random } from '../base/index.ts';
import type { AddressRest } from './address-rest.ts';
import { Libp2pCircuits } from './libp2p-circuits.ts';
import { Libp2pDialer } from './libp2p-dialer.ts';
import { Libp2pHoles } from './libp2p-holes.ts';
import type { Libp2pParts } from './libp2p-node.ts';
import { notRunning } from './libp2p-transport-errors.ts';
import type { Gate, Hole } from './transport.ts';
import { isQuic } from './udp-hole-rules.ts';

export interface PathsComponents {
  readonly self: PeerId;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly rest: AddressRest;
  readonly isMember: (peerId: Connection['remotePeer']) => boolean;
  /** The connection of a direct link. */
  readonly directTo: (peerId: string) => Connection | undefined;
  readonly markBusy: (connection: Connection) => Disposable | undefined;
  /** Moves the link to a peer to this connection. */
  readonly onInitiated: (peerId: PeerId, connection: Connection, signal: AbortSignal) => Promise<void>;
}

/** The ways to a peer while the transport runs: its addresses, circuits over relays, holes. */
export class Libp2pPaths {
  readonly #components: PathsComponents;
  readonly #meshId: MeshId;
  #circuits: Libp2pCircuits | undefined;
  #dialer: Libp2pDialer | undefined;
  #holes: Libp2pHoles | undefined;
  #isRelay = false;

  constructor(components: PathsComponents, { meshId }: { readonly meshId: MeshId }) {
    this.#components = components;
    this.#meshId = meshId;
  }

  /** While the transport runs. */
  get dialer(): Libp2pDialer | undefined {
    return this.#dialer;
  }

  get carriedCount(): number {
    return this.#circuits?.carriedCount ?? 0;
  }

  /** Before the node starts. */
  async start(parts: Libp2pParts): Promise<void> {
    const { node, components } = parts;
    const { self, gate, clock, log, rest, directTo } = this.#components;
    const circuits = new Libp2pCircuits(
      {
        ...{ self, node, upgrader: components.upgrader, clock, log, directTo },
        standingOf: (peerId) => gate.standingOf(peerId),
      },
      { meshId: this.#meshId },
    );
    circuits.isOffered = this.#isRelay;
    await circuits.start();
    this.#circuits = circuits;
    this.#dialer = new Libp2pDialer({
      ...{ clock, node, rest, transportManager: components.transportManager },
      dialCircuit: (peerId, address, signal) => circuits.dial(peerId, address, signal),
      isRelayLinked: (relay) => directTo(relay) !== undefined,
    });
    await this.#startHoles(parts);
  }

  async #startHoles({ node, components }: Libp2pParts): Promise<void> {
    const { clock, random, isMember, directTo, markBusy, onInitiated } = this.#components;
    const { transportManager, upgrader } = components;
    this.#holes = new Libp2pHoles(
      { node, transportManager, upgrader, clock, random, isMember, directTo, markBusy, onInitiated },
      { meshId: this.#meshId },
    );
    await this.#holes.start();
  }

  /** Ends what goes over this node; {@link end} follows once the node has stopped. */
  async stop(): Promise<void> {
    await this.#circuits?.stop();
  }

  end(): void {
    this.#circuits = undefined;
    this.#dialer = undefined;
    this.#holes = undefined;
  }

  offerCircuits(isOffered: boolean): void {
    this.#isRelay = isOffered;
    if (this.#circuits !== undefined) this.#circuits.isOffered = isOffered;
  }

  /** Circuits that somebody is an end of. */
  endCircuitsOf(peerId: PeerId): void {
    this.#circuits?.endFor(peerId);
  }

  openHole(observer: PeerId, signal: AbortSignal): Promise<Hole> {
    return this.#holes?.open(observer, signal) ?? Promise.reject(notRunning());
  }

  /** Whether this node had a part in making a connection that came in: nobody comes by QUIC otherwise. */
  wasMadeHere(connection: Connection): boolean {
    return this.#holes?.wasMadeHere(connection) === true || isQuic(connection.remoteAddr.toString());
  }
}
