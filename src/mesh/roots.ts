import { AspenError, type Crypto, Listeners, type MeshId, type PeerId } from '../base/index.ts';
import { type Certificate, certificateHash } from './certificate.ts';
import type { Revocation } from './revocation.ts';
import { RootBook, type RootBookOptions, type RootEntry } from './root-book.ts';
import {
  decodeRootList,
  isOnRootList,
  proveOnRootList,
  type RootListProof,
  rootListDigest,
} from './root-list.ts';
import type { Succession, Vouch } from './succession.ts';

export interface RootsOptions extends RootBookOptions {
  /** The list of the latest succession, as it was kept; ignored when it is another. */
  readonly list?: Uint8Array | undefined;
}

/** What changed: another root key, a vouch, who the witnesses are, or the list of what stays valid. */
export type RootsChange = 'key' | 'vouch' | 'witnesses' | 'list';

/**
 * Which signatures of the mesh's root keys count at this node.
 *
 * - V1 A certificate counts when the present root key signed it, or when it is on the list of the latest succession.
 * - V2 A revocation counts when the present root key signed it, or when it is of somebody who is not on that list.
 * - V4 It never counts against a certificate that a later root key signed than the revocation: nobody is admitted after it was revoked, so a thief of
 *   the key of before signed it.
 * - V3 Whoever a believed succession names as revoked is refused, whatever else is known.
 */
export class Roots {
  readonly #crypto: Crypto;
  readonly #book: RootBook;
  readonly #changes = new Listeners<RootsChange>();
  #list: Uint8Array | undefined;
  #hashes: ReadonlyMap<PeerId, Uint8Array> | undefined;
  readonly #revoked = new Set<PeerId>();
  #proof: { readonly peerId: PeerId; readonly proof: RootListProof | undefined } | undefined;

  /** @throws AspenError DENIED when the remembered entries are no chain of this mesh. */
  constructor(
    components: { readonly crypto: Crypto; readonly meshId: MeshId },
    { list, ...options }: RootsOptions = {},
  ) {
    this.#crypto = components.crypto;
    this.#book = new RootBook(components, options);
    this.#gatherRevoked();
    if (list !== undefined && this.#isListOfLatest(list)) this.#keepList(list);
  }

  get number(): number {
    return this.#book.number;
  }

  get latest(): Succession | undefined {
    return this.#book.latest;
  }

  get witnesses(): readonly PeerId[] {
    return this.#book.witnesses;
  }

  get pending(): RootEntry | undefined {
    return this.#book.pending;
  }

  /** The list of the latest succession; undefined while there is none, or it is not held here yet. */
  get list(): Uint8Array | undefined {
    return this.#list;
  }

  get lacksList(): boolean {
    return this.#book.latest !== undefined && this.#list === undefined;
  }

  entries(from?: number): readonly Uint8Array[] {
    return this.#book.entries(from);
  }

  numberOf(rootPublicKey: Uint8Array): number | undefined {
    return this.#book.numberOf(rootPublicKey);
  }

  onChange(callback: (change: RootsChange) => void): Disposable {
    return this.#changes.add(callback);
  }

  /** As {@link RootBook.learn}. */
  learn(foreign: Uint8Array): boolean {
    return this.#tellingOf(() => this.#book.learn(foreign));
  }

  /** As {@link RootBook.learnUpTo}. */
  learnUpTo(foreign: readonly Uint8Array[], key: Uint8Array): void {
    this.#tellingOf(() => {
      this.#book.learnUpTo(foreign, key);
      return false;
    });
  }

  /** As {@link RootBook.note}. */
  note(succession: Succession, own: Vouch): void {
    this.#tellingOf(() => {
      this.#book.note(succession, own);
      return true;
    });
  }

  /** As {@link RootBook.vouch}. */
  vouch(number: number, own: Vouch): boolean {
    return this.#tellingOf(() => this.#book.vouch(number, own));
  }

  setWitnesses(witnesses: readonly PeerId[]): void {
    const { number } = this;
    if (!this.#book.setWitnesses(witnesses)) return;
    if (this.number > number) this.#onNewKey();
    this.#changes.emit('witnesses');
  }

  /** @throws AspenError DENIED when it is not the list of the latest succession. */
  setList(bytes: Uint8Array): void {
    if (!this.#isListOfLatest(bytes)) throw new AspenError('DENIED', 'it is not the list that was signed');
    this.#keepList(bytes);
    this.#changes.emit('list');
  }

  /** V1. @param proof where this node does not hold the list. */
  counts(certificate: Certificate, proof?: RootListProof): boolean {
    const number = this.#book.numberOf(certificate.rootPublicKey);
    if (number === undefined || number === this.number) return number !== undefined;
    const hash = certificateHash(this.#crypto, certificate);
    const { peerId } = certificate;
    if (this.#hashes !== undefined) {
      const listed = this.#hashes.get(peerId);
      return listed !== undefined && this.#crypto.equal(listed, hash);
    }
    const { latest } = this.#book;
    if (proof === undefined || latest === undefined) return false;
    const list = { digest: latest.listDigest, count: latest.listCount };
    return isOnRootList(this.#crypto, list, { peerId, certificateHash: hash }, proof);
  }

  /** V2 */
  countsRevocation({ peerId, rootPublicKey }: Revocation): boolean {
    const number = this.#book.numberOf(rootPublicKey);
    if (number === undefined) return false;
    return number === this.number || this.#hashes?.has(peerId) !== true;
  }

  /** V4 */
  outlives(certificate: Certificate, { rootPublicKey }: Revocation): boolean {
    const signedBy = this.#book.numberOf(certificate.rootPublicKey);
    const revokedBy = this.#book.numberOf(rootPublicKey);
    return signedBy !== undefined && revokedBy !== undefined && signedBy > revokedBy;
  }

  /** V3 */
  isRevoked(peerId: PeerId): boolean {
    return this.#revoked.has(peerId);
  }

  /** @returns what proves to somebody without the list that a certificate of before stays valid. */
  proofOf(peerId: PeerId): RootListProof | undefined {
    if (this.#list === undefined) return undefined;
    if (this.#proof?.peerId !== peerId)
      this.#proof = { peerId, proof: proveOnRootList(this.#crypto, this.#list, peerId) };
    return this.#proof.proof;
  }

  #tellingOf(change: () => boolean): boolean {
    const { number } = this;
    const isNews = change();
    if (this.number > number) {
      this.#onNewKey();
      this.#changes.emit('key');
    } else if (isNews) this.#changes.emit('vouch');
    return isNews;
  }

  #onNewKey(): void {
    this.#list = undefined;
    this.#hashes = undefined;
    this.#proof = undefined;
    this.#gatherRevoked();
  }

  #gatherRevoked(): void {
    for (const peerId of this.#book.revoked()) this.#revoked.add(peerId);
  }

  #isListOfLatest(bytes: Uint8Array): boolean {
    const { latest } = this.#book;
    if (latest === undefined || decodeRootList(bytes)?.length !== latest.listCount) return false;
    return this.#crypto.equal(rootListDigest(this.#crypto, bytes), latest.listDigest);
  }

  #keepList(bytes: Uint8Array): void {
    this.#list = Uint8Array.from(bytes);
    const entries = decodeRootList(bytes) ?? [];
    this.#hashes = new Map(entries.map(({ peerId, certificateHash: hash }) => [peerId, hash]));
    this.#proof = undefined;
  }
}
