import { z } from 'zod';
import { decode, encode, type PeerId } from '../base/index.ts';
import type { KnownPeer, KnownPeersMemory } from '../discovery/index.ts';
import type { Key, Store } from '../storage/index.ts';

const KEY: Key = 'k/peers';

const peersSchema = z.array(
  z.object({ peerId: z.string(), addresses: z.array(z.string()).max(16), lastLinkedMs: z.number() }),
);

/** Remembered peers in the node's store. A write that is lost costs a slower start, so nobody waits for it. */
export class StoreKnownPeersMemory implements KnownPeersMemory {
  readonly #store: Store;
  readonly #onFault: (error: unknown) => void;

  constructor(store: Store, onFault: (error: unknown) => void) {
    this.#store = store;
    this.#onFault = onFault;
  }

  /** @throws ZodError when the record is not one of ours. */
  load(): readonly KnownPeer[] {
    const saved = this.#store.get(KEY);
    if (saved === undefined) return [];
    return peersSchema.parse(decode(saved)).map((peer) => ({ ...peer, peerId: peer.peerId as PeerId }));
  }

  save(peers: readonly KnownPeer[]): void {
    this.#store.write([{ type: 'put', key: KEY, value: encode(peers) }]).catch(this.#onFault);
  }
}
