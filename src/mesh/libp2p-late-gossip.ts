import type { Libp2pGossip } from './libp2p-gossip.ts';
import type { Transport } from './transport.ts';

type Callback = Parameters<Transport['gossip']['subscribe']>[1];

/** Gossip that may be subscribed to before it is there. */
export class LateGossip {
  readonly #early: ((gossip: Libp2pGossip) => void)[] = [];
  #gossip: Libp2pGossip | undefined;

  /** While it is there. */
  get current(): Libp2pGossip | undefined {
    return this.#gossip;
  }

  /** From now on; it is told of peers, and {@link start} follows. */
  begin(gossip: Libp2pGossip): void {
    this.#gossip = gossip;
  }

  async start(): Promise<void> {
    const gossip = this.#gossip;
    if (gossip === undefined) return;
    await gossip.start();
    for (const subscribe of this.#early.splice(0)) subscribe(gossip);
  }

  /** {@link end} follows once the node has stopped. */
  async stop(): Promise<void> {
    await this.#gossip?.stop();
  }

  end(): void {
    this.#gossip = undefined;
  }

  /** Lost while it is not there. */
  publish(topic: string, message: Uint8Array): void {
    this.#gossip?.publish(topic, message);
  }

  subscribe(topic: string, callback: Callback): Disposable {
    if (this.#gossip !== undefined) return this.#gossip.subscribe(topic, callback);
    let subscription: Disposable | undefined;
    let isDisposed = false;
    this.#early.push((gossip) => {
      if (!isDisposed) subscription = gossip.subscribe(topic, callback);
    });
    return {
      [Symbol.dispose]: () => {
        isDisposed = true;
        subscription?.[Symbol.dispose]();
      },
    };
  }
}
