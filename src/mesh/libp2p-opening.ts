import type { Connection, PeerId as Libp2pPeerId, Stream } from '@libp2p/interface';
import { AspenError, type Clock, type Logger, type PeerId, type Tasks, withDeadline } from '../base/index.ts';
import { isCircuit } from './circuit-address.ts';
import type { IdentityConflicts } from './identity-conflicts.ts';
import { type Libp2pChannel, RunsElsewhere } from './libp2p-channel.ts';
import type { Libp2pConnections } from './libp2p-connections.ts';
import type { Libp2pLinks } from './libp2p-links.ts';
import { asUnreachable, notAdmitted } from './libp2p-transport-errors.ts';
import type { Gate } from './transport.ts';

export interface OpeningComponents {
  readonly self: PeerId;
  readonly connections: Libp2pConnections;
  readonly links: Libp2pLinks;
  readonly gate: Gate;
  readonly isMember: (peerId: Libp2pPeerId) => boolean;
  readonly markBusy: (connection: Connection) => Disposable | undefined;
  readonly conflicts: IdentityConflicts;
  readonly tasks: Tasks;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface OpeningOptions {
  readonly channelProtocol: string;
  /** Of this process. */
  readonly instance: Uint8Array;
  /** Unit: ms. */
  readonly dialTimeoutMs: number;
}

const HELLO_TIMEOUT_MS = 3_000;
const CROSSING_GRACE_MS = 1_000;

/** Makes links: opens channels to members, and answers those that members open. */
export class Libp2pOpening {
  readonly #components: OpeningComponents;
  readonly #options: OpeningOptions;
  readonly #dials = new Map<PeerId, Promise<void>>();
  /** Peers to which a channel is being opened from here. */
  readonly #opening = new Set<PeerId>();

  constructor(components: OpeningComponents, options: OpeningOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** One at a time to each peer. */
  dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (this.#components.links.has(peerId)) return Promise.resolve();
    const dialing = this.#dials.get(peerId);
    if (dialing !== undefined) return dialing;
    const dial = this.#dial(peerId, addresses, signal).finally(() => this.#dials.delete(peerId));
    this.#dials.set(peerId, dial);
    return dial;
  }

  async #dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    const { gate, self } = this.#components;
    if (gate.standingOf(peerId) !== 'member') throw notAdmitted(self, peerId); // T2
    try {
      await this.#within(`dialing ${peerId}`, this.#options.dialTimeoutMs, signal, (over) =>
        this.#open(peerId, addresses, over),
      );
    } catch (error) {
      if (await this.#isLinkedAnyway(peerId, error)) return;
      throw asUnreachable(peerId, error);
    }
  }

  async #open(peerId: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const { links, connections } = this.#components;
    this.#opening.add(peerId);
    try {
      await connections.use(peerId, addresses, signal, async (connection) => {
        const channel = await this.#openOn(connection, signal);
        if (await links.isSecond(channel))
          channel.close('another process with its identity is linked and alive');
        else if (await links.isWorse(channel)) channel.close('the direct channel is kept');
        else links.install(channel);
      });
    } finally {
      this.#opening.delete(peerId);
    }
  }

  /** A connection on which this takes too long is dead, though nobody has said so: it is ended, so that the next dial makes a new one. */
  async #openOn(connection: Connection, signal: AbortSignal): Promise<Libp2pChannel> {
    const { channelProtocol, instance } = this.#options;
    try {
      return await this.#within('opening a channel', HELLO_TIMEOUT_MS, signal, async (over) => {
        const stream = await connection.newStream(channelProtocol, { signal: over });
        const channel = this.#components.links.channel(stream, connection, true);
        channel.sayHello(instance);
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

  /** A direct way in place of a circuit. The link stays: nothing that is on its way is lost. */
  async upgrade(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    const { links, connections } = this.#components;
    if (links.to(peerId)?.path !== 'relay') return;
    const direct = addresses.filter((address) => !isCircuit(address));
    const { dialTimeoutMs } = this.#options;
    await this.#within(`looking for a direct way to ${peerId}`, dialTimeoutMs, signal, async (over) => {
      const connection = await connections.dial(peerId, direct, over);
      await this.moveTo(peerId, connection, over);
    });
  }

  /** Opens a channel on a connection that another part has made. */
  async moveTo(peerId: PeerId, connection: Connection, signal: AbortSignal): Promise<void> {
    const { links, markBusy } = this.#components;
    this.#opening.add(peerId);
    try {
      using _busy = markBusy(connection);
      const channel = await this.#openOn(connection, signal);
      if (await links.isSecond(channel))
        channel.close('another process with its identity is linked and alive');
      else links.install(channel);
    } finally {
      this.#opening.delete(peerId);
    }
  }

  /** The peer resets the stream instead of saying hello when its gate does not know us, or when it keeps another channel. */
  async #helloed(channel: Libp2pChannel, signal: AbortSignal): Promise<void> {
    const { self, conflicts, log } = this.#components;
    const onAbort = () => channel.close('no hello in time');
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await channel.helloed;
    } catch (cause) {
      if (cause instanceof RunsElsewhere) {
        conflicts.refusedBy(channel.peerId);
        log.error({ peerId: channel.peerId }, 'this identity already runs elsewhere');
        throw cause;
      }
      throw new AspenError('DENIED', `${channel.peerId} does not open a channel to ${self}`, { cause });
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Two peers that dial each other at once keep one channel; the larger id is refused and finds the other's a moment later. */
  async #isLinkedAnyway(peerId: PeerId, error: unknown): Promise<boolean> {
    const { self, links, clock } = this.#components;
    const mayBeCrossing = self > peerId && error instanceof AspenError && error.code === 'DENIED';
    if (links.has(peerId) || !mayBeCrossing) return links.has(peerId);
    const { promise, resolve } = Promise.withResolvers<void>();
    using _opened = links.events.add(
      (event) => event.peerId === peerId && event.type === 'opened' && resolve(),
    );
    using _timer = clock.setTimer(CROSSING_GRACE_MS, resolve);
    await promise;
    return links.has(peerId);
  }

  /** Somebody opens a channel. */
  onChannel(stream: Stream, connection: Connection): void {
    const { isMember, tasks, links, log } = this.#components;
    if (!isMember(connection.remotePeer)) {
      stream.abort(new Error('not a member')); // T2
      return;
    }
    tasks.run(async (signal) => {
      const channel = links.channel(stream, connection, false);
      try {
        await this.#within(`hello of ${channel.peerId}`, HELLO_TIMEOUT_MS, signal, () => channel.helloed);
      } catch (err) {
        channel.close('no hello');
        log.debug({ err, peerId: channel.peerId }, 'a channel was opened without a hello');
        return;
      }
      await this.#answer(channel);
    });
  }

  async #answer(channel: Libp2pChannel): Promise<void> {
    const { links } = this.#components;
    const isOpeningOwn = this.#opening.has(channel.peerId);
    if (links.keepsOwnInstead(channel, isOpeningOwn) || (await links.isWorse(channel))) {
      channel.close('the other channel is kept');
      return;
    }
    if (await links.isSecond(channel)) {
      channel.refuseSecond(this.#options.instance);
      return;
    }
    channel.sayHello(this.#options.instance);
    links.install(channel);
  }

  #within<T>(
    what: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#components;
    return withDeadline({ clock, timeoutMs, what, ...(signal && { signal }) }, work);
  }
}
