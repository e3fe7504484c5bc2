import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { AspenError, type PeerId, Tasks } from '../base/index.ts';
import { AddressRest } from './address-rest.ts';
import { withoutTarget } from './circuit-address.ts';
import { IdentityConflicts } from './identity-conflicts.ts';
import { Libp2pAdmission } from './libp2p-admission.ts';
import { INSTANCE_BYTES, type Libp2pChannel } from './libp2p-channel.ts';
import { ConnectionWatch } from './libp2p-connection-watch.ts';
import { Libp2pConnections } from './libp2p-connections.ts';
import { Door } from './libp2p-door.ts';
import { gaterFor } from './libp2p-gater.ts';
import { Libp2pGossip } from './libp2p-gossip.ts';
import { Libp2pKnocks } from './libp2p-knocks.ts';
import { LateGossip } from './libp2p-late-gossip.ts';
import { Libp2pLinks, type LinkEvent } from './libp2p-links.ts';
import { Libp2pMemberStreams } from './libp2p-member-streams.ts';
import { createNode, type Libp2pParts } from './libp2p-node.ts';
import { Libp2pOpening } from './libp2p-opening.ts';
import { Libp2pPaths } from './libp2p-paths.ts';
import { Libp2pQuicWays } from './libp2p-quic-ways.ts';
import { selfSigned } from './libp2p-self-signed.ts';
import { cannotListen, notRunning } from './libp2p-transport-errors.ts';
import type { Libp2pTransportComponents, Libp2pTransportOptions } from './libp2p-transport-options.ts';
import { announcedAddresses, unboundAddresses } from './listen-addresses.ts';
import { NO_PROXY } from './proxy-rules.ts';
import { isFromElsewhere } from './reach-rules.ts';
import {
  ADMISSION_REQUEST_MS,
  type PeerLink,
  type Priority,
  type Reaching,
  type StrangerCounts,
  type Transport,
} from './transport.ts';

const LISTEN: readonly string[] = ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'];
const QUEUE_BYTES_LIMIT = 16 * 2 ** 20;
/** A look at ports and networks is good for so long. Unit: ms. */
const ADDRESSES_FRESH_MS = 900;
const NO_ADDRESSES = { addresses: [] as readonly string[], untilMs: Number.NEGATIVE_INFINITY };
/** Of one connection, for each protocol of the transport itself. */
const STREAMS_LIMIT = 8;

/** The Transport port over libp2p: TCP and WebSockets, noise, yamux. */
export class Libp2pTransport implements Transport {
  readonly self: PeerId;
  readonly admission: Transport['admission'];
  readonly gossip: Transport['gossip'];
  readonly reach: Reaching;
  /** For protocols among members that other parts bring. */
  readonly memberStreams: Libp2pMemberStreams;
  readonly knocking: Libp2pKnocks;
  readonly #components: Libp2pTransportComponents;
  readonly #options: Libp2pTransportOptions;
  readonly #rest: AddressRest;
  readonly #tasks: Tasks;
  readonly #conflicts: IdentityConflicts;
  readonly #door: Door;
  readonly #gossip = new LateGossip();
  readonly #links: Libp2pLinks;
  readonly #opening: Libp2pOpening;
  readonly #admission: Libp2pAdmission;
  readonly #paths: Libp2pPaths;
  readonly #quic: Libp2pQuicWays;
  readonly #channelProtocol: string;
  #parts: Libp2pParts | undefined;
  #watch: ConnectionWatch | undefined;
  #found = NO_ADDRESSES;
  #listenProblems: readonly string[] = [];
  #gateSubscription: Disposable | undefined;

  constructor(components: Libp2pTransportComponents, options: Libp2pTransportOptions) {
    const log = components.log.child({ part: 'transport' });
    const { identity, gate, clock, random } = components;
    const { meshId } = options;
    this.self = identity.peerId;
    this.#components = { ...components, log };
    this.#options = options;
    this.#channelProtocol = `/aspen/${meshId}/channel/1`;
    this.#tasks = new Tasks((err) => log.error({ err }, 'a task of the transport failed'));
    this.#rest = new AddressRest(clock);
    this.#conflicts = new IdentityConflicts(this.self, clock);
    this.#door = new Door(clock);
    const isMember = (peerId: Connection['remotePeer']) => this.#isMember(peerId);
    const markBusy = (connection: Connection) => this.#watch?.markBusy(connection);
    const shared = { self: this.self, gate, isMember, markBusy, clock, log, tasks: this.#tasks };
    const connections = new Libp2pConnections({
      node: () => this.#node(),
      dialer: () => this.#paths.dialer,
      markBusy,
    });
    this.#links = new Libp2pLinks(
      {
        ...{ ...shared, conflicts: this.#conflicts, gossip: () => this.#gossip.current },
        onWelcome: (channel) => this.#onWelcome(channel),
        onChannelEnd: (connection) => this.#watch?.release(connection),
      },
      {
        queueBytesLimit: options.queueBytesLimit ?? QUEUE_BYTES_LIMIT,
        keepaliveMs: options.keepaliveMs ?? 1_000,
        deadAfterMs: options.deadAfterMs ?? 5_000,
      },
    );
    this.#opening = new Libp2pOpening(
      { ...shared, connections, links: this.#links, conflicts: this.#conflicts },
      {
        channelProtocol: this.#channelProtocol,
        instance: random.bytes(INSTANCE_BYTES),
        dialTimeoutMs: options.dialTimeoutMs ?? 8_000,
      },
    );
    const onInitiated = (peerId: PeerId, connection: Connection, signal: AbortSignal) =>
      this.#opening.moveTo(peerId, connection, signal);
    this.#paths = new Libp2pPaths(
      {
        ...shared,
        random,
        rest: this.#rest,
        directTo: (peerId) => this.#links.directTo(peerId),
        onInitiated,
      },
      { meshId },
    );
    this.#quic = new Libp2pQuicWays({
      setting: options.quic ?? 'auto',
      parts: () => this.#parts,
      ...{ clock, log, onInitiated },
    });
    this.#admission = new Libp2pAdmission({ ...shared, connections }, { meshId });
    this.admission = {
      ask: this.#admission.ask,
      answer: (responder, dismiss) => this.#admission.answer(responder, dismiss),
    };
    const dial: Libp2pConnections['dial'] = (...args) => connections.dial(...args);
    this.memberStreams = new Libp2pMemberStreams({ ...shared, node: () => this.#node(), dial });
    this.knocking = new Libp2pKnocks({
      ...{ clock, dial, isMember, ownAddresses: () => this.addresses() },
      wasMadeHere: (connection) => this.#paths.wasMadeHere(connection),
    });
    this.reach = {
      offerCircuits: (isOffered) => this.#paths.offerCircuits(isOffered),
      carriedCount: () => this.#paths.carriedCount,
      upgrade: (peerId, addresses, signal) => this.#opening.upgrade(peerId, addresses, signal),
      wasReached: () => this.knocking.wasReached,
      openHole: (observer, signal) => this.#paths.openHole(observer, signal),
      quic: () => this.#quic.state(),
      openUdpHole: (part) => this.#quic.open(part),
    };
    this.gossip = {
      publish: (topic, message) => this.#gossip.publish(topic, message),
      subscribe: (topic, callback) => this.#gossip.subscribe(topic, callback),
    };
  }

  async start(): Promise<void> {
    const { listen: wanted = LISTEN, ports } = this.#options;
    const listen = (await ports?.recall(wanted)) ?? wanted;
    const parts = await this.#createNode(listen);
    await this.#serve(parts.node);
    await this.#paths.start(parts);
    this.#gossip.begin(this.#createGossip(parts));
    await parts.node.start();
    await this.#gossip.start();
    const { gate } = this.#components;
    this.#gateSubscription = gate.onChange((peerId) => {
      if (gate.standingOf(peerId) === 'refused') this.#expel(peerId);
    });
    await this.#afterListening(listen);
  }

  async #createNode(listen: readonly string[]): Promise<Libp2pParts> {
    const { identity, gate, clock } = this.#components;
    const parts = await createNode({
      ...{ seed: identity.seed, listen, door: this.#door },
      gater: gaterFor({ gate, door: this.#door, watch: () => this.#watch }),
      webSockets: {
        proxies: this.#options.proxies ?? NO_PROXY,
        isForwardedTrusted: this.#options.isForwardedTrusted ?? false,
        tls: () => this.#options.tls ?? selfSigned(clock.wallMs()),
      },
    });
    this.#parts = parts;
    this.knocking.watch(parts.node);
    this.#watch = new ConnectionWatch(
      {
        ...{ clock, node: parts.node, isMember: (peerId) => this.#isMember(peerId) },
        carriesChannel: (connection) => this.#links.carries(connection),
      },
      { graceMs: ADMISSION_REQUEST_MS },
    );
    return parts;
  }

  async #serve(node: Libp2pParts['node']): Promise<void> {
    const limits = { maxInboundStreams: STREAMS_LIMIT, maxOutboundStreams: STREAMS_LIMIT };
    await node.handle(
      this.#channelProtocol,
      (stream, connection) => this.#opening.onChannel(stream, connection),
      limits,
    );
    await node.handle(
      this.#admission.protocol,
      (stream, connection) => this.#admission.onAsk(stream, connection),
      limits,
    );
  }

  #createGossip({ components }: Libp2pParts): Libp2pGossip {
    const { crypto, log } = this.#components;
    return new Libp2pGossip(
      { libp2p: components, crypto, log, isMember: (peerId) => this.#isMember(peerId) },
      { meshId: this.#options.meshId },
    );
  }

  /** @throws AspenError UNAVAILABLE when there is nowhere to listen. */
  async #afterListening(listen: readonly string[]): Promise<void> {
    const { log } = this.#components;
    this.#found = NO_ADDRESSES;
    if (listen.length > 0 && this.addresses().length === 0) {
      await this.stop();
      const message = `cannot listen on any of ${listen.join(', ')}`;
      throw new AspenError('UNAVAILABLE', message, { outcome: 'not-applied' });
    }
    if (listen.length > 0) await this.#options.ports?.remember(this.#ownAddresses());
    this.#listenProblems = unboundAddresses(listen, this.#ownAddresses()).map(cannotListen);
    for (const problem of this.#listenProblems) log.warn({}, problem);
    log.info({ addresses: this.addresses() }, 'transport listens');
  }

  async stop(): Promise<void> {
    this.#gateSubscription?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    this.#links.closeAll('this node is stopping');
    await this.#paths.stop();
    await this.#quic.stop();
    await this.#tasks.stop();
    await this.#gossip.stop();
    await this.#parts?.node.stop();
    this.#gossip.end();
    this.#paths.end();
    this.#parts = undefined;
    this.#found = NO_ADDRESSES;
  }

  addresses(): readonly string[] {
    if (this.#options.announce !== undefined) return this.#options.announce;
    return [...this.#announced(), ...this.knocking.also];
  }

  /** Many parts ask for them every second; to find them out takes a call of the system for each port, and much text. */
  #announced(): readonly string[] {
    const nowMs = this.#components.clock.monotonicMs();
    if (nowMs >= this.#found.untilMs)
      this.#found = {
        addresses: announcedAddresses(this.#ownAddresses()),
        untilMs: nowMs + ADDRESSES_FRESH_MS,
      };
    return this.#found.addresses;
  }

  #ownAddresses(): readonly string[] {
    const own = this.#parts?.components.transportManager.getAddrs() ?? [];
    return own.map((address) => withoutTarget(address.toString()));
  }

  dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.#opening.dial(peerId, addresses, signal);
  }

  hangUp(peerId: PeerId, reason: string): void {
    this.#links.to(peerId)?.close(reason);
    this.#tasks.run(async () => this.#parts?.node.hangUp(peerIdFromString(peerId)));
  }

  verify(): void {
    this.#found = NO_ADDRESSES;
    this.#rest.clear(); // Z4
    this.#links.verify();
  }

  async confirm(unheardMs = 0): Promise<void> {
    await this.#links.confirm(unheardMs);
  }

  spare: NonNullable<Transport['spare']> = (thriftOf) => this.#links.spare(thriftOf);

  problems(): readonly string[] {
    return [...this.#conflicts.problems(), ...this.#listenProblems];
  }

  strangers(): StrangerCounts {
    return {
      handshakes: this.#door.pendingCount,
      turnedAway: this.#door.refusedCount + (this.#watch?.refusedCount ?? 0),
    };
  }

  links(): readonly PeerLink[] {
    return this.#links.all();
  }

  isLinked(peerId: PeerId): boolean {
    return this.#links.has(peerId);
  }

  send(to: PeerId, frame: Uint8Array, priority: Priority): boolean {
    return this.#links.to(to)?.send(frame, priority) ?? false;
  }

  onFrame(callback: (from: PeerId, frame: Uint8Array) => void): Disposable {
    return this.#links.frames.add(({ from, frame }) => callback(from, frame));
  }

  onLink(callback: (event: LinkEvent) => void): Disposable {
    return this.#links.events.add(callback);
  }

  #isMember(peerId: Connection['remotePeer']): boolean {
    return this.#components.gate.standingOf(peerId.toString() as PeerId) === 'member';
  }

  #expel(peerId: PeerId): void {
    this.#paths.endCircuitsOf(peerId);
    this.hangUp(peerId, 'the gate refuses it');
  }

  /** F4, E1 */
  #onWelcome({ isOpenedBySelf, path, address, connection }: Libp2pChannel): void {
    this.#door.welcome(address);
    if (isOpenedBySelf || path !== 'direct' || !isFromElsewhere(address, this.addresses())) return;
    if (connection.direction === 'inbound' && !this.#paths.wasMadeHere(connection))
      this.knocking.markReached(this.addresses());
  }

  #node(): Libp2pParts['node'] {
    if (this.#parts === undefined) throw notRunning();
    return this.#parts.node;
  }
}
