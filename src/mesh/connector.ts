import {
  AspenError,
  type Clock,
  type Logger,
  type PeerId,
  type Random,
  type Startable,
  Tasks,
} from '../base/index.ts';
import { type Candidate, CandidateBook, type DiscoverySource, type KnownPeers } from '../discovery/index.ts';
import type { Admission } from './admission.ts';
import { parseCircuit } from './circuit-address.ts';
import { DialRounds } from './dial-rounds.ts';
import { DialTargets } from './dial-targets.ts';
import { LinkMaker } from './link-maker.ts';
import { LEAST_LINKS, LINKS_KEPT } from './link-rules.ts';
import type { Gate, Transport } from './transport.ts';

export interface ConnectorComponents {
  readonly transport: Transport;
  readonly gate: Gate;
  readonly admission: Pick<Admission, 'introduce'>;
  readonly sources: readonly DiscoverySource[];
  readonly knownPeers: KnownPeers;
  /** Nobody can be expected to link with this node: it was revoked. @default never */
  readonly isExpelled?: () => boolean;
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

/** A node that keeps no more makes hardly more. */
const LINKS_MADE_LIMIT = LINKS_KEPT + 8;
/** Sources that speak of a peer because it was there just now: worth a try at once (L1). */
const SIGNS_OF_LIFE: ReadonlySet<Candidate['source']> = new Set(['mdns', 'exchange']);
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
  readonly #linksLimit: number;
  readonly #targets = new DialTargets(this.book);
  readonly #maker: LinkMaker;
  readonly #rounds: DialRounds;
  readonly #tasks: Tasks;
  #subscriptions: readonly Disposable[] = [];
  #hurryUntilMs = Number.NEGATIVE_INFINITY;

  constructor(components: ConnectorComponents, options: ConnectorOptions = {}) {
    this.#components = components;
    this.#linksLimit = options.linksLimit ?? LINKS_MADE_LIMIT;
    const log = components.log.child({ part: 'connector' });
    this.#tasks = new Tasks((err) => log.error({ err }, 'dialing failed in an unknown way'));
    this.#maker = new LinkMaker({ ...components, book: this.book, log });
    this.#rounds = new DialRounds(
      {
        ...components,
        ...{ log, tasks: this.#tasks, targets: this.#targets },
        link: (peerId, signal) => this.#maker.link(peerId, signal),
        isWanted: (peerId) => this.#isWanted(peerId),
        askFor: (peerId) => this.#askFor(peerId),
        isAlone: () => components.transport.links().length === 0 && components.isExpelled?.() !== true,
      },
      {
        dialsLimit: options.dialsLimit ?? 8,
        firstPauseMs: options.firstPauseMs ?? 200,
        familiarPauseMs: options.familiarPauseMs ?? 2_000,
        longestPauseMs: options.longestPauseMs ?? 60_000,
      },
    );
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
    this.#targets.clear();
    this.#rounds.clear();
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
    const target = this.#targets.of(peerId);
    if (target.timer !== undefined && !isNews) return; // its turn comes
    if (isNews) target.failures = 0;
    this.#rounds.scheduleSoon(peerId);
  }

  /** Whoever is reached over a relay is reached once that is linked (L3). */
  #considerRelays({ addresses, source }: Candidate): void {
    for (const address of addresses) {
      const circuit = parseCircuit(address);
      if (circuit === undefined || this.#components.transport.isLinked(circuit.relay)) continue;
      this.#targets.of(circuit.relay).isRelay = true;
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
    this.#targets.of(peerId).neededAtMs = this.#components.clock.monotonicMs();
    if (transport.isLinked(peerId)) return;
    if (this.book.addressesOf(peerId).length === 0) this.#askFor(peerId);
    try {
      await this.#maker.link(peerId, signal);
    } catch (error) {
      if (!(error instanceof AspenError) || !(await this.#maker.linkRelayOf(peerId, signal))) throw error;
      await this.#maker.link(peerId, signal);
    }
  }

  /** @returns when somebody here asked for it last, by the monotonic clock. */
  neededAtMs(peerId: PeerId): number | undefined {
    return this.#targets.find(peerId)?.neededAtMs;
  }

  #askFor(peerId: PeerId): void {
    for (const source of this.#components.sources) source.find?.(peerId);
  }

  /** Z4 This node slept or is in another network: everybody known who is not linked is tried now, whatever came of it before. */
  anew(): void {
    const { clock, gate, transport } = this.#components;
    this.#hurryUntilMs = clock.monotonicMs() + HURRY_MS;
    for (const peerId of this.book.peers()) {
      if (transport.isLinked(peerId) || gate.standingOf(peerId) === 'refused') continue;
      if (!this.#isPlanned(peerId)) continue;
      this.#targets.of(peerId).failures = 0;
      this.#rounds.scheduleSoon(peerId);
    }
  }

  #isWanted(peerId: PeerId): boolean {
    const { transport, gate, needs } = this.#components;
    const hasRoom = transport.links().length < this.#linksLimit || needs?.(peerId) === true;
    if (!hasRoom || transport.isLinked(peerId) || gate.standingOf(peerId) === 'refused') return false;
    return this.#isPlanned(peerId);
  }

  /** In a large mesh not everybody is linked with everybody; who has hardly any links takes whom it can get. */
  #isPlanned(peerId: PeerId): boolean {
    const { wants, transport } = this.#components;
    if (wants === undefined || wants(peerId) || this.#targets.find(peerId)?.isRelay) return true;
    return transport.links().length + this.#rounds.dialCount < LEAST_LINKS;
  }

  #onOpened(peerId: PeerId): void {
    const target = this.#targets.of(peerId);
    target.timer?.cancel();
    target.timer = undefined;
    target.failures = 0;
    target.isFamiliar = true;
    this.#tryThoseBehind(peerId);
  }

  /** L3 */
  #tryThoseBehind(relay: PeerId): void {
    for (const [peerId, target] of this.#targets.all()) {
      if (target.timer === undefined || this.#components.transport.isLinked(peerId)) continue;
      const isBehind = this.book
        .addressesOf(peerId)
        .some((address) => parseCircuit(address)?.relay === relay);
      if (isBehind) this.#rounds.scheduleSoon(peerId);
    }
  }

  #onClosed(peerId: PeerId): void {
    if (this.#components.gate.standingOf(peerId) === 'refused' || this.book.addressesOf(peerId).length === 0)
      return;
    const { transport, clock } = this.#components;
    const isHurried = clock.monotonicMs() < this.#hurryUntilMs;
    const yieldMs = transport.self > peerId && !isHurried ? YIELD_MS : 0;
    this.#rounds.scheduleSoon(peerId, yieldMs);
  }

  #onStanding(peerId: PeerId): void {
    if (this.#components.gate.standingOf(peerId) !== 'refused') return;
    this.#targets.forget(peerId);
    this.book.forget(peerId);
    this.#components.knownPeers.forget(peerId);
  }
}
