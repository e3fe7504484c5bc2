import { AspenError, type Crypto, type PeerId, type Random } from '../base/index.ts';
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

/** The mesh's root key, as voters and standbys keep it: sealed to each one's own key in the agreed state. */
export class RootCustody {
  readonly #components: RootCustodyComponents;

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

  /** Seals the root key for those of `peers` who do not keep it yet, before they get a part in the group. */
  async entrust(leadership: Leadership, peers: readonly PeerId[]): Promise<void> {
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
