import { AspenError, type Crypto, OneByOne, type PeerId, type Random } from '../base/index.ts';
import { textKey } from '../storage/index.ts';
import type { Leadership } from './group.ts';
import type { Member } from './machine/index.ts';

export interface RootCustodyComponents {
  readonly self: PeerId;
  readonly crypto: Crypto;
  readonly random: Random;
  /** This node's own secret, 32 bytes. */
  readonly identitySeed: Uint8Array;
}

/**
 * The mesh's root key, as voters and standbys keep it: sealed to each one's own key in the agreed state.
 *
 * - Y3 What is sealed to somebody is the root key that is present when that is agreed: whoever leads seals and replaces one after the other.
 */
export class RootCustody {
  readonly #components: RootCustodyComponents;
  readonly #changes = new OneByOne();

  constructor(components: RootCustodyComponents) {
    this.#components = components;
  }

  /** @returns the root key sealed so that only the holder of `sealingKey` can read it. */
  seal(rootSeed: Uint8Array, sealingKey: Uint8Array): Uint8Array {
    const { crypto, random } = this.#components;
    return crypto.seal(sealingKey, rootSeed, random.bytes(32));
  }

  /** @throws AspenError UNAVAILABLE when this node does not keep it. */
  open(leadership: Leadership): Uint8Array {
    const { self, crypto, identitySeed } = this.#components;
    const box = leadership.read(({ module }) =>
      module('members').table<Uint8Array>('custody').get(textKey(self)),
    );
    const rootSeed = box === undefined ? undefined : crypto.open(identitySeed, box);
    if (rootSeed !== undefined) return rootSeed;
    throw new AspenError('UNAVAILABLE', 'the leader does not keep the root key of the mesh yet', {
      outcome: 'not-applied',
    });
  }

  /** @returns those of `peers` to whom the present root key is sealed. */
  keepers(leadership: Leadership, peers: readonly PeerId[]): ReadonlySet<PeerId> {
    return leadership.read(({ module }) => {
      const boxes = module('members').table<Uint8Array>('custody');
      return new Set(peers.filter((peer) => boxes.get(textKey(peer)) !== undefined));
    });
  }

  /** Y3. `change` reads the root key, and what it proposes is agreed before the next one begins. */
  oneByOne<T>(change: () => Promise<T>): Promise<T> {
    return this.#changes.run(change);
  }

  /** Seals the root key for those of `peers` who do not keep it yet, before they get a part in the group. */
  entrust(leadership: Leadership, peers: readonly PeerId[]): Promise<void> {
    return this.oneByOne(() => this.#entrust(leadership, peers));
  }

  async #entrust(leadership: Leadership, peers: readonly PeerId[]): Promise<void> {
    const missing = leadership.read(({ module }) => {
      const members = module('members');
      return peers
        .filter((peer) => members.table<Uint8Array>('custody').get(textKey(peer)) === undefined)
        .map((peer) => members.table<Member>('members').get(textKey(peer)))
        .filter((member) => member !== undefined);
    });
    if (missing.length === 0) return;
    const rootSeed = this.open(leadership);
    const sealed = missing.map(({ peerId, sealingKey }) => ({
      peerId,
      box: this.seal(rootSeed, sealingKey),
    }));
    await leadership.propose({ module: 'members', kind: 'custody', body: { sealed } });
  }
}
