import { AspenError, type PeerId, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import {
  type Candidate,
  type DiscoverySource,
  type KnownPeer,
  KnownPeers,
  type KnownPeersMemory,
  TicketSource,
} from '../../../src/discovery/index.ts';
import {
  type AdmissionComponents,
  type Identity,
  type LinkableMember,
  MembershipGate,
  MemoryNetwork,
  MemoryTransport,
  Mesh,
  type NetworkPolicy,
  type RootBookOptions,
  VolatileGateMemory,
} from '../../../src/mesh/index.ts';
import { certificateFor, crypto, ManualClock, meshId } from './support.ts';

/** Keeps known peers as long as the test runs. */
export class VolatileKnownPeers implements KnownPeersMemory {
  saved: readonly KnownPeer[] = [];
  saveCount = 0;

  load(): readonly KnownPeer[] {
    return this.saved;
  }

  save(peers: readonly KnownPeer[]): void {
    this.saved = peers;
    this.saveCount += 1;
  }
}

export interface NodeOptions {
  readonly address?: string;
  /** Whether it holds its own certificate from the start. @default true */
  readonly isMember?: boolean;
  readonly contacts?: readonly { readonly peerId: PeerId; readonly addresses: readonly string[] }[];
  readonly redeem?: AdmissionComponents['redeem'];
  readonly gateMemory?: VolatileGateMemory;
  readonly knownMemory?: VolatileKnownPeers;
  readonly linksLimit?: number;
  /** What the registry would say of others. @default nothing */
  readonly linkable?: () => readonly LinkableMember[];
  /** Whom it cannot do without. @default nobody */
  readonly pinned?: () => ReadonlySet<PeerId>;
  /** What it knows of root keys from the start. */
  readonly roots?: RootBookOptions;
  /** @default as the first root key signs it */
  readonly certificate?: Uint8Array;
  /** Which certificates stay valid. */
  readonly list?: Uint8Array;
}

/** Whole mesh nodes on one network in memory. */
export class Village implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  /** Pairs that cannot reach each other, as `from to`. */
  readonly cuts = new Set<string>();
  readonly #nodes = new Set<Mesh>();

  constructor() {
    const isReachable = (from: PeerId, to: PeerId) => !this.cuts.has(`${from} ${to}`);
    const policy: NetworkPolicy = {
      isReachable,
      deliveries: (from, to) => (isReachable(from, to) ? [1] : []),
    };
    this.network = new MemoryNetwork({ clock: this.clock, policy });
  }

  async node(identity: Identity, options: NodeOptions = {}): Promise<Mesh> {
    const { address, isMember = true, contacts = [], redeem = refuseAll, linksLimit } = options;
    const { gateMemory = new VolatileGateMemory(), knownMemory = new VolatileKnownPeers() } = options;
    const { roots, certificate = certificateFor(identity), list } = options;
    const gate = new MembershipGate(
      { crypto, memory: gateMemory, log: silentLogger },
      { meshId, ...(roots !== undefined && { roots }) },
    );
    if (list !== undefined) gate.roots.setList(list);
    if (isMember) gate.admit(certificate);
    const transport = new MemoryTransport(
      { network: this.network, gate },
      { self: identity.peerId, ...(address !== undefined && { addresses: [address] }) },
    );
    const sources: DiscoverySource[] = contacts.length > 0 ? [new TicketSource(contacts)] : [];
    const random = new SeededRandom(
      Number.parseInt(Buffer.from(identity.publicKey).toString('hex', 0, 4), 16),
    );
    const knownPeers = new KnownPeers({ memory: knownMemory, clock: this.clock });
    const { clock } = this;
    const { linkable = () => [], pinned = () => new Set<PeerId>() } = options;
    const mesh = new Mesh(
      {
        ...{ transport, gate, sources, knownPeers, redeem, linkable, pinned },
        ...{ clock, crypto, random, log: silentLogger },
      },
      linksLimit === undefined ? {} : { connector: { linksLimit } },
    );
    this.#nodes.add(mesh);
    await mesh.start();
    return mesh;
  }

  async stop(mesh: Mesh): Promise<void> {
    this.#nodes.delete(mesh);
    await mesh.stop();
  }

  cut(left: PeerId, right: PeerId): void {
    this.cuts.add(`${left} ${right}`).add(`${right} ${left}`);
  }

  heal(): void {
    this.cuts.clear();
  }

  async until(condition: () => boolean, what: string, longestMs = 120_000): Promise<number> {
    const beganMs = this.clock.monotonicMs();
    while (!condition()) {
      if (this.clock.monotonicMs() - beganMs > longestMs) throw new Error(`waited in vain until ${what}`);
      await this.clock.advance(50);
    }
    return this.clock.monotonicMs() - beganMs;
  }

  async settled<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    await this.until(() => isOver, 'the promise settles');
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mesh of this.#nodes) await mesh.stop();
  }
}

export function contactOf(mesh: Mesh): Pick<Candidate, 'peerId' | 'addresses'> {
  return { peerId: mesh.self, addresses: mesh.transport.addresses() };
}

async function refuseAll(): Promise<Uint8Array> {
  throw new AspenError('DENIED', 'no such ticket');
}
