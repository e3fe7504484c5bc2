import {
  AspenError,
  type Clock,
  every,
  Listeners,
  type Logger,
  type PeerId,
  type Random,
  randomFloat,
  type Startable,
  Tasks,
} from '../base/index.ts';
import type { Connector } from './connector.ts';
import type { Puncher } from './puncher.ts';
import {
  chooseRelays,
  circuitsOver,
  isWorthPunching,
  judgeReachability,
  offersCircuits,
  type Reachability,
  type RelayCandidate,
  type RelaySetting,
  toldAddresses,
  upgradePauseMs,
  whyStillRelayed,
} from './reach-rules.ts';
import type { PeerLink, Transport } from './transport.ts';
import type { UdpPuncher } from './udp-puncher.ts';

/** What a member says of itself, as far as it matters to reaching others. */
export interface KnownMember {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
  readonly isRelay: boolean;
}

export interface ReachComponents {
  readonly transport: Transport;
  readonly connector: Pick<Connector, 'consider' | 'connect'>;
  readonly puncher: Puncher;
  /** Tried where that one's holes are in vain. @default there are no others */
  readonly udpPuncher?: Pick<UdpPuncher, 'punch'>;
  /** The registry's word on the others, and on nobody it does not know. */
  readonly members: () => readonly KnownMember[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ReachOptions {
  /** @default auto */
  readonly relay?: RelaySetting;
}

interface Upgrade {
  failures: number;
  nextMs: number;
  isRunning: boolean;
}

/** What came of trying to link a relay. */
interface RelayTry {
  failures: number;
  nextMs: number;
}

const LOOK_EVERY_MS = 1_000;
/** Everybody the registry knows is told to the connector this often. Unit: ms. */
const TELL_EVERY_MS = 10_000;
/** A new link has settled after this. Unit: ms. */
const FIRST_UPGRADE_MS = 1_000;
const UPGRADES_LIMIT = 4;
/** A relay that was not linked is tried again after this. Unit: ms. */
const RELAY_PAUSE_MS = 5_000;

/**
 * How this node is reached, and how it reaches others, where not everybody reaches everybody: whether it carries circuits, over which
 * relays it is reached itself, and better paths in place of circuits. Does nothing where the transport has no such ways.
 */
export class Reach implements Startable {
  readonly #components: ReachComponents;
  readonly #setting: RelaySetting;
  readonly #log: Logger;
  readonly #upgrades = new Map<PeerId, Upgrade>();
  readonly #relayTries = new Map<PeerId, RelayTry>();
  /** Towards whom a hole by QUIC was what worked, in this network. */
  readonly #quicFirst = new Set<PeerId>();
  readonly #changes = new Listeners<void>();
  readonly #tasks: Tasks;
  #looking: Disposable | undefined;
  #circuits: readonly string[] = [];
  #relays: ReadonlySet<PeerId> = new Set();
  #isRelay = false;
  #told = '';
  #own = '';
  #toldMembersMs = Number.NEGATIVE_INFINITY;

  constructor(components: ReachComponents, { relay = 'auto' }: ReachOptions = {}) {
    this.#components = components;
    this.#setting = relay;
    this.#log = components.log.child({ part: 'reach' });
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'looking for ways failed in an unknown way'));
  }

  async start(): Promise<void> {
    if (this.#components.transport.reach === undefined) return;
    this.#looking = every(this.#components.clock, LOOK_EVERY_MS, () => this.#look());
    this.#look();
  }

  async stop(): Promise<void> {
    this.#looking?.[Symbol.dispose]();
    await this.#tasks.stop();
  }

  /** Those over which this node is reached. */
  get relays(): ReadonlySet<PeerId> {
    return this.#relays;
  }

  /** Whether this node carries circuits for members. */
  get isRelay(): boolean {
    return this.#isRelay;
  }

  get reachability(): Reachability {
    const { transport } = this.#components;
    const wasReached = transport.reach?.wasReached() === true;
    return judgeReachability(transport.addresses(), { wasReached });
  }

  /** @returns why the link with a peer goes over a circuit still, for people; undefined when it does not, or did not when it was looked at last. */
  whyRelayed(peerId: PeerId): string | undefined {
    const upgrade = this.#upgrades.get(peerId);
    if (upgrade === undefined) return undefined;
    const { clock, puncher } = this.#components;
    const inMs = upgrade.nextMs - clock.monotonicMs();
    return whyStillRelayed({ ...upgrade, inMs, beginsHoles: puncher.begins(peerId) });
  }

  /** Where others may try to reach this node: its own addresses, and circuits unless it is reached without. */
  addresses(): readonly string[] {
    return toldAddresses(this.#components.transport.addresses(), this.#circuits);
  }

  /** Told when {@link addresses} have changed. */
  onAddresses(callback: () => void): Disposable {
    return this.#changes.add(callback);
  }

  /** Z4 This node slept or is in another network: relays are linked and direct ways are tried now, whatever came of it before. */
  anew(): void {
    if (this.#looking === undefined) return;
    this.#relayTries.clear();
    this.#forgetUpgrades();
    this.#toldMembersMs = Number.NEGATIVE_INFINITY;
    this.#look();
  }

  #look(): void {
    const { transport, members, clock } = this.#components;
    const known = members();
    this.#isRelay = offersCircuits(this.#setting, this.reachability);
    transport.reach?.offerCircuits(this.#isRelay);
    this.#keepRelays(known);
    if (clock.monotonicMs() - this.#toldMembersMs >= TELL_EVERY_MS) this.#tellConnector(known);
    this.#noteNetwork();
    this.#improvePaths(known);
    const now = this.addresses().join();
    if (now === this.#told) return;
    this.#told = now;
    this.#changes.emit();
  }

  #keepRelays(known: readonly KnownMember[]): void {
    const { transport } = this.#components;
    const links = new Map(transport.links().map((link) => [link.peerId, link]));
    const candidates: RelayCandidate[] = known
      .filter(({ isRelay }) => isRelay)
      .map(({ peerId, addresses }) => ({
        peerId,
        addresses,
        link: links.get(peerId),
        failures: this.#relayTries.get(peerId)?.failures ?? 0,
      }));
    const needsRelays = this.reachability !== 'public';
    const chosen = needsRelays ? chooseRelays(transport.self, candidates) : [];
    this.#circuits = circuitsOver(chosen);
    this.#relays = new Set(chosen.map(({ peerId }) => peerId));
    for (const { peerId, addresses, link } of chosen) {
      if (link === undefined) this.#linkRelay(peerId, addresses);
    }
  }

  #linkRelay(peerId: PeerId, addresses: readonly string[]): void {
    const { connector, clock } = this.#components;
    const nowMs = clock.monotonicMs();
    const tried = this.#relayTries.get(peerId) ?? { failures: 0, nextMs: 0 };
    if (nowMs < tried.nextMs) return;
    this.#relayTries.set(peerId, tried);
    tried.nextMs = nowMs + RELAY_PAUSE_MS;
    connector.consider({ peerId, addresses, source: 'registry' });
    this.#tasks.run(async (signal) => {
      const linking = connector.connect(peerId, signal);
      const isLinked = await this.#unlessInVain(linking, { peerId }, 'a relay was not linked');
      tried.failures = isLinked ? 0 : tried.failures + 1; // E3
    });
  }

  #tellConnector(known: readonly KnownMember[]): void {
    const { transport, connector, clock } = this.#components;
    this.#toldMembersMs = clock.monotonicMs();
    for (const { peerId, addresses } of known) {
      if (addresses.length === 0 || transport.isLinked(peerId)) continue;
      connector.consider({ peerId, addresses, source: 'registry' });
    }
    const names = new Set(known.map(({ peerId }) => peerId));
    for (const peerId of this.#relayTries.keys()) if (!names.has(peerId)) this.#relayTries.delete(peerId);
    for (const peerId of this.#quicFirst) if (!names.has(peerId)) this.#quicFirst.delete(peerId);
  }

  #improvePaths(known: readonly KnownMember[]): void {
    const { transport, clock } = this.#components;
    const relayed = transport.links().filter(({ path }) => path === 'relay');
    const names = new Set(relayed.map(({ peerId }) => peerId));
    for (const peerId of this.#upgrades.keys()) if (!names.has(peerId)) this.#upgrades.delete(peerId);
    for (const link of relayed) {
      const upgrade = this.#upgradeOf(link.peerId);
      const runningCount = [...this.#upgrades.values()].filter(({ isRunning }) => isRunning).length;
      if (upgrade.isRunning || clock.monotonicMs() < upgrade.nextMs || runningCount >= UPGRADES_LIMIT)
        continue;
      const addresses = known.find(({ peerId }) => peerId === link.peerId)?.addresses ?? [];
      this.#improve(link, upgrade, addresses);
    }
  }

  /** In another network everything may be different. */
  #noteNetwork(): void {
    const { transport } = this.#components;
    const own = transport.addresses().join();
    if (own === this.#own) return;
    this.#own = own;
    this.#forgetUpgrades();
  }

  #forgetUpgrades(): void {
    this.#quicFirst.clear();
    const nextMs = this.#components.clock.monotonicMs() + FIRST_UPGRADE_MS;
    for (const upgrade of this.#upgrades.values()) {
      upgrade.failures = 0;
      upgrade.nextMs = nextMs;
    }
  }

  #upgradeOf(peerId: PeerId): Upgrade {
    let upgrade = this.#upgrades.get(peerId);
    if (upgrade === undefined) {
      const nextMs = this.#components.clock.monotonicMs() + FIRST_UPGRADE_MS;
      upgrade = { failures: 0, nextMs, isRunning: false };
      this.#upgrades.set(peerId, upgrade);
    }
    return upgrade;
  }

  #improve({ peerId }: PeerLink, upgrade: Upgrade, addresses: readonly string[]): void {
    const { transport, clock, random, puncher } = this.#components;
    upgrade.isRunning = true;
    this.#tasks.run(async (signal) => {
      const upgraded = transport.reach?.upgrade(peerId, addresses, signal) ?? Promise.resolve();
      const isDirect = await this.#unlessInVain(upgraded, { peerId }, 'no direct address leads to it');
      if (!isDirect && puncher.begins(peerId) && isWorthPunching(upgrade.failures))
        await this.#punch(peerId, signal);
      const pauseMs = upgradePauseMs(upgrade.failures);
      upgrade.failures += 1;
      upgrade.isRunning = false;
      upgrade.nextMs = clock.monotonicMs() + pauseMs / 2 + (randomFloat(random) * pauseMs) / 2;
    });
  }

  /** U3 By QUIC only where TCP gets nothing through, since it carries less; where that was so before, by QUIC first. */
  async #punch(peerId: PeerId, signal: AbortSignal): Promise<void> {
    const { puncher, udpPuncher } = this.#components;
    const byTcp = () => this.#unlessInVain(puncher.punch(peerId, signal), { peerId }, 'no hole was punched');
    const byQuic = async () => {
      if (udpPuncher === undefined) return false;
      const punching = udpPuncher.punch(peerId, signal);
      const isThrough = await this.#unlessInVain(punching, { peerId }, 'no hole was punched by QUIC');
      if (isThrough) this.#quicFirst.add(peerId);
      else this.#quicFirst.delete(peerId);
      return isThrough;
    };
    const [first, second] = this.#quicFirst.has(peerId) ? [byQuic, byTcp] : [byTcp, byQuic];
    if (!(await first()) && !signal.aborted) await second();
  }

  async #unlessInVain(trying: Promise<void>, facts: object, what: string): Promise<boolean> {
    try {
      await trying;
      return true;
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#log.debug({ err, ...facts }, what);
      return false;
    }
  }
}
