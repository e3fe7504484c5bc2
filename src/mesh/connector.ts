import {
  AspenError,
  backoffMs,
  type Clock,
  type Logger,
  type PeerId,
  type Random,
  randomFloat,
  type Startable,
  Tasks,
  type Timer,
} from '../base/index.ts';
import { type Candidate, CandidateBook, type DiscoverySource, type KnownPeers } from '../discovery/index.ts';
import type { Admission } from './admission.ts';
import { parseCircuit } from './circuit-address.ts';
import { LEAST_LINKS, LINKS_KEPT } from './link-rules.ts';
import type { Gate, Transport } from './transport.ts';

export interface ConnectorComponents {
  readonly transport: Transport;
  readonly gate: Gate;
  readonly admission: Pick<Admission, 'introduce'>;
  readonly sources: readonly DiscoverySource[];
  readonly knownPeers: KnownPeers;
  /** Whom this node wants a link with in a large mesh. @default everybody */
  readonly wants?: (peerId: PeerId) => boolean;
  /** Whom it cannot do without, however many links it has. @default nobody */
  readonly needs?: (peerId: PeerId) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ConnectorOptions {
  /** Up to so many links are made without being asked; more come in, by `connect`, and with those that it needs. @default 32 */
  readonly linksLimit?: number;
  /** How many dials may be in progress at once. @default 8 */
  readonly dialsLimit?: number;
  /** Pause after the first failure. Unit: ms. @default 200 */
  readonly firstPauseMs?: number;
  /** Longest pause for a peer that was linked since this node started: after a cut has healed it is found again soon. Unit: ms. @default 2_000 */
  readonly familiarPauseMs?: number;
  /** Longest pause for others. Unit: ms. @default 60_000 */
  readonly longestPauseMs?: number;
}

/** What is known about reaching one peer. */
interface Target {
  failures: number;
  isDialing: boolean;
  isFamiliar: boolean;
  /** Others are reached over it (L3). */
  isRelay: boolean;
  /** When somebody here asked for it last, by the monotonic clock; undefined when nobody did. */
  neededAtMs: number | undefined;
  timer: Timer | undefined;
}

/** A node that keeps no more makes hardly more. */
const LINKS_MADE_LIMIT = LINKS_KEPT + 8;
/** New candidates are dialed after a random part of this, so that a mesh that starts at once does not dial itself at once. */
const STAGGER_MS = 100;
/** Sources that speak of a peer because it was there just now: worth a try at once (L1). */
const SIGNS_OF_LIFE: ReadonlySet<Candidate['source']> = new Set(['mdns', 'exchange']);
/** What is known of a peer leads nowhere: the sources that can look for one are asked. */
const FAILURES_BEFORE_ASKING = 3;
/** Longest pause while nobody is linked. Unit: ms. */
const ALONE_PAUSE_MS = 10_000;
/** After a link was lost the peer with the larger id leaves the first try to the other one. */
const YIELD_MS = 500;
/** After this node slept or moved it yields to nobody for so long: the others may not reach it. */
const HURRY_MS = 10_000;

/**
 * Keeps this node linked to the members it knows of. A candidate that the gate does not know is asked for its certificate first.
 *
 * - L1 Every candidate that is wanted is tried again, ever more rarely, until it is linked or refused by the gate; what a source tells anew is tried
 *   at once.
 * - L3 Where a circuit is told of, its relay is a candidate too, and whoever waits for that relay is tried at once when it is linked.
 * - L2 At most `dialsLimit` dials are in progress, and at most one per peer.
 * - L4 Whoever is asked for by name is linked, wanted or not: directly, else over a relay that it tells of, which is linked for it.
 */
export class Connector implements Startable {
  readonly book = new CandidateBook();
  readonly #components: ConnectorComponents;
  readonly #options: Required<ConnectorOptions>;
  readonly #log: Logger;
  readonly #targets = new Map<PeerId, Target>();
  readonly #waiting: PeerId[] = [];
  readonly #tasks: Tasks;
  #subscriptions: readonly Disposable[] = [];
  #dialCount = 0;
  #hurryUntilMs = Number.NEGATIVE_INFINITY;

  constructor(components: ConnectorComponents, options: ConnectorOptions = {}) {
    this.#components = components;
    this.#log = components.log.child({ part: 'connector' });
    this.#options = {
      linksLimit: options.linksLimit ?? LINKS_MADE_LIMIT,
      dialsLimit: options.dialsLimit ?? 8,
      firstPauseMs: options.firstPauseMs ?? 200,
      familiarPauseMs: options.familiarPauseMs ?? 2_000,
      longestPauseMs: options.longestPauseMs ?? 60_000,
    };
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'dialing failed in an unknown way'));
  }

  async start(): Promise<void> {
    const { transport, gate, sources, knownPeers } = this.#components;
    const all = [...sources, knownPeers];
    this.#subscriptions = [
      ...all.map((source) => source.onCandidate((candidate) => this.consider(candidate))),
      transport.onLink(({ peerId, type }) =>
        type === 'opened' ? this.#onOpened(peerId) : this.#onClosed(peerId),
      ),
      gate.onChange((peerId) => this.#onStanding(peerId)),
    ];
    for (const source of all) await source.start();
  }

  async stop(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    for (const target of this.#targets.values()) target.timer?.cancel();
    this.#targets.clear();
    this.#waiting.length = 0;
    await this.#tasks.stop();
    for (const source of [...this.#components.sources, this.#components.knownPeers].reverse())
      await source.stop();
  }

  /** What people should know about discovery, one sentence per source that has a problem. */
  problems(): readonly string[] {
    return this.#components.sources.flatMap((source) => source.problem() ?? []);
  }

  /** Takes a hint where somebody may be. */
  consider(candidate: Candidate): void {
    const { transport, gate } = this.#components;
    const { peerId } = candidate;
    if (peerId === transport.self || gate.standingOf(peerId) === 'refused') return;
    const isNews = this.book.add(candidate) || SIGNS_OF_LIFE.has(candidate.source);
    if (!this.#isPlanned(peerId)) return;
    this.#considerRelays(candidate);
    if (transport.isLinked(peerId)) return;
    const target = this.#targetOf(peerId);
    if (target.timer !== undefined && !isNews) return; // its turn comes
    if (isNews) target.failures = 0;
    this.#schedule(peerId, target, randomFloat(this.#components.random) * STAGGER_MS);
  }

  /** Whoever is reached over a relay is reached once that is linked (L3). */
  #considerRelays({ addresses, source }: Candidate): void {
    for (const address of addresses) {
      const circuit = parseCircuit(address);
      if (circuit === undefined || this.#components.transport.isLinked(circuit.relay)) continue;
      this.#targetOf(circuit.relay).isRelay = true;
      this.consider({ peerId: circuit.relay, addresses: [circuit.relayAddress], source });
    }
  }

  /**
   * Links to one peer now, whatever the limits say (L4).
   * @throws AspenError UNAVAILABLE when it cannot be reached, DENIED when a gate refuses.
   */
  async connect(peerId: PeerId, signal?: AbortSignal): Promise<void> {
    const { transport } = this.#components;
    if (peerId === transport.self) return;
    this.#targetOf(peerId).neededAtMs = this.#components.clock.monotonicMs();
    if (transport.isLinked(peerId)) return;
    if (this.book.addressesOf(peerId).length === 0) this.#askFor(peerId);
    try {
      await this.#link(peerId, signal);
    } catch (error) {
      if (!(error instanceof AspenError) || !(await this.#linkRelayOf(peerId, signal))) throw error;
      await this.#link(peerId, signal);
    }
  }

  /** @returns when somebody here asked for it last, by the monotonic clock. */
  neededAtMs(peerId: PeerId): number | undefined {
    return this.#targets.get(peerId)?.neededAtMs;
  }

  /** L4. @returns whether one is linked now that was not. */
  async #linkRelayOf(peerId: PeerId, signal: AbortSignal | undefined): Promise<boolean> {
    const { transport } = this.#components;
    for (const address of this.book.addressesOf(peerId)) {
      const circuit = parseCircuit(address);
      if (circuit === undefined || circuit.relay === transport.self) continue;
      if (transport.isLinked(circuit.relay)) continue;
      this.book.add({ peerId: circuit.relay, addresses: [circuit.relayAddress] });
      try {
        await this.#link(circuit.relay, signal);
        return true;
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        this.#log.debug(
          { err, peerId, relay: circuit.relay },
          'a relay was not linked, the next one is tried',
        );
      }
    }
    return false;
  }

  #askFor(peerId: PeerId): void {
    for (const source of this.#components.sources) source.find?.(peerId);
  }

  /** Z4 This node slept or is in another network: everybody known who is not linked is tried now, whatever came of it before. */
  anew(): void {
    const { clock, random, gate, transport } = this.#components;
    this.#hurryUntilMs = clock.monotonicMs() + HURRY_MS;
    for (const peerId of this.book.peers()) {
      if (transport.isLinked(peerId) || gate.standingOf(peerId) === 'refused') continue;
      if (!this.#isPlanned(peerId)) continue;
      const target = this.#targetOf(peerId);
      target.failures = 0;
      this.#schedule(peerId, target, randomFloat(random) * STAGGER_MS);
    }
  }

  #targetOf(peerId: PeerId): Target {
    const known = this.#targets.get(peerId);
    if (known !== undefined) return known;
    this.#forgetTargetsOutOfBook();
    const target: Target = {
      failures: 0,
      isDialing: false,
      isFamiliar: false,
      isRelay: false,
      neededAtMs: undefined,
      timer: undefined,
    };
    this.#targets.set(peerId, target);
    return target;
  }

  /** The book is bounded, and so are the targets. */
  #forgetTargetsOutOfBook(): void {
    if (this.#targets.size < 2 * Math.max(64, this.book.peers().length)) return;
    const inBook = new Set(this.book.peers());
    for (const [peerId, target] of this.#targets) {
      if (inBook.has(peerId) || target.isDialing) continue;
      target.timer?.cancel();
      this.#targets.delete(peerId);
    }
  }

  #schedule(peerId: PeerId, target: Target, afterMs: number): void {
    if (target.isDialing) return;
    target.timer?.cancel();
    target.timer = this.#components.clock.setTimer(afterMs, () => {
      target.timer = undefined;
      this.#waiting.push(peerId);
      this.#dialNext();
    });
  }

  #dialNext(): void {
    while (this.#dialCount < this.#options.dialsLimit) {
      const peerId = this.#waiting.shift();
      if (peerId === undefined) return;
      const target = this.#targets.get(peerId);
      if (target === undefined || target.isDialing || !this.#isWanted(peerId)) continue;
      this.#startDial(peerId, target);
    }
  }

  #isWanted(peerId: PeerId): boolean {
    const { transport, gate, needs } = this.#components;
    const hasRoom = transport.links().length < this.#options.linksLimit || needs?.(peerId) === true;
    if (!hasRoom || transport.isLinked(peerId) || gate.standingOf(peerId) === 'refused') return false;
    return this.#isPlanned(peerId);
  }

  /** In a large mesh not everybody is linked with everybody; who has hardly any links takes whom it can get. */
  #isPlanned(peerId: PeerId): boolean {
    const { wants, transport } = this.#components;
    if (wants === undefined || wants(peerId) || this.#targets.get(peerId)?.isRelay) return true;
    return transport.links().length + this.#dialCount < LEAST_LINKS;
  }

  #startDial(peerId: PeerId, target: Target): void {
    target.isDialing = true;
    this.#dialCount += 1;
    this.#tasks.run(async (signal) => {
      try {
        await this.#link(peerId, signal);
        target.failures = 0;
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        target.failures += 1;
        this.#log.debug({ err, peerId, failures: target.failures }, 'dialing failed, will try again');
        if (target.failures >= FAILURES_BEFORE_ASKING) this.#askFor(peerId);
      } finally {
        target.isDialing = false;
        this.#dialCount -= 1;
        if (!signal.aborted) this.#afterDial(peerId, target);
      }
    });
  }

  #afterDial(peerId: PeerId, target: Target): void {
    if (target.failures > 0 && this.#isWanted(peerId)) this.#schedule(peerId, target, this.#pauseMs(target));
    this.#dialNext();
  }

  /** Whoever has no link at all waits for nobody long: to be left out costs more than a dial. */
  #pauseMs({ failures, isFamiliar }: Target): number {
    const { firstPauseMs, familiarPauseMs, longestPauseMs } = this.#options;
    const isAlone = this.#components.transport.links().length === 0;
    const ofStrangersMs = isAlone ? Math.min(ALONE_PAUSE_MS, longestPauseMs) : longestPauseMs;
    const mostMs = isFamiliar ? familiarPauseMs : ofStrangersMs;
    return backoffMs(failures, this.#components.random, { firstMs: firstPauseMs, mostMs });
  }

  /** Makes each known to the other where needed, then dials. */
  async #link(peerId: PeerId, signal: AbortSignal | undefined): Promise<void> {
    const { transport, gate, admission } = this.#components;
    const addresses = this.book.addressesOf(peerId);
    const withSignal = signal === undefined ? {} : { signal };
    const isStranger = gate.standingOf(peerId) === 'stranger';
    if (isStranger) await admission.introduce({ peerId, addresses }, withSignal);
    try {
      await transport.dial(peerId, addresses, signal);
    } catch (error) {
      if (isStranger || !(error instanceof AspenError) || error.code !== 'DENIED') throw error;
      await admission.introduce({ peerId, addresses }, withSignal); // the peer may not know us yet
      await transport.dial(peerId, addresses, signal);
    }
    this.#rememberAddress(peerId, addresses);
  }

  #rememberAddress(peerId: PeerId, dialed: readonly string[]): void {
    const link = this.#components.transport.links().find((candidate) => candidate.peerId === peerId);
    if (link !== undefined && dialed.includes(link.address))
      this.#components.knownPeers.remember(peerId, [link.address]);
  }

  #onOpened(peerId: PeerId): void {
    const target = this.#targetOf(peerId);
    target.timer?.cancel();
    target.timer = undefined;
    target.failures = 0;
    target.isFamiliar = true;
    this.#tryThoseBehind(peerId);
  }

  /** L3 */
  #tryThoseBehind(relay: PeerId): void {
    for (const [peerId, target] of this.#targets) {
      if (target.timer === undefined || this.#components.transport.isLinked(peerId)) continue;
      const isBehind = this.book
        .addressesOf(peerId)
        .some((address) => parseCircuit(address)?.relay === relay);
      if (isBehind) this.#schedule(peerId, target, randomFloat(this.#components.random) * STAGGER_MS);
    }
  }

  #onClosed(peerId: PeerId): void {
    if (this.#components.gate.standingOf(peerId) === 'refused' || this.book.addressesOf(peerId).length === 0)
      return;
    const { transport, clock } = this.#components;
    const isHurried = clock.monotonicMs() < this.#hurryUntilMs;
    const yieldMs = transport.self > peerId && !isHurried ? YIELD_MS : 0;
    const staggerMs = randomFloat(this.#components.random) * STAGGER_MS;
    this.#schedule(peerId, this.#targetOf(peerId), yieldMs + staggerMs);
  }

  #onStanding(peerId: PeerId): void {
    if (this.#components.gate.standingOf(peerId) !== 'refused') return;
    this.#targets.get(peerId)?.timer?.cancel();
    this.#targets.delete(peerId);
    this.book.forget(peerId);
    this.#components.knownPeers.forget(peerId);
  }
}
