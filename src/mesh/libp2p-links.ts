import type { Connection, Stream } from '@libp2p/interface';
import { type Clock, Listeners, type Logger, type PeerId } from '../base/index.ts';
import { EarlyFrames } from './early-frames.ts';
import type { IdentityConflicts } from './identity-conflicts.ts';
import { PauseLimits } from './keepalive-rules.ts';
import { Libp2pChannel } from './libp2p-channel.ts';
import type { Libp2pGossip } from './libp2p-gossip.ts';
import { doesHandOver, isWorsePath } from './path-rules.ts';
import type { Transport } from './transport.ts';

export interface LinksComponents {
  readonly self: PeerId;
  readonly isMember: (peerId: Connection['remotePeer']) => boolean;
  /** While the transport runs. */
  readonly gossip: () => Pick<Libp2pGossip, 'peerJoined' | 'peerLeft'> | undefined;
  readonly conflicts: IdentityConflicts;
  readonly clock: Clock;
  readonly log: Logger;
  /** A channel is about to become a link. */
  readonly onWelcome: (channel: Libp2pChannel) => void;
  readonly onChannelEnd: (connection: Connection) => void;
}

export interface LinksOptions {
  /** Most bytes waiting for one peer, per priority. */
  readonly queueBytesLimit: number;
  /** Unit: ms. */
  readonly keepaliveMs: number;
  /** Unit: ms. */
  readonly deadAfterMs: number;
}

export type LinkEvent = { readonly peerId: PeerId; readonly type: 'opened' | 'closed' };
type Channel = Libp2pChannel;

/** Two ends that dial each other at once settle on one channel within this time. */
const CROSSING_MS = 3_000;
/** A process that answers within this time is alive. */
const ALIVE_MS = 1_500;
/** How long a path that nothing depends on may be left alone. Unit: keep-alive ticks. */
const LONGEST_PAUSE_TICKS = 20;
/** A link that does not answer within this time is not called up. */
const CONFIRM_MS = 1_000;

/** The channels that are links, one for each peer, and which of two takes the place of the other (T4, P1, P2). */
export class Libp2pLinks {
  readonly frames = new Listeners<{ from: PeerId; frame: Uint8Array }>();
  readonly events = new Listeners<LinkEvent>();
  readonly #components: LinksComponents;
  readonly #options: LinksOptions;
  readonly #channels = new Map<PeerId, Channel>();
  /** Channels whose place another one took; still heard until they end. */
  readonly #retired = new Set<Channel>();
  readonly #early = new EarlyFrames<Channel>();
  readonly #pauses = new PauseLimits(LONGEST_PAUSE_TICKS);

  constructor(components: LinksComponents, options: LinksOptions) {
    this.#components = components;
    this.#options = options;
  }

  all(): readonly Channel[] {
    return [...this.#channels.values()];
  }

  to(peerId: PeerId): Channel | undefined {
    return this.#channels.get(peerId);
  }

  has(peerId: PeerId): boolean {
    return this.#channels.has(peerId);
  }

  directTo(peerId: string): Connection | undefined {
    const channel = this.#channels.get(peerId as PeerId);
    return channel?.path === 'direct' ? channel.connection : undefined;
  }

  /** Whether a channel is on it, one that is retired among them. */
  carries(connection: Connection): boolean {
    return [...this.#channels.values(), ...this.#retired].some(
      (channel) => channel.connection === connection,
    );
  }

  closeAll(reason: string): void {
    for (const channel of [...this.#channels.values(), ...this.#retired]) channel.close(reason);
  }

  verify(): void {
    this.#pauses.clear();
    for (const channel of this.#channels.values()) channel.verify();
  }

  async confirm(unheardMs: number): Promise<void> {
    const asked = this.all().filter((channel) => channel.unheardMs >= unheardMs);
    await Promise.all(asked.map((channel) => channel.confirm(CONFIRM_MS)));
  }

  spare: NonNullable<Transport['spare']> = (thriftOf) =>
    this.#pauses.spare((peerId) => thriftOf(peerId as PeerId));

  /** A channel that is no link yet. */
  channel(stream: Stream, connection: Connection, isOpenedBySelf: boolean): Channel {
    const peerId = connection.remotePeer.toString() as PeerId;
    const channel: Channel = new Libp2pChannel(
      {
        stream,
        connection,
        clock: this.#components.clock,
        events: {
          onFrame: (frame) => this.#onFrame(channel, frame),
          onClosed: (reason) => this.#uninstall(channel, reason),
        },
      },
      { ...this.#options, peerId, isOpenedBySelf, pauses: this.#pauses },
    );
    return channel;
  }

  /** The end that opened a channel is told last that it is a link. */
  #onFrame(channel: Channel, frame: Uint8Array): void {
    const { peerId, isOpenedBySelf } = channel;
    if (this.#channels.get(peerId) === channel || this.#retired.has(channel))
      this.frames.emit({ from: peerId, frame });
    else if (isOpenedBySelf) this.#early.hold(channel, frame);
  }

  #tellEarly(channel: Channel): void {
    for (const frame of this.#early.take(channel)) this.#onFrame(channel, frame);
  }

  /** T4: whether the linked process with this identity is another one, and still there. */
  async isSecond(channel: Channel): Promise<boolean> {
    const { conflicts, log } = this.#components;
    const { peerId } = channel;
    const current = this.#channels.get(peerId);
    if (current === undefined || current.instance === channel.instance) return false;
    if (!(await current.isAlive(ALIVE_MS)) || this.#channels.get(peerId) !== current) return false;
    conflicts.refused(peerId, channel.address);
    log.warn(
      { peerId, kept: current.address, refused: channel.address },
      'a second process with the identity of a linked member is refused',
    );
    return true;
  }

  /** P2 */
  async isWorse(channel: Channel): Promise<boolean> {
    const current = this.#channels.get(channel.peerId);
    if (current === undefined || !isWorsePath(current, channel)) return false;
    return (await current.isAlive(ALIVE_MS)) && this.#channels.get(channel.peerId) === current;
  }

  /** When both ends open a channel at once, both keep the one that the smaller peer id opened. */
  keepsOwnInstead(channel: Channel, isOpeningOwn: boolean): boolean {
    const { self, clock } = this.#components;
    if (self > channel.peerId) return false;
    if (isOpeningOwn) return true;
    const current = this.#channels.get(channel.peerId);
    if (current !== undefined && doesHandOver(current, channel)) return false;
    const isCrossing = current !== undefined && clock.wallMs() - current.since < CROSSING_MS;
    return isCrossing && current.isOpenedBySelf && current.instance === channel.instance;
  }

  install(channel: Channel): void {
    const { isMember, conflicts, gossip, log, onWelcome } = this.#components;
    const { peerId, connection } = channel;
    if (!isMember(connection.remotePeer)) {
      channel.close('the gate refuses it');
      return;
    }
    onWelcome(channel);
    const current = this.#channels.get(peerId);
    if (current !== undefined && doesHandOver(current, channel)) {
      this.#handOver(current, channel);
      return;
    }
    current?.close('a newer channel took over');
    this.#channels.set(peerId, channel);
    conflicts.linked(peerId);
    gossip()?.peerJoined(connection.remotePeer, connection);
    log.debug({ peerId, address: channel.address }, 'channel opened');
    this.events.emit({ peerId, type: 'opened' });
    this.#tellEarly(channel);
  }

  /** P1: to those above it is the same link, now on another path. */
  #handOver(current: Channel, channel: Channel): void {
    const { gossip, log } = this.#components;
    const { peerId, connection } = channel;
    this.#channels.set(peerId, channel);
    this.#retired.add(current);
    current.retire();
    gossip()?.peerLeft(connection.remotePeer);
    gossip()?.peerJoined(connection.remotePeer, connection);
    log.info({ peerId, before: current.address, address: channel.address }, 'a direct path was found');
    this.#tellEarly(channel);
  }

  #uninstall(channel: Channel, reason: string): void {
    const { gossip, log, onChannelEnd } = this.#components;
    const { peerId, connection } = channel;
    this.#retired.delete(channel);
    this.#early.take(channel);
    onChannelEnd(connection);
    if (this.#channels.get(peerId) !== channel) return;
    this.#channels.delete(peerId);
    gossip()?.peerLeft(connection.remotePeer);
    log.debug({ peerId, reason }, 'channel closed');
    this.events.emit({ peerId, type: 'closed' });
  }
}
