import type { ComponentLogger, Logger as Libp2pLogger, PeerDiscovery, Startable } from '@libp2p/interface';
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns';
import { multiaddr } from '@multiformats/multiaddr';
import { type Clock, every, Listeners, type Logger, type MeshId, type PeerId } from '../base/index.ts';
import { multicastProblem, type NetworkFacts } from './multicast.ts';
import type { Candidate, DiscoverySource } from './source.ts';

export interface MdnsSourceComponents {
  readonly clock: Clock;
  readonly log: Logger;
  /** Own addresses that others may try, as the transport gives them. */
  readonly addresses: () => readonly string[];
  readonly networkFacts: () => NetworkFacts;
}

export interface MdnsSourceOptions {
  readonly self: PeerId;
  readonly meshId: MeshId;
  /** Pause between queries. Unit: ms. @default 10_000 */
  readonly queryEveryMs?: number;
}

const LOOK_EVERY_MS = 30_000;

/**
 * Finds members on the same network. The service tag is the mesh's own, so that neither two meshes nor other libp2p programs meet.
 * Started again when the network changes: the sockets joined the multicast group on the interfaces of that moment.
 */
export class Libp2pMdnsSource implements DiscoverySource {
  readonly name = 'mdns';
  readonly #components: MdnsSourceComponents;
  readonly #options: MdnsSourceOptions;
  readonly #log: Logger;
  readonly #candidates = new Listeners<Candidate>();
  #discovery: (PeerDiscovery & Startable) | undefined;
  #looking: Disposable | undefined;
  #network = '';
  #failure: string | undefined;
  #restarting: Promise<void> = Promise.resolve();

  constructor(components: MdnsSourceComponents, options: MdnsSourceOptions) {
    this.#components = components;
    this.#options = options;
    this.#log = components.log.child({ part: 'mdns' });
  }

  async start(): Promise<void> {
    this.#network = this.#fingerprint();
    await this.#listen();
    this.#looking = every(this.#components.clock, LOOK_EVERY_MS, () => this.#look());
  }

  async stop(): Promise<void> {
    this.#looking?.[Symbol.dispose]();
    this.#looking = undefined;
    await this.#restarting;
    await this.#discovery?.stop?.();
    this.#discovery = undefined;
  }

  onCandidate(callback: (candidate: Candidate) => void): Disposable {
    return this.#candidates.add(callback);
  }

  refresh(): void {
    if (this.#looking === undefined) return;
    this.#network = this.#fingerprint();
    this.#beginAnew();
  }

  problem(): string | undefined {
    return this.#failure ?? multicastProblem(this.#components.networkFacts());
  }

  #look(): void {
    const network = this.#fingerprint();
    if (network === this.#network) return;
    this.#network = network;
    this.#log.info({ network }, 'network changed, mdns begins anew');
    this.#beginAnew();
  }

  #beginAnew(): void {
    this.#restarting = this.#restarting.then(async () => {
      await this.#discovery?.stop?.();
      await this.#listen();
    });
  }

  async #listen(): Promise<void> {
    try {
      const discovery = this.#create();
      discovery.addEventListener('peer', ({ detail }) => {
        const peerId = detail.id.toString() as PeerId;
        if (peerId === this.#options.self) return;
        const addresses = detail.multiaddrs.map((address) => address.toString());
        this.#candidates.emit({ peerId, addresses, source: 'mdns' });
      });
      await discovery.start?.();
      this.#discovery = discovery;
      this.#failure = undefined;
    } catch (err) {
      this.#failure = `mDNS could not be started: ${err instanceof Error ? err.message : String(err)}`;
      this.#log.warn({ err }, 'mdns could not be started');
    }
  }

  #create(): PeerDiscovery & Startable {
    const { self, meshId, queryEveryMs = 10_000 } = this.#options;
    const getAddresses = () =>
      this.#components.addresses().map((address) => multiaddr(`${address}/p2p/${self}`));
    // Of libp2p's address manager mDNS asks this one question.
    const addressManager = { getAddresses } as unknown as MulticastDNSComponents['addressManager'];
    const init = { interval: queryEveryMs, serviceTag: `_aspen-${meshId}._udp.local` };
    return mdns(init)({ addressManager, logger: this.#libp2pLogger() }) as PeerDiscovery & Startable;
  }

  #libp2pLogger(): ComponentLogger {
    const silent = () => undefined;
    const make = (): Libp2pLogger =>
      Object.assign(silent, {
        enabled: false,
        trace: silent,
        error: (format: string, ...args: unknown[]) =>
          this.#log.debug({ format, args: args.map(String) }, 'mdns'),
        newScope: make,
      }) as unknown as Libp2pLogger;
    return { forComponent: make };
  }

  #fingerprint(): string {
    const { interfaces, routeTable } = this.#components.networkFacts();
    return JSON.stringify([interfaces, routeTable?.split('\n').length, this.#components.addresses()]);
  }
}
