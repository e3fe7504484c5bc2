import type { PeerId } from '../base/index.ts';
import type { GateMemory } from '../mesh/index.ts';
import { type Key, prefixEnd, type Store, textKey } from '../storage/index.ts';

const CERTIFICATES: Key = 'g/c/';
const REVOCATIONS: Key = 'g/r/';
const ROOT_LIST: Key = 'g/l';

/** What the gate knows, kept in the node's store. Losing the latest write costs one more exchange, so nobody waits for it. */
export class StoreGateMemory implements GateMemory {
  readonly #store: Store;
  readonly #onFault: (error: unknown) => void;

  constructor(store: Store, onFault: (error: unknown) => void) {
    this.#store = store;
    this.#onFault = onFault;
  }

  load() {
    return {
      certificates: this.#values(CERTIFICATES),
      revocations: this.#values(REVOCATIONS),
      rootList: this.#store.get(ROOT_LIST),
    };
  }

  saveCertificate(peerId: PeerId, certificate: Uint8Array): void {
    this.#put(CERTIFICATES + textKey(peerId), certificate);
  }

  saveRevocation(peerId: PeerId, revocation: Uint8Array): void {
    this.#put(REVOCATIONS + textKey(peerId), revocation);
  }

  saveRootList(list: Uint8Array): void {
    this.#put(ROOT_LIST, list);
  }

  forgetCertificate(peerId: PeerId): void {
    this.#store.write([{ type: 'delete', key: CERTIFICATES + textKey(peerId) }]).catch(this.#onFault);
  }

  #values(prefix: Key): Uint8Array[] {
    return Array.from(this.#store.range({ from: prefix, to: prefixEnd(prefix) }), ([, value]) => value);
  }

  #put(key: Key, value: Uint8Array): void {
    this.#store.write([{ type: 'put', key, value }]).catch(this.#onFault);
  }
}
