import type { Clock, Crypto, Logger, PeerId, Random, Startable } from '../base/index.ts';
import type { DiscoverySource, KnownPeers } from '../discovery/index.ts';
import { Admission, type AdmissionComponents } from './admission.ts';
import type { AttemptBudgetOptions } from './attempt-budget.ts';
import { Connector, type ConnectorOptions } from './connector.ts';
import { DialBack } from './dial-back.ts';
import type { MembershipGate } from './gate.ts';
import { LinkKeeper } from './link-keeper.ts';
import type { LinkableMember } from './link-rules.ts';
import { PeerExchange } from './peer-exchange.ts';
import { Puncher } from './puncher.ts';
import { type KnownMember, Reach, type ReachOptions } from './reach.ts';
import { ReachProbe } from './reach-probe.ts';
import { Roaming } from './roaming.ts';
import { RootExchange } from './root-exchange.ts';
import type { Transport } from './transport.ts';
import { type MessengerOptions, TransportMessenger } from './transport-messenger.ts';
import { UdpPuncher } from './udp-puncher.ts';

export interface MeshComponents {
  readonly transport: Transport;
  readonly gate: MembershipGate;
  readonly sources: readonly DiscoverySource[];
  readonly knownPeers: KnownPeers;
  readonly redeem: AdmissionComponents['redeem'];
  /** What the registry says of the others. @default nothing is known */
  readonly members?: () => readonly KnownMember[];
  /** The same, as far as it matters to whom this node links itself with. @default everybody links with everybody */
  readonly linkable?: () => readonly LinkableMember[];
  /** Those that this node cannot do without. @default nobody */
  readonly pinned?: () => ReadonlySet<PeerId>;
  /** Another text when addresses or default routes of the machine are others. @default nobody can tell */
  readonly networkMark?: () => string;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly log: Logger;
}

export interface MeshOptions {
  readonly messenger?: MessengerOptions;
  readonly admission?: AttemptBudgetOptions;
  readonly connector?: ConnectorOptions;
  readonly reach?: ReachOptions;
}

/**
 * One node's part of the mesh: who is in, who is linked, and how they talk. Handlers are registered on `messenger` before `start`,
 * so that no message of an early peer is lost.
 */
export class Mesh implements Startable {
  readonly self: PeerId;
  readonly transport: Transport;
  readonly gate: MembershipGate;
  readonly messenger: TransportMessenger;
  readonly admission: Admission;
  readonly connector: Connector;
  readonly roots: RootExchange;
  readonly reach: Reach;
  readonly dialBack: DialBack;
  readonly links: LinkKeeper;
  readonly roaming: Roaming;
  readonly #exchange: PeerExchange;
  readonly #puncher: Puncher;
  readonly #udpPuncher: UdpPuncher;
  readonly #probe: ReachProbe | undefined;

  constructor(components: MeshComponents, options: MeshOptions = {}) {
    const { transport, gate, sources, knownPeers, redeem, networkMark, clock, crypto, random, log } =
      components;
    this.self = transport.self;
    this.transport = transport;
    this.gate = gate;
    this.messenger = new TransportMessenger({ transport, clock, random, log }, options.messenger);
    this.admission = new Admission({ transport, gate, clock, crypto, log, redeem }, options.admission);
    const { linkable = () => [], pinned = () => new Set<PeerId>() } = components;
    this.links = new LinkKeeper({
      transport,
      messenger: this.messenger,
      connector: () => this.connector,
      members: linkable,
      pinned: () => pinned().union(this.reach.relays),
      isHub: () => this.reach.isRelay || pinned().has(this.self),
      clock,
      log,
    });
    const wants = (peerId: PeerId) => this.links.wants(peerId);
    const needs = (peerId: PeerId) => this.links.needs(peerId);
    this.connector = new Connector(
      {
        ...{
          transport,
          gate,
          admission: this.admission,
          sources,
          knownPeers,
          wants,
          needs,
          clock,
          random,
          log,
        },
        isExpelled: () => this.admission.own.current !== undefined,
      },
      options.connector,
    );
    this.roots = new RootExchange({ messenger: this.messenger, roots: gate.roots, clock, log });
    const { connector, messenger } = this;
    this.dialBack = new DialBack({ transport, messenger, clock, random, log });
    this.#puncher = new Puncher({ transport, messenger, clock, log });
    this.#udpPuncher = new UdpPuncher({ transport, messenger, clock, log });
    this.reach = new Reach(
      {
        transport,
        connector,
        puncher: this.#puncher,
        udpPuncher: this.#udpPuncher,
        members: components.members ?? (() => []),
        clock,
        random,
        log,
      },
      options.reach,
    );
    this.#exchange = new PeerExchange({
      transport,
      messenger,
      addresses: () => this.reach.addresses(),
      log: log.child({ part: 'exchange' }),
      onCandidate: (candidate, isSelfReport) => {
        this.connector.consider(candidate);
        if (isSelfReport) knownPeers.remember(candidate.peerId, candidate.addresses);
      },
    });
    this.reach.onAddresses(() => this.#exchange.announce());
    if (transport.knocking !== undefined) {
      const addresses = () => transport.addresses();
      const reachability = () => this.reach.reachability;
      const { dialBack } = this;
      this.#probe = new ReachProbe({ dialBack, addresses, reachability, clock, random, log });
    }
    const { reach } = this;
    this.roaming = new Roaming({
      ...{ transport, connector, reach, sources, clock, log },
      ...(networkMark !== undefined && { networkMark }),
    });
  }

  async start(): Promise<void> {
    await this.transport.start();
    await this.connector.start();
    await this.reach.start();
    await this.#probe?.start();
    await this.links.start();
    await this.roaming.start();
  }

  async stop(): Promise<void> {
    await this.roaming.stop();
    await this.links.stop();
    await this.#probe?.stop();
    await this.reach.stop();
    await this.#puncher.stop();
    await this.#udpPuncher.stop();
    await this.connector.stop();
    this.#exchange[Symbol.dispose]();
    this.#puncher[Symbol.dispose]();
    this.#udpPuncher[Symbol.dispose]();
    this.dialBack[Symbol.dispose]();
    this.roots[Symbol.dispose]();
    this.admission[Symbol.dispose]();
    await this.transport.stop();
    this.messenger[Symbol.dispose]();
  }
}
