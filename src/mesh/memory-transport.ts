import { AspenError, every, Listeners, type PeerId, withDeadline } from '../base/index.ts';
import { MemoryGossip } from './memory-gossip.ts';
import { MemoryLink } from './memory-link.ts';
import type { MemoryNetwork } from './memory-network.ts';
import {
  ADMISSION_ANSWER_MS,
  ADMISSION_BYTES_LIMIT,
  type AdmissionResponder,
  FRAME_BYTES_LIMIT,
  type Gate,
  type PeerLink,
  type Priority,
  type Transport,
} from './transport.ts';

export interface MemoryTransportComponents {
  readonly network: MemoryNetwork;
  readonly gate: Gate;
}

export interface MemoryTransportOptions {
  readonly self: PeerId;
  /** Where it listens. @default [`/memory/<peer id>`] */
  readonly addresses?: readonly string[];
  /** Pause between pings on a link. @default 1_000 */
  readonly keepaliveMs?: number;
  /** A link on which nothing was heard for this long is closed. @default 5_000 */
  readonly deadAfterMs?: number;
  /** @default 3_000 */
  readonly dialTimeoutMs?: number;
  /** Most bytes on the way to one peer. @default 16 MiB */
  readonly queueBytesLimit?: number;
  /** To how many neighbours a gossip message is passed on. @default 8 */
  readonly gossipFanout?: number;
}

type LinkEvent = { readonly peerId: PeerId; readonly type: 'opened' | 'closed' };

/** What runs at the far end once the dialer has arrived there. */
type Meeting<T> = (peer: MemoryTransport, address: string) => Promise<T>;

interface Trip {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const HANDSHAKE_BYTES = 300;
const PING_BYTES = 13;

/**
 * The Transport port inside one process, for tests and simulations: same gate, same limits, same liveness as the real one;
 * what the wire does is the network's policy.
 */
export class MemoryTransport implements Transport {
  readonly self: PeerId;
  readonly gossip: MemoryGossip;
  readonly admission: Transport['admission'];
  readonly #network: MemoryNetwork;
  readonly #gate: Gate;
  readonly #addresses: readonly string[];
  readonly #options: Required<Omit<MemoryTransportOptions, 'self' | 'addresses'>>;
  readonly #links = new Map<PeerId, MemoryLink>();
  readonly #dials = new Map<PeerId, Promise<void>>();
  readonly #frames = new Listeners<{ from: PeerId; frame: Uint8Array }>();
  readonly #linkEvents = new Listeners<LinkEvent>();
  #responder: AdmissionResponder | undefined;
  #dismiss: AdmissionResponder | undefined;
  #isRunning = false;
  #upkeep: readonly Disposable[] = [];

  constructor({ network, gate }: MemoryTransportComponents, options: MemoryTransportOptions) {
    this.self = options.self;
    this.#network = network;
    this.#gate = gate;
    this.#addresses = options.addresses ?? [`/memory/${options.self}`];
    this.#options = {
      keepaliveMs: options.keepaliveMs ?? 1_000,
      deadAfterMs: options.deadAfterMs ?? 5_000,
      dialTimeoutMs: options.dialTimeoutMs ?? 3_000,
      queueBytesLimit: options.queueBytesLimit ?? 16 * 2 ** 20,
      gossipFanout: options.gossipFanout ?? 8,
    };
    this.gossip = new MemoryGossip({
      self: this.self,
      neighbours: () => [...this.#links.keys()],
      forward: (to, message) =>
        this.#carry(to, message.bytes.length, (peer) => peer.gossip.receive(this.self, message)),
      nextId: () => network.nextId(),
      fanout: this.#options.gossipFanout,
    });
    this.admission = {
      ask: (peerId, addresses, request, signal) => this.#ask(peerId, addresses, request, signal),
      answer: (responder, dismiss) => this.#answer(responder, dismiss),
    };
  }

  async start(): Promise<void> {
    this.#isRunning = true;
    for (const address of this.#addresses) this.#network.listen(address, this);
    this.#upkeep = [
      this.#gate.onChange((peerId) => {
        if (this.#gate.standingOf(peerId) === 'refused') this.hangUp(peerId, 'the gate refuses it');
      }),
      every(this.#network.clock, this.#options.keepaliveMs, () => this.#keepAlive()),
    ];
  }

  async stop(): Promise<void> {
    for (const peerId of [...this.#links.keys()]) this.hangUp(peerId, 'stopping');
    this.crash();
  }

  /** Ends without a word: peers notice when their pings stay unanswered. */
  crash(): void {
    this.#isRunning = false;
    for (const part of this.#upkeep) part[Symbol.dispose]();
    this.#upkeep = [];
    for (const address of this.#addresses) {
      if (this.#network.at(address) === this) this.#network.unlisten(address);
    }
    this.#links.clear();
  }

  addresses(): readonly string[] {
    return this.#isRunning ? this.#addresses : [];
  }

  dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (this.#links.has(peerId)) return Promise.resolve();
    const dialing = this.#dials.get(peerId);
    if (dialing !== undefined) return dialing;
    const dial = this.#dialFirst(peerId, addresses, signal)
      .catch((error) => this.#unlessLinked(peerId, error))
      .finally(() => this.#dials.delete(peerId));
    this.#dials.set(peerId, dial);
    return dial;
  }

  hangUp(peerId: PeerId, _reason: string): void {
    const link = this.#links.get(peerId);
    if (link === undefined) return;
    this.#carry(peerId, PING_BYTES, (peer) => peer.#close(this.self, link.linkId));
    this.#close(peerId, link.linkId);
  }

  links(): readonly PeerLink[] {
    return [...this.#links.values()];
  }

  isLinked(peerId: PeerId): boolean {
    return this.#links.has(peerId);
  }

  send(to: PeerId, frame: Uint8Array, _priority: Priority): boolean {
    const link = this.#links.get(to);
    const bytes = frame.length;
    if (link === undefined || bytes > FRAME_BYTES_LIMIT) return false;
    if (link.bytesInFlight + bytes > this.#options.queueBytesLimit) return false; // T3
    const copy = frame.slice();
    const copies = this.#carry(to, bytes, (peer) => {
      link.bytesInFlight -= bytes;
      peer.#frames.emit({ from: this.self, frame: copy.slice() });
    });
    link.bytesInFlight += copies * bytes;
    return true;
  }

  onFrame(callback: (from: PeerId, frame: Uint8Array) => void): Disposable {
    return this.#frames.add(({ from, frame }) => callback(from, frame));
  }

  onLink(callback: (event: LinkEvent) => void): Disposable {
    return this.#linkEvents.add(callback);
  }

  /** Carries over the current link; what arrives after that link ended, at either end, is dropped. */
  #carry(to: PeerId, bytes: number, arrive: (peer: MemoryTransport) => void): number {
    const link = this.#links.get(to);
    const peer = link === undefined ? undefined : this.#network.at(link.address);
    if (link === undefined || peer === undefined) return 0;
    return this.#network.carry({ from: this.self, to, bytes }, () => {
      if (peer.#links.get(this.self)?.linkId === link.linkId) arrive(peer);
    });
  }

  #open(peerId: PeerId, address: string, linkId: number): void {
    const { clock } = this.#network;
    const previous = this.#links.get(peerId);
    if (previous !== undefined) this.#close(peerId, previous.linkId);
    const link = new MemoryLink({
      peerId,
      address,
      linkId,
      wallMs: clock.wallMs(),
      nowMs: clock.monotonicMs(),
    });
    this.#links.set(peerId, link);
    this.#linkEvents.emit({ peerId, type: 'opened' });
  }

  #close(peerId: PeerId, linkId: number): void {
    if (this.#links.get(peerId)?.linkId !== linkId) return;
    this.#links.delete(peerId);
    this.#linkEvents.emit({ peerId, type: 'closed' });
  }

  #keepAlive(): void {
    const nowMs = this.#network.clock.monotonicMs();
    for (const link of [...this.#links.values()]) {
      if (nowMs - link.lastHeardMs >= this.#options.deadAfterMs)
        this.hangUp(link.peerId, 'nothing was heard');
      else this.#ping(link, nowMs);
    }
  }

  #ping(link: MemoryLink, sentMs: number): void {
    this.#carry(link.peerId, PING_BYTES, (peer) => {
      peer.#heard(this.self);
      peer.#carry(this.self, PING_BYTES, () => {
        link.measured(this.#network.clock.monotonicMs() - sentMs);
        this.#heard(link.peerId);
      });
    });
  }

  #heard(peerId: PeerId): void {
    const link = this.#links.get(peerId);
    if (link !== undefined) link.lastHeardMs = this.#network.clock.monotonicMs();
  }

  async #dialFirst(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (this.#gate.standingOf(peerId) !== 'member') throw notAdmitted(this.self, peerId); // T2
    const trip = { peerId, addresses, timeoutMs: this.#options.dialTimeoutMs, signal };
    const { address, linkId } = await this.#meetAt(trip, async (peer, address) => {
      if (peer.#gate.standingOf(this.self) !== 'member') throw notAdmitted(peerId, this.self);
      const current = this.#links.get(peerId);
      if (current !== undefined && peer.#links.get(this.self)?.linkId === current.linkId) return current;
      if (peer.#dials.has(this.self) && peer.self < this.self) throw crossing(peerId);
      const linkId = this.#network.nextId();
      peer.#open(this.self, this.#addresses[0] ?? '', linkId);
      return { address, linkId };
    });
    if (!this.#isRunning) throw unreachable(peerId, 'this transport stopped');
    if (this.#links.get(peerId)?.linkId !== linkId) this.#open(peerId, address, linkId);
  }

  /** Two peers that dialed each other at once: the larger id is refused, and the dial of the smaller one serves both. */
  async #unlessLinked(peerId: PeerId, error: unknown): Promise<void> {
    if (error instanceof CrossingError) {
      const { promise, resolve } = Promise.withResolvers<void>();
      using _opened = this.onLink((event) => event.peerId === peerId && event.type === 'opened' && resolve());
      using _timer = this.#network.clock.setTimer(this.#options.dialTimeoutMs, resolve);
      if (!this.#links.has(peerId)) await promise;
    }
    if (!this.#links.has(peerId)) throw error;
  }

  /** Runs `meet` at the first address that answers. @returns what it returned, a round trip later. */
  async #meetAt<T>(trip: Trip, meet: Meeting<T>): Promise<T> {
    let lastError: unknown = unreachable(trip.peerId, 'no address is known');
    if (!this.#isRunning) lastError = unreachable(trip.peerId, 'this transport is not running');
    for (const address of this.#isRunning ? trip.addresses : []) {
      try {
        return await this.#roundTrip(trip, address, meet);
      } catch (error) {
        trip.signal?.throwIfAborted();
        lastError = error;
        if (error instanceof AspenError && error.code === 'DENIED') break;
      }
    }
    throw lastError;
  }

  async #roundTrip<T>({ peerId, timeoutMs, signal }: Trip, address: string, meet: Meeting<T>): Promise<T> {
    const there = { from: this.self, to: peerId, bytes: HANDSHAKE_BYTES };
    const back = { from: peerId, to: this.self, bytes: HANDSHAKE_BYTES };
    const work = () =>
      new Promise<T>((resolve, reject) => {
        this.#network.carryOnce(there, () => {
          this.#meet(peerId, address, meet).then(
            (value) => this.#network.carryOnce(back, () => resolve(value)),
            (error) => this.#network.carryOnce(back, () => reject(error)),
          );
        });
      });
    const what = `reaching ${peerId} at ${address}`;
    return withDeadline({ clock: this.#network.clock, timeoutMs, what, ...(signal && { signal }) }, work);
  }

  async #meet<T>(peerId: PeerId, address: string, meet: Meeting<T>): Promise<T> {
    const peer = this.#network.at(address);
    if (peer === undefined) throw unreachable(peerId, `nobody listens at ${address}`);
    if (peer.self !== peerId) throw unreachable(peerId, `${peer.self} answers at ${address}`);
    return meet(peer, address);
  }

  async #ask(
    peerId: PeerId,
    addresses: readonly string[],
    request: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    if (this.#gate.standingOf(peerId) === 'refused') throw notAdmitted(this.self, peerId); // T2
    const copy = request.slice();
    const trip = { peerId, addresses, timeoutMs: ADMISSION_ANSWER_MS, signal };
    return this.#meetAt(trip, async (peer) => (await peer.#respond(this.self, copy)).slice());
  }

  async #respond(from: PeerId, request: Uint8Array): Promise<Uint8Array> {
    const isRefused = this.#gate.standingOf(from) === 'refused';
    const responder = isRefused ? this.#dismiss : this.#responder; // T2
    if (isRefused && responder === undefined) throw notAdmitted(this.self, from);
    if (responder === undefined) throw unreachable(this.self, 'it answers no admission');
    if (request.length > ADMISSION_BYTES_LIMIT)
      throw new AspenError('DENIED', 'the admission request is too long');
    const answer = await responder(from, request);
    if (!this.#isRunning) throw unreachable(this.self, 'it stopped');
    return answer;
  }

  #answer(responder: AdmissionResponder, dismiss?: AdmissionResponder): Disposable {
    this.#responder = responder;
    this.#dismiss = dismiss;
    return {
      [Symbol.dispose]: () => {
        if (this.#responder !== responder) return;
        this.#responder = undefined;
        this.#dismiss = undefined;
      },
    };
  }
}

class CrossingError extends AspenError {}

function crossing(peerId: PeerId): CrossingError {
  return new CrossingError('UNAVAILABLE', `${peerId} is dialing at the same time`, {
    outcome: 'not-applied',
  });
}

function notAdmitted(gateOf: PeerId, stranger: PeerId): AspenError {
  return new AspenError('DENIED', `${gateOf} does not admit ${stranger}`);
}

function unreachable(peerId: PeerId, why: string): AspenError {
  return new AspenError('UNAVAILABLE', `cannot reach ${peerId}: ${why}`, { outcome: 'not-applied' });
}
