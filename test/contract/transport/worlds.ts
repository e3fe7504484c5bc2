import { silentLogger } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import {
  type Identity,
  type MembershipGate,
  MemoryNetwork,
  MemoryTransport,
  type Transport,
} from '../../../src/mesh/index.ts';
import { Libp2pTransport } from '../../../src/mesh/libp2p-transport.ts';
import { crypto, gateWith, identityOf, ManualClock, meshId } from '../../unit/mesh/support.ts';

export interface Node {
  readonly identity: Identity;
  readonly gate: MembershipGate;
  readonly transport: Transport;
}

/** Where a suite for the Transport port runs: makes started nodes, lets time pass, and takes everything down again. */
export interface World extends AsyncDisposable {
  /** @param knows the identities that the new node's gate admits from the start. */
  node(identity: Identity, knows?: readonly Identity[]): Promise<Node>;
  /** Lets time pass until the condition holds; fails after 15 s of the world's own time. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Lets time pass. */
  pass(ms: number): Promise<void>;
  /** Lets time pass until the promise settles. */
  settled<T>(promise: Promise<T>): Promise<T>;
  /** Silences a node without a word to anybody, as a power cut does. */
  kill(node: Node): void;
}

export interface WorldKind {
  readonly name: string;
  create(): World;
}

const LONGEST_WAIT_MS = 15_000;

class MemoryWorld implements World {
  readonly #clock = new ManualClock();
  readonly #network = new MemoryNetwork({ clock: this.#clock });
  readonly #nodes: Node[] = [];

  async node(identity: Identity, knows: readonly Identity[] = []): Promise<Node> {
    const gate = gateWith(...knows);
    const transport = new MemoryTransport({ network: this.#network, gate }, { self: identity.peerId });
    const node = { identity, gate, transport };
    this.#nodes.push(node);
    await transport.start();
    return node;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    for (let waitedMs = 0; !condition(); waitedMs += 50) {
      if (waitedMs > LONGEST_WAIT_MS) throw new Error(`waited in vain until ${what}`);
      await this.#clock.advance(50);
    }
  }

  async pass(ms: number): Promise<void> {
    await this.#clock.advance(ms);
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

  kill(node: Node): void {
    (node.transport as MemoryTransport).crash();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { transport } of this.#nodes) await transport.stop();
  }
}

class Libp2pWorld implements World {
  readonly #clock = new OsClock();
  readonly #listen: string;
  readonly #nodes: Node[] = [];

  constructor(listen: string) {
    this.#listen = listen;
  }

  async node(identity: Identity, knows: readonly Identity[] = []): Promise<Node> {
    const gate = gateWith(...knows);
    const transport = new Libp2pTransport(
      { identity, gate, clock: this.#clock, crypto, random: new OsRandom(), log: silentLogger },
      { meshId, listen: [this.#listen], keepaliveMs: 100, deadAfterMs: 500 },
    );
    const node = { identity, gate, transport };
    this.#nodes.push(node);
    await transport.start();
    return node;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + LONGEST_WAIT_MS;
    while (!condition()) {
      if (this.#clock.monotonicMs() > untilMs) throw new Error(`waited in vain until ${what}`);
      await this.pass(5);
    }
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  settled<T>(promise: Promise<T>): Promise<T> {
    return promise;
  }

  kill(node: Node): void {
    node.transport.stop().catch((error: unknown) => {
      throw error;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { transport } of this.#nodes) await transport.stop();
  }
}

export const WORLDS: readonly WorldKind[] = [
  { name: 'in memory', create: () => new MemoryWorld() },
  { name: 'libp2p on loopback', create: () => new Libp2pWorld('/ip4/127.0.0.1/tcp/0') },
  { name: 'libp2p over WebSockets', create: () => new Libp2pWorld('/ip4/127.0.0.1/tcp/0/ws') },
  { name: 'libp2p over WebSockets and TLS', create: () => new Libp2pWorld('/ip4/127.0.0.1/tcp/0/tls/ws') },
];

export const [ada, bob, eve] = [identityOf(1), identityOf(2), identityOf(3)] as const;
export const everybody: readonly Identity[] = [1, 2, 3, 4, 5].map(identityOf);
