import type { Connection, ConnectionGater, PeerId as Libp2pPeerId, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import {
  AspenError,
  type Clock,
  type Crypto,
  Listeners,
  type Logger,
  type MeshId,
  type PeerId,
  type Random,
  Tasks,
  withDeadline,
} from '../base/index.ts';
import { AddressRest } from './address-rest.ts';
import { isCircuit, withoutTarget } from './circuit-address.ts';
import type { Identity } from './identity.ts';
import { IdentityConflicts } from './identity-conflicts.ts';
import { PauseLimits } from './keepalive-rules.ts';
import { INSTANCE_BYTES, Libp2pChannel, RunsElsewhere } from './libp2p-channel.ts';
import { Libp2pCircuits } from './libp2p-circuits.ts';
import { ConnectionWatch } from './libp2p-connection-watch.ts';
import { Libp2pDialer } from './libp2p-dialer.ts';
import { Door } from './libp2p-door.ts';
import { readExchange, writeExchange } from './libp2p-exchange.ts';
import { Libp2pGossip } from './libp2p-gossip.ts';
import { Libp2pHoles } from './libp2p-holes.ts';
import { Libp2pKnocks } from './libp2p-knocks.ts';
import { Libp2pMemberStreams } from './libp2p-member-streams.ts';
import { createNode, type Libp2pParts } from './libp2p-node.ts';
import { Libp2pQuicWays } from './libp2p-quic-ways.ts';
import { selfSigned } from './libp2p-self-signed.ts';
import type { TlsIdentity } from './libp2p-ws-listener.ts';
import { announcedAddresses, unboundAddresses } from './listen-addresses.ts';
import { doesHandOver, isWorsePath } from './path-rules.ts';
import { NO_PROXY, type ProxySettings } from './proxy-rules.ts';
import { isFromElsewhere } from './reach-rules.ts';
import {
  ADMISSION_ANSWER_MS,
  ADMISSION_REQUEST_MS,
  type Gate,
  type Hole,
  type PeerLink,
  type Priority,
  type Reaching,
  type StrangerCounts,
  type Transport,
} from './transport.ts';
import { isQuic } from './udp-hole-rules.ts';

export interface Libp2pTransportComponents {
  readonly identity: Identity;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly log: Logger;
}

export interface Libp2pTransportOptions {
  /** The mesh whose protocols are spoken. */
  readonly meshId: MeshId;
  /** Multiaddrs; port 0 takes any. @default every interface, IPv4 and IPv6 */
  readonly listen?: readonly string[];
  /** Where the ports of earlier starts are remembered. @default nowhere: an open port is another one each time */
  readonly ports?: ListenPorts;
  /** What is told to others instead of the addresses of the interfaces. */
  readonly announce?: readonly string[];
  /** How WebSockets outside are reached. @default directly */
  readonly proxies?: Pick<ProxySettings, 'proxy' | 'direct'>;
  /** What is shown to whoever comes by WebSocket over TLS. @default a certificate that is made at the start and that nobody vouches for */
  readonly tls?: TlsIdentity;
  /** Whether a web server on this machine is believed whom it speaks for (`X-Forwarded-For`). @default false */
  readonly isForwardedTrusted?: boolean;
  /** Whether holes are made by QUIC as well, where its library is there. @default auto */
  readonly quic?: 'auto' | 'off';
  /** Pause between pings on a channel that is used; on an idle one it grows to 20 times that. Unit: ms. @default 1_000 */
  readonly keepaliveMs?: number;
  /** A channel whose peer answers nothing for this long is closed. Unit: ms. @default 5_000 */
  readonly deadAfterMs?: number;
  /** Most bytes waiting for one peer, per priority. @default 16 MiB */
  readonly queueBytesLimit?: number;
  /** How long dialing may take, until the channel is open. Unit: ms. @default 8_000 */
  readonly dialTimeoutMs?: number;
}

/** Takes the same ports again, so that the addresses which others remember still hold. */
export interface ListenPorts {
  /** @returns the multiaddrs with open ports filled in where that is possible. */
  recall(listen: readonly string[]): Promise<readonly string[]>;
  remember(addresses: readonly string[]): Promise<void>;
}

type LinkEvent = { readonly peerId: PeerId; readonly type: 'opened' | 'closed' };
type DirectTo = (peerId: string) => Connection | undefined;
type Responder = (from: PeerId, request: Uint8Array) => Promise<Uint8Array>;

const HELLO_TIMEOUT_MS = 3_000;
/** Two ends that dial each other at once settle on one channel within this time. */
const CROSSING_MS = 3_000;
const CROSSING_GRACE_MS = 1_000;
/** A process that answers within this time is alive. */
const ALIVE_MS = 1_500;
const STREAMS_LIMIT = 8;
/** How long a path that nothing depends on may be left alone. Unit: keep-alive ticks. */
const LONGEST_PAUSE_TICKS = 20;
/** A link that does not answer within this time is not called up. */
const CONFIRM_MS = 1_000;

/** The Transport port over libp2p: TCP and WebSockets, noise, yamux. */
export class Libp2pTransport implements Transport {
  readonly self: PeerId;
  readonly admission: Transport['admission'];
  readonly gossip: Transport['gossip'];
  readonly reach: Reaching;
  /** For protocols among members that other parts bring. */
  readonly memberStreams: Libp2pMemberStreams;
  readonly knocking: Libp2pKnocks;
  readonly #identity: Identity;
  readonly #gate: Gate;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #options: Libp2pTransportOptions;
  readonly #instance: Uint8Array;
  readonly #channelProtocol: string;
  readonly #admissionProtocol: string;
  readonly #channels = new Map<PeerId, Libp2pChannel>();
  /** Channels whose place another one took; still heard until they end. */
  readonly #retired = new Set<Libp2pChannel>();
  readonly #dials = new Map<PeerId, Promise<void>>();
  readonly #rest: AddressRest;
  readonly #pauses = new PauseLimits(LONGEST_PAUSE_TICKS);
  /** Peers to which a channel is being opened from here. */
  readonly #opening = new Set<PeerId>();
  readonly #frames = new Listeners<{ from: PeerId; frame: Uint8Array }>();
  readonly #linkEvents = new Listeners<LinkEvent>();
  readonly #tasks: Tasks;
  readonly #earlySubscriptions: ((gossip: Libp2pGossip) => void)[] = [];
  readonly #conflicts: IdentityConflicts;
  readonly #door: Door;
  #responder: Responder | undefined;
  #parts: Libp2pParts | undefined;
  #gossip: Libp2pGossip | undefined;
  #watch: ConnectionWatch | undefined;
  #circuits: Libp2pCircuits | undefined;
  #dialer: Libp2pDialer | undefined;
  #holes: Libp2pHoles | undefined;
  readonly #quic: Libp2pQuicWays;
  #isRelay = false;
  #listenProblems: readonly string[] = [];
  #gateSubscription: Disposable | undefined;

  constructor(components: Libp2pTransportComponents, options: Libp2pTransportOptions) {
    this.self = components.identity.peerId;
    this.#identity = components.identity;
    this.#gate = components.gate;
    this.#clock = components.clock;
    this.#crypto = components.crypto;
    this.#random = components.random;
    this.#log = components.log.child({ part: 'transport' });
    this.#options = options;
    this.#door = new Door(components.clock);
    this.#conflicts = new IdentityConflicts(components.identity.peerId, components.clock);
    this.#instance = components.random.bytes(INSTANCE_BYTES);
    this.#channelProtocol = `/aspen/${options.meshId}/channel/1`;
    this.#admissionProtocol = `/aspen/${options.meshId}/admission/1`;
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'a task of the transport failed'));
    this.admission = {
      ask: (peerId, addresses, request, signal) => this.#ask(peerId, addresses, request, signal),
      answer: (responder) => this.#answer(responder),
    };
    this.#rest = new AddressRest(components.clock);
    this.memberStreams = new Libp2pMemberStreams({
      node: () => this.#node(),
      clock: this.#clock,
      log: this.#log,
      isMember: (peerId) => this.#isMember(peerId),
      dial: (peerId, addresses, signal) => this.#dialNew(peerId, addresses, signal),
      markBusy: (connection) => this.#watch?.markBusy(connection),
    });
    this.knocking = new Libp2pKnocks({
      clock: this.#clock,
      dial: (peerId, addresses, signal) => this.#dialNew(peerId, addresses, signal),
      ownAddresses: () => this.addresses(),
      wasMadeHere: (connection) => this.#wasMadeHere(connection),
      isMember: (peerId) => this.#isMember(peerId),
    });
    this.#quic = new Libp2pQuicWays({
      setting: options.quic ?? 'auto',
      parts: () => this.#parts,
      clock: this.#clock,
      log: this.#log,
      onInitiated: (peerId, connection, signal) => this.#openUpgraded(peerId, connection, signal),
    });
    this.reach = {
      offerCircuits: (isOffered) => this.#offerCircuits(isOffered),
      carriedCount: () => this.#circuits?.carriedCount ?? 0,
      upgrade: (peerId, addresses, signal) => this.#upgrade(peerId, addresses, signal),
      wasReached: () => this.knocking.wasReached,
      openHole: (observer, signal) => this.#openHole(observer, signal),
      quic: () => this.#quic.state(),
      openUdpHole: (part) => this.#quic.open(part),
    };
    this.gossip = {
      publish: (topic, message) => this.#gossip?.publish(topic, message),
      subscribe: (topic, callback) => this.#subscribe(topic, callback),
    };
  }

  async start(): Promise<void> {
    const { listen: wanted = ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'], ports } = this.#options;
    const listen = (await ports?.recall(wanted)) ?? wanted;
    const parts = await createNode({
      seed: this.#identity.seed,
      listen,
      gater: this.#gater(),
      door: this.#door,
      webSockets: {
        proxies: this.#options.proxies ?? NO_PROXY,
        isForwardedTrusted: this.#options.isForwardedTrusted ?? false,
        tls: () => this.#options.tls ?? selfSigned(this.#clock.wallMs()),
      },
    });
    this.#parts = parts;
    this.knocking.watch(parts.node);
    this.#watch = new ConnectionWatch(
      {
        clock: this.#clock,
        node: parts.node,
        isMember: (peerId) => this.#isMember(peerId),
        carriesChannel: (connection) =>
          [...this.#channels.values(), ...this.#retired].some((channel) => channel.connection === connection),
      },
      { graceMs: ADMISSION_REQUEST_MS },
    );
    const limits = { maxInboundStreams: STREAMS_LIMIT, maxOutboundStreams: STREAMS_LIMIT };
    await parts.node.handle(
      this.#channelProtocol,
      (stream, connection) => this.#onChannel(stream, connection),
      limits,
    );
    await parts.node.handle(
      this.#admissionProtocol,
      (stream, connection) => this.#onAsk(stream, connection),
      limits,
    );
    await this.#startDialing(parts);
    this.#gossip = new Libp2pGossip(
      {
        libp2p: parts.components,
        crypto: this.#crypto,
        log: this.#log,
        isMember: (peerId) => this.#isMember(peerId),
      },
      { meshId: this.#options.meshId },
    );
    await parts.node.start();
    await this.#gossip.start();
    for (const subscribe of this.#earlySubscriptions.splice(0)) subscribe(this.#gossip);
    this.#gateSubscription = this.#gate.onChange((peerId) => {
      if (this.#gate.standingOf(peerId) === 'refused') this.#expel(peerId);
    });
    if (listen.length > 0 && this.addresses().length === 0) {
      await this.stop();
      throw new AspenError('UNAVAILABLE', `cannot listen on any of ${listen.join(', ')}`);
    }
    if (listen.length > 0) await ports?.remember(this.#ownAddresses());
    this.#listenProblems = unboundAddresses(listen, this.#ownAddresses()).map(cannotListen);
    for (const problem of this.#listenProblems) this.#log.warn({}, problem);
    this.#log.info({ addresses: this.addresses() }, 'transport listens');
  }

  async #startDialing({ node, components }: Libp2pParts): Promise<void> {
    const directTo: DirectTo = (peerId) => {
      const channel = this.#channels.get(peerId as PeerId);
      return channel?.path === 'direct' ? channel.connection : undefined;
    };
    const circuits = new Libp2pCircuits(
      {
        self: this.self,
        node,
        upgrader: components.upgrader,
        clock: this.#clock,
        log: this.#log,
        standingOf: (peerId) => this.#gate.standingOf(peerId),
        directTo,
      },
      { meshId: this.#options.meshId },
    );
    circuits.isOffered = this.#isRelay;
    await circuits.start();
    this.#circuits = circuits;
    this.#dialer = new Libp2pDialer({
      clock: this.#clock,
      node,
      transportManager: components.transportManager,
      rest: this.#rest,
      dialCircuit: (peerId, address, signal) => circuits.dial(peerId, address, signal),
      isRelayLinked: (relay) => directTo(relay) !== undefined,
    });
    await this.#startHoles({ node, components }, directTo);
  }

  async #startHoles({ node, components }: Libp2pParts, directTo: DirectTo): Promise<void> {
    this.#holes = new Libp2pHoles(
      {
        node,
        transportManager: components.transportManager,
        upgrader: components.upgrader,
        clock: this.#clock,
        random: this.#random,
        isMember: (peerId) => this.#isMember(peerId),
        directTo,
        markBusy: (connection) => this.#watch?.markBusy(connection),
        onInitiated: (peerId, connection, signal) => this.#openUpgraded(peerId, connection, signal),
      },
      { meshId: this.#options.meshId },
    );
    await this.#holes.start();
  }

  #openHole(observer: PeerId, signal: AbortSignal): Promise<Hole> {
    if (this.#holes === undefined)
      return Promise.reject(new AspenError('UNAVAILABLE', 'the transport is not running', NOT_APPLIED));
    return this.#holes.open(observer, signal);
  }

  #offerCircuits(isOffered: boolean): void {
    this.#isRelay = isOffered;
    if (this.#circuits !== undefined) this.#circuits.isOffered = isOffered;
  }

  async stop(): Promise<void> {
    this.#gateSubscription?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    for (const channel of [...this.#channels.values()]) channel.close('this node is stopping');
    for (const channel of [...this.#retired]) channel.close('this node is stopping');
    await this.#circuits?.stop();
    await this.#quic.stop();
    await this.#tasks.stop();
    await this.#gossip?.stop();
    await this.#parts?.node.stop();
    this.#gossip = undefined;
    this.#circuits = undefined;
    this.#dialer = undefined;
    this.#holes = undefined;
    this.#parts = undefined;
  }

  addresses(): readonly string[] {
    if (this.#options.announce !== undefined) return this.#options.announce;
    return [...announcedAddresses(this.#ownAddresses()), ...this.knocking.also];
  }

  #ownAddresses(): readonly string[] {
    const own = this.#parts?.components.transportManager.getAddrs() ?? [];
    return own.map((address) => withoutTarget(address.toString()));
  }

  dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (this.#channels.has(peerId)) return Promise.resolve();
    const dialing = this.#dials.get(peerId);
    if (dialing !== undefined) return dialing;
    const dial = this.#dial(peerId, addresses, signal).finally(() => this.#dials.delete(peerId));
    this.#dials.set(peerId, dial);
    return dial;
  }

  hangUp(peerId: PeerId, reason: string): void {
    this.#channels.get(peerId)?.close(reason);
    this.#tasks.run(async () => this.#parts?.node.hangUp(peerIdFromString(peerId)));
  }

  verify(): void {
    this.#rest.clear(); // Z4
    this.#pauses.clear();
    for (const channel of this.#channels.values()) channel.verify();
  }

  async confirm(unheardMs = 0): Promise<void> {
    const asked = [...this.#channels.values()].filter((channel) => channel.unheardMs >= unheardMs);
    await Promise.all(asked.map((channel) => channel.confirm(CONFIRM_MS)));
  }

  spare: NonNullable<Transport['spare']> = (thriftOf) =>
    this.#pauses.spare((peerId) => thriftOf(peerId as PeerId));

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
    return [...this.#channels.values()];
  }

  isLinked(peerId: PeerId): boolean {
    return this.#channels.has(peerId);
  }

  send(to: PeerId, frame: Uint8Array, priority: Priority): boolean {
    return this.#channels.get(to)?.send(frame, priority) ?? false;
  }

  onFrame(callback: (from: PeerId, frame: Uint8Array) => void): Disposable {
    return this.#frames.add(({ from, frame }) => callback(from, frame));
  }

  onLink(callback: (event: LinkEvent) => void): Disposable {
    return this.#linkEvents.add(callback);
  }

  /** T2: a refused peer gets no further than the handshake that tells who it is, either way. */
  #gater(): ConnectionGater {
    const isRefused = (peerId: Libp2pPeerId) =>
      this.#gate.standingOf(peerId.toString() as PeerId) === 'refused';
    return {
      denyDialPeer: isRefused,
      denyDialMultiaddr: () => false,
      denyInboundConnection: (connection) => !this.#door.admits(connection), // F1
      denyInboundEncryptedConnection: (peerId, connection) => {
        this.#door.known(connection, { isMember: this.#isMember(peerId) });
        return (
          isRefused(peerId) || this.#watch?.hasRoomFor(peerId, connection.remoteAddr.toString()) === false
        );
      },
      denyOutboundEncryptedConnection: isRefused,
      denyInboundRelayReservation: () => true,
    };
  }

  #isMember(peerId: Libp2pPeerId): boolean {
    return this.#gate.standingOf(peerId.toString() as PeerId) === 'member';
  }

  #expel(peerId: PeerId): void {
    this.#circuits?.endFor(peerId);
    this.hangUp(peerId, 'the gate refuses it');
  }

  async #dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (this.#gate.standingOf(peerId) !== 'member') throw notAdmitted(this.self, peerId); // T2
    const timeoutMs = this.#options.dialTimeoutMs ?? 8_000;
    try {
      await this.#withDeadline(`dialing ${peerId}`, timeoutMs, signal, (over) =>
        this.#open(peerId, addresses, over),
      );
    } catch (error) {
      if (await this.#isLinkedAnyway(peerId, error)) return;
      throw asUnreachable(peerId, error);
    }
  }

  async #open(peerId: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<void> {
    this.#opening.add(peerId);
    try {
      await this.#onConnection(peerId, addresses, signal, async (connection) => {
        const channel = await this.#openOn(connection, signal);
        if (await this.#isSecond(channel))
          channel.close('another process with its identity is linked and alive');
        else if (await this.#isWorse(channel)) channel.close('the direct channel is kept');
        else this.#install(channel);
      });
    } finally {
      this.#opening.delete(peerId);
    }
  }

  /** A connection on which this takes too long is dead, though nobody has said so: it is ended, so that the next dial makes a new one. */
  async #openOn(connection: Connection, signal: AbortSignal): Promise<Libp2pChannel> {
    try {
      return await this.#withDeadline('opening a channel', HELLO_TIMEOUT_MS, signal, async (over) => {
        const stream = await connection.newStream(this.#channelProtocol, { signal: over });
        const channel = this.#channel(stream, connection, true);
        channel.sayHello(this.#instance);
        await this.#helloed(channel, over);
        return channel;
      });
    } catch (error) {
      if (error instanceof AspenError && error.code === 'DEADLINE_EXCEEDED') {
        connection.abort(new Error('the peer does not answer'));
      }
      throw error;
    }
  }

  /** Uses the connection there is, or a new one: also where the old one turns out to be over, which this end may hear a moment late. */
  async #onConnection<T>(
    peerId: PeerId,
    addresses: readonly string[],
    signal: AbortSignal,
    use: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const busily = async (connection: Connection): Promise<T> => {
      using _busy = this.#watch?.markBusy(connection);
      return await use(connection);
    };
    const open = this.#node()
      .getConnections(peerIdFromString(peerId))
      .find(({ status }) => status === 'open');
    if (open === undefined) return await busily(await this.#dialNew(peerId, addresses, signal));
    try {
      return await busily(open);
    } catch (error) {
      if (!isOver(error) || signal.aborted) throw error;
      open.abort(new Error('the connection is over'));
      return await busily(await this.#dialNew(peerId, addresses, signal));
    }
  }

  async #dialNew(peerId: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    if (this.#dialer === undefined)
      throw new AspenError('UNAVAILABLE', 'the transport is not running', NOT_APPLIED);
    return await this.#dialer.dial(peerId, addresses.map(withoutTarget), signal);
  }

  /** A direct way in place of a circuit. The link stays: nothing that is on its way is lost. */
  async #upgrade(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (this.#channels.get(peerId)?.path !== 'relay') return;
    const direct = addresses.filter((address) => !isCircuit(address));
    const timeoutMs = this.#options.dialTimeoutMs ?? 8_000;
    await this.#withDeadline(`looking for a direct way to ${peerId}`, timeoutMs, signal, async (over) => {
      const connection = await this.#dialNew(peerId, direct, over);
      await this.#openUpgraded(peerId, connection, over);
    });
  }

  async #openUpgraded(peerId: PeerId, connection: Connection, signal: AbortSignal): Promise<void> {
    this.#opening.add(peerId);
    try {
      using _busy = this.#watch?.markBusy(connection);
      const channel = await this.#openOn(connection, signal);
      if (await this.#isSecond(channel))
        channel.close('another process with its identity is linked and alive');
      else this.#install(channel);
    } finally {
      this.#opening.delete(peerId);
    }
  }

  /** The peer resets the stream instead of saying hello when its gate does not know us, or when it keeps another channel. */
  async #helloed(channel: Libp2pChannel, signal: AbortSignal): Promise<void> {
    const onAbort = () => channel.close('no hello in time');
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await channel.helloed;
    } catch (cause) {
      if (cause instanceof RunsElsewhere) {
        this.#conflicts.refusedBy(channel.peerId);
        this.#log.error({ peerId: channel.peerId }, 'this identity already runs elsewhere');
        throw cause;
      }
      throw new AspenError('DENIED', `${channel.peerId} does not open a channel to ${this.self}`, { cause });
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Two peers that dial each other at once keep one channel; the larger id is refused and finds the other's a moment later. */
  async #isLinkedAnyway(peerId: PeerId, error: unknown): Promise<boolean> {
    const mayBeCrossing = this.self > peerId && error instanceof AspenError && error.code === 'DENIED';
    if (this.#channels.has(peerId) || !mayBeCrossing) return this.#channels.has(peerId);
    const { promise, resolve } = Promise.withResolvers<void>();
    using _opened = this.onLink((event) => event.peerId === peerId && event.type === 'opened' && resolve());
    using _timer = this.#clock.setTimer(CROSSING_GRACE_MS, resolve);
    await promise;
    return this.#channels.has(peerId);
  }

  #onChannel(stream: Stream, connection: Connection): void {
    if (!this.#isMember(connection.remotePeer)) {
      stream.abort(new Error('not a member')); // T2
      return;
    }
    this.#tasks.run(async (signal) => {
      const channel = this.#channel(stream, connection, false);
      try {
        await this.#withDeadline(
          `hello of ${channel.peerId}`,
          HELLO_TIMEOUT_MS,
          signal,
          () => channel.helloed,
        );
      } catch (err) {
        channel.close('no hello');
        this.#log.debug({ err, peerId: channel.peerId }, 'a channel was opened without a hello');
        return;
      }
      if (this.#keepsOwnInstead(channel) || (await this.#isWorse(channel))) {
        channel.close('the other channel is kept');
        return;
      }
      if (await this.#isSecond(channel)) {
        channel.refuseSecond(this.#instance);
        return;
      }
      channel.sayHello(this.#instance);
      this.#install(channel);
    });
  }

  /** T4: whether the linked process with this identity is another one, and still there. */
  async #isSecond(channel: Libp2pChannel): Promise<boolean> {
    const { peerId } = channel;
    const current = this.#channels.get(peerId);
    if (current === undefined || current.instance === channel.instance) return false;
    if (!(await current.isAlive(ALIVE_MS)) || this.#channels.get(peerId) !== current) return false;
    this.#conflicts.refused(peerId, channel.address);
    this.#log.warn(
      { peerId, kept: current.address, refused: channel.address },
      'a second process with the identity of a linked member is refused',
    );
    return true;
  }

  /** P2 */
  async #isWorse(channel: Libp2pChannel): Promise<boolean> {
    const current = this.#channels.get(channel.peerId);
    if (current === undefined || !isWorsePath(current, channel)) return false;
    return (await current.isAlive(ALIVE_MS)) && this.#channels.get(channel.peerId) === current;
  }

  /** When both ends open a channel at once, both keep the one that the smaller peer id opened. */
  #keepsOwnInstead(channel: Libp2pChannel): boolean {
    if (this.self > channel.peerId) return false;
    if (this.#opening.has(channel.peerId)) return true;
    const current = this.#channels.get(channel.peerId);
    if (current !== undefined && doesHandOver(current, channel)) return false;
    const isCrossing = current !== undefined && this.#clock.wallMs() - current.since < CROSSING_MS;
    return isCrossing && current.isOpenedBySelf && current.instance === channel.instance;
  }

  #channel(stream: Stream, connection: Connection, isOpenedBySelf: boolean): Libp2pChannel {
    const peerId = connection.remotePeer.toString() as PeerId;
    const channel: Libp2pChannel = new Libp2pChannel(
      {
        stream,
        connection,
        clock: this.#clock,
        events: {
          onFrame: (frame) => {
            if (this.#channels.get(peerId) === channel || this.#retired.has(channel))
              this.#frames.emit({ from: peerId, frame });
          },
          onClosed: (reason) => this.#uninstall(channel, reason),
        },
      },
      {
        peerId,
        isOpenedBySelf,
        queueBytesLimit: this.#options.queueBytesLimit ?? 16 * 2 ** 20,
        keepaliveMs: this.#options.keepaliveMs ?? 1_000,
        deadAfterMs: this.#options.deadAfterMs ?? 5_000,
        pauses: this.#pauses,
      },
    );
    return channel;
  }

  #install(channel: Libp2pChannel): void {
    const { peerId, connection } = channel;
    if (!this.#isMember(connection.remotePeer)) {
      channel.close('the gate refuses it');
      return;
    }
    this.#door.welcome(channel.address);
    this.#noteReached(channel);
    const current = this.#channels.get(peerId);
    if (current !== undefined && doesHandOver(current, channel)) {
      this.#handOver(current, channel);
      return;
    }
    current?.close('a newer channel took over');
    this.#channels.set(peerId, channel);
    this.#conflicts.linked(peerId);
    this.#gossip?.peerJoined(connection.remotePeer, connection);
    this.#log.debug({ peerId, address: channel.address }, 'channel opened');
    this.#linkEvents.emit({ peerId, type: 'opened' });
  }

  /** E1 */
  #noteReached({ isOpenedBySelf, path, address, connection }: Libp2pChannel): void {
    if (isOpenedBySelf || path !== 'direct' || !isFromElsewhere(address, this.addresses())) return;
    if (connection.direction === 'inbound' && !this.#wasMadeHere(connection))
      this.knocking.markReached(this.addresses());
  }

  /** By a hole: nobody comes by QUIC otherwise. */
  #wasMadeHere(connection: Connection): boolean {
    return this.#holes?.wasMadeHere(connection) === true || isQuic(connection.remoteAddr.toString());
  }

  /** P1: to those above it is the same link, now on another path. */
  #handOver(current: Libp2pChannel, channel: Libp2pChannel): void {
    const { peerId, connection } = channel;
    this.#channels.set(peerId, channel);
    this.#retired.add(current);
    current.retire();
    this.#gossip?.peerLeft(connection.remotePeer);
    this.#gossip?.peerJoined(connection.remotePeer, connection);
    this.#log.info({ peerId, before: current.address, address: channel.address }, 'a direct path was found');
  }

  #uninstall(channel: Libp2pChannel, reason: string): void {
    const { peerId, connection } = channel;
    this.#retired.delete(channel);
    this.#watch?.release(connection);
    if (this.#channels.get(peerId) !== channel) return;
    this.#channels.delete(peerId);
    this.#gossip?.peerLeft(connection.remotePeer);
    this.#log.debug({ peerId, reason }, 'channel closed');
    this.#linkEvents.emit({ peerId, type: 'closed' });
  }

  #ask(
    peerId: PeerId,
    addresses: readonly string[],
    request: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    if (this.#gate.standingOf(peerId) === 'refused') return Promise.reject(notAdmitted(this.self, peerId)); // T2
    return this.#withDeadline(`admission at ${peerId}`, ADMISSION_ANSWER_MS, signal, async (over) => {
      try {
        return await this.#onConnection(peerId, addresses, over, async (connection) => {
          const stream = await connection.newStream(this.#admissionProtocol, { signal: over });
          writeExchange(stream, request);
          const answer = await readExchange(stream, over);
          await stream.close({ signal: over });
          return answer;
        });
      } catch (error) {
        throw speaksOtherMesh(error)
          ? new AspenError('DENIED', `${peerId} answers, but not for mesh ${this.#options.meshId}`, {
              cause: error,
            })
          : asUnreachable(peerId, error);
      }
    });
  }

  #onAsk(stream: Stream, connection: Connection): void {
    const from = connection.remotePeer.toString() as PeerId;
    const responder = this.#responder;
    if (responder === undefined || this.#gate.standingOf(from) === 'refused') {
      stream.abort(new Error('no admission')); // T2
      return;
    }
    this.#tasks.run(async (signal) => {
      using _busy = this.#watch?.markBusy(connection);
      try {
        const request = await this.#withDeadline('admission request', ADMISSION_REQUEST_MS, signal, (over) =>
          readExchange(stream, over),
        );
        const answer = await this.#withDeadline('admission', ADMISSION_ANSWER_MS, signal, () =>
          responder(from, request),
        );
        writeExchange(stream, answer);
        await stream.close({ signal });
      } catch (err) {
        stream.abort(err instanceof Error ? err : new Error(String(err)));
        this.#log.debug({ err, from }, 'admission exchange failed');
      }
    });
  }

  #answer(responder: Responder): Disposable {
    this.#responder = responder;
    return {
      [Symbol.dispose]: () => {
        if (this.#responder === responder) this.#responder = undefined;
      },
    };
  }

  #subscribe(topic: string, callback: (message: Uint8Array, relayedBy: PeerId) => boolean): Disposable {
    if (this.#gossip !== undefined) return this.#gossip.subscribe(topic, callback);
    let subscription: Disposable | undefined;
    let isDisposed = false;
    this.#earlySubscriptions.push((gossip) => {
      if (!isDisposed) subscription = gossip.subscribe(topic, callback);
    });
    return {
      [Symbol.dispose]: () => {
        isDisposed = true;
        subscription?.[Symbol.dispose]();
      },
    };
  }

  #node(): Libp2pParts['node'] {
    if (this.#parts === undefined)
      throw new AspenError('UNAVAILABLE', 'the transport is not running', NOT_APPLIED);
    return this.#parts.node;
  }

  #withDeadline<T>(
    what: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return withDeadline({ clock: this.#clock, timeoutMs, what, ...(signal && { signal }) }, work);
  }
}

const NOT_APPLIED = { outcome: 'not-applied' } as const;

function notAdmitted(gateOf: PeerId, stranger: PeerId): AspenError {
  return new AspenError('DENIED', `${gateOf} does not admit ${stranger}`);
}

function cannotListen(address: string): string {
  return `cannot listen on ${address}: another program has the port, or this user may not take it (below 1024 that takes a right: docs/NETWORK.md)`;
}

/** Nothing was begun on it: its end was under way. */
function isOver(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConnectionClosedError';
}

/** Every member of a mesh serves admission under the name of that mesh. */
function speaksOtherMesh(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedProtocolError';
}

function asUnreachable(peerId: PeerId, error: unknown): unknown {
  if (error instanceof AspenError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new AspenError('UNAVAILABLE', `cannot reach ${peerId}: ${why}`, { cause: error, ...NOT_APPLIED });
}
