import { AspenError, type Crypto, Listeners, type Logger, type MeshId, type PeerId } from '../base/index.ts';
import {
  type Certificate,
  type CertificateVerifier,
  encodeCertificate,
  isSameCertificate,
  verifyCertificate,
} from './certificate.ts';
import { type Departure, departureKey } from './departure.ts';
import { encodeRevocation, type Revocation, verifyRevocation } from './revocation.ts';
import type { RootBookOptions } from './root-book.ts';
import type { RootListProof } from './root-list.ts';
import { Roots, type RootsChange } from './roots.ts';
import type { Gate, Standing } from './transport.ts';
import { honouredRevocations } from './witness-rules.ts';

/** Ended memberships that are held; as many as there are bulletins of one kind. */
const ENDED_LIMIT = 10_000;

/** Where the gate's knowledge outlives the process. Losing the latest of it only costs another exchange at the next contact. */
export interface GateMemory {
  load(): {
    readonly certificates: readonly Uint8Array[];
    readonly revocations: readonly Uint8Array[];
    /** @default none is kept */
    readonly rootList?: Uint8Array | undefined;
  };
  saveRootList(list: Uint8Array): void;
  saveCertificate(peerId: PeerId, certificate: Uint8Array): void;
  saveRevocation(peerId: PeerId, revocation: Uint8Array): void;
  forgetCertificate(peerId: PeerId): void;
}

export interface GateComponents {
  readonly crypto: Crypto;
  readonly memory: GateMemory;
  readonly log: Logger;
  /** For simulations of many nodes in one process, which share what they read alike. @default each reads for itself */
  readonly readCertificate?: CertificateVerifier['read'];
}

export interface GateOptions {
  /** The mesh this node belongs to or is about to join; undefined while it belongs to none, and then everybody is a stranger. */
  readonly meshId: MeshId | undefined;
  /** Most certificates held. @default 20_000 */
  readonly membersLimit?: number;
  /** What is known of the root key's successors. @default nothing: the first key is the root */
  readonly roots?: RootBookOptions;
}

/**
 * Who belongs to the mesh, by the root key's word alone; works offline.
 *
 * - G1 A peer is a member only by a certificate of this mesh made out to it, which counts under the present root key (V1).
 * - G2 Revoked wins, for ever: over certificates that came before or after, whatever their times. What a root key of before signed is no
 *   revocation of somebody whom a later list names (V2), and as long as W3 forbids it a witness is not refused.
 * - G4 Another root key, and another list, are felt at once: whoever no longer counts is told to {@link onChange}.
 * - G6 A certificate whose membership has ended, by its owner's word or the mesh's, admits nobody any more, by whomever it is shown; a later one of the
 *   same peer does.
 * - G3 Nothing unsigned is believed, also not what was read back from the disk. A certificate that is held, or was found to hold just now, is the same
 *   when it is told again: its signature is not checked anew, all else is.
 */
export class MembershipGate implements Gate {
  readonly meshId: MeshId | undefined;
  readonly #crypto: Crypto;
  readonly #memory: GateMemory;
  readonly #log: Logger;
  readonly #readCertificate: CertificateVerifier['read'];
  readonly #membersLimit: number;
  readonly #roots: Roots | undefined;
  readonly #certificates = new Map<PeerId, Certificate>();
  readonly #revocations = new Map<PeerId, Revocation>();
  /** Whose signature was found to hold last: who verifies a certificate often admits it next. */
  #proven: Certificate | undefined;
  #refused: ReadonlySet<PeerId> = new Set();
  /** G6: by `departureKey`, in the order in which they were told. */
  readonly #ended = new Set<string>();
  readonly #changes = new Listeners<PeerId>();

  /** @throws AspenError DENIED when the root keys that it is given are no chain of this mesh. */
  constructor(
    { crypto, memory, log, readCertificate }: GateComponents,
    { meshId, membersLimit = 20_000, roots }: GateOptions,
  ) {
    this.meshId = meshId;
    this.#crypto = crypto;
    this.#memory = memory;
    this.#log = log.child({ part: 'gate' });
    this.#readCertificate = readCertificate;
    this.#membersLimit = membersLimit;
    if (meshId === undefined) return;
    const { certificates, revocations, rootList } = memory.load();
    this.#roots = new Roots({ crypto, meshId }, { ...roots, list: rootList });
    this.#recall(certificates, revocations);
    this.#roots.onChange((change) => this.#onRoots(change));
  }

  /** @throws AspenError DENIED while this node belongs to no mesh. */
  get roots(): Roots {
    if (this.#roots === undefined) throw new AspenError('DENIED', 'this node belongs to no mesh');
    return this.#roots;
  }

  standingOf(peerId: PeerId): Standing {
    if (this.#isRefused(peerId)) return 'refused'; // G2
    return this.#certificates.has(peerId) ? 'member' : 'stranger';
  }

  /**
   * @param certificate foreign bytes.
   * @param proof that it stays valid, where a root key of before signed it and this node does not hold the list.
   * @returns the certificate that now counts for its peer: the latest one issued.
   * @throws AspenError DENIED when it does not hold here, or its peer was revoked.
   */
  admit(certificate: Uint8Array, proof?: RootListProof): Certificate {
    const verified = this.verify(certificate, proof);
    const known = this.#certificates.get(verified.peerId);
    if (known !== undefined && known.issuedAtMs >= verified.issuedAtMs && this.roots.counts(known))
      return known;
    this.#keep(verified);
    this.#memory.saveCertificate(verified.peerId, encodeCertificate(verified));
    this.#changes.emit(verified.peerId);
    return verified;
  }

  /**
   * Takes this node's own certificate from its own disk: while the list of what stays valid is not here, it is not doubted. A node that was revoked
   * starts, to say so.
   * @throws as {@link admit}.
   */
  recallOwn(certificate: Uint8Array): void {
    const verified = verifyCertificate(this.#verifier(), certificate);
    if (this.roots.lacksList || this.#isRefused(verified.peerId, verified)) this.#keep(verified);
    else this.admit(certificate);
  }

  /** As {@link admit}, and nothing is kept. */
  verify(certificate: Uint8Array, proof?: RootListProof): Certificate {
    const verified = verifyCertificate(this.#verifier(), certificate);
    this.#proven = verified;
    const { peerId } = verified;
    if (this.#isRefused(peerId, verified))
      throw new AspenError('DENIED', `${peerId} was revoked from this mesh`);
    if (this.hasEnded({ peerId, certificateSignature: verified.signature })) throw hasLeft(verified); // G6
    if (!this.roots.counts(verified, proof)) throw outdated(verified, this.roots.number);
    return verified;
  }

  /**
   * @param revocation foreign bytes.
   * @throws AspenError DENIED when it is not of this mesh, or no longer counts.
   */
  revoke(revocation: Uint8Array): Revocation {
    const verified = verifyRevocation(this.#verifier(), revocation);
    if (!this.roots.countsRevocation(verified)) {
      const { peerId } = verified;
      throw new AspenError(
        'DENIED',
        `a replaced root key signed the revocation of ${peerId}, a member since`,
      );
    }
    const known = this.#revocations.get(verified.peerId);
    if (known !== undefined && this.roots.countsRevocation(known) && !this.#isLaterRoot(verified, known))
      return known;
    this.#revocations.set(verified.peerId, verified);
    this.#memory.saveRevocation(verified.peerId, encodeRevocation(verified));
    this.#judgeRefused();
    return verified;
  }

  #isLaterRoot({ rootPublicKey }: Revocation, than: Revocation): boolean {
    const { roots } = this;
    return (roots.numberOf(rootPublicKey) ?? 0) > (roots.numberOf(than.rootPublicKey) ?? 0);
  }

  /** Drops a member that left of its own will. It is a stranger again; what it was given still proves it, should it come back. */
  forget(peerId: PeerId): void {
    if (!this.#certificates.delete(peerId)) return;
    this.#memory.forgetCertificate(peerId);
    this.#changes.emit(peerId);
  }

  /** G6. Members that are here stay until they are forgotten. @param ended was found to hold. */
  end(ended: Pick<Departure, 'peerId' | 'certificateSignature'>): void {
    this.#ended.add(departureKey(ended));
    const [first] = this.#ended;
    if (this.#ended.size > ENDED_LIMIT && first !== undefined) this.#ended.delete(first);
  }

  hasEnded(membership: Pick<Departure, 'peerId' | 'certificateSignature'>): boolean {
    return this.#ended.has(departureKey(membership));
  }

  /** @returns the certificate of a member; undefined for strangers and revoked peers. */
  certificateOf(peerId: PeerId): Certificate | undefined {
    return this.#isRefused(peerId) ? undefined : this.#certificates.get(peerId);
  }

  /** Also of a peer that is refused. */
  heldCertificateOf(peerId: PeerId): Certificate | undefined {
    return this.#certificates.get(peerId);
  }

  /** @returns what a peer is refused by; undefined where it is not, or only a root key of later names it (V3). */
  revocationOf(peerId: PeerId): Revocation | undefined {
    return this.#isRefused(peerId) ? this.#revocations.get(peerId) : undefined;
  }

  /** Everybody known to belong to the mesh, oneself included once admitted. */
  members(): readonly Certificate[] {
    return [...this.#certificates.values()].filter(({ peerId }) => !this.#isRefused(peerId));
  }

  revocations(): readonly Revocation[] {
    return [...this.#revocations.values()];
  }

  onChange(callback: (peerId: PeerId) => void): Disposable {
    return this.#changes.add(callback);
  }

  /** @param shown the certificate that it is judged by where it is not held yet. */
  #isRefused(peerId: PeerId, shown?: Certificate): boolean {
    if (this.#roots?.isRevoked(peerId) === true) return true; // V3
    return this.#refused.has(peerId) && !(shown !== undefined && this.#isOutlived(peerId, shown));
  }

  /** V4 */
  #isOutlived(peerId: PeerId, certificate: Certificate): boolean {
    const revocation = this.#revocations.get(peerId);
    return revocation !== undefined && this.roots.outlives(certificate, revocation);
  }

  #verifier(): CertificateVerifier {
    const { roots, meshId } = this;
    const isProven = (certificate: Certificate) => this.#isProven(certificate);
    return { crypto: this.#crypto, meshId: meshId as MeshId, roots, isProven, read: this.#readCertificate };
  }

  #isProven(certificate: Certificate): boolean {
    const held = this.#certificates.get(certificate.peerId);
    const isHeld = held !== undefined && isSameCertificate(held, certificate);
    return isHeld || (this.#proven !== undefined && isSameCertificate(this.#proven, certificate));
  }

  /** G4 */
  #onRoots(change: RootsChange): void {
    const { list } = this.roots;
    if (change === 'list' && list !== undefined) this.#memory.saveRootList(list);
    this.#judgeRefused();
    if (change === 'key') this.#tellOf(this.roots.latest?.revoked ?? []);
    if (!this.roots.lacksList) this.#dropOutdated();
  }

  #dropOutdated(): void {
    for (const certificate of [...this.#certificates.values()]) {
      if (this.roots.counts(certificate)) continue;
      const { peerId } = certificate;
      this.#log.info({ peerId }, 'its certificate is of a replaced root key and not on the list: no member');
      this.forget(peerId);
    }
  }

  /** G2, W3 */
  #judgeRefused(): void {
    const { roots } = this;
    const counting = [...this.#revocations.values()].filter((revocation) => {
      const held = this.#certificates.get(revocation.peerId);
      return roots.countsRevocation(revocation) && !(held && roots.outlives(held, revocation)); // V4
    });
    const revoked = new Set(counting.map(({ peerId }) => peerId));
    const isHonoured = honouredRevocations(roots.witnesses, revoked);
    const before = this.#refused;
    this.#refused = new Set([...revoked].filter(isHonoured));
    this.#tellOf([...this.#refused.symmetricDifference(before)]);
  }

  #tellOf(peers: readonly PeerId[]): void {
    for (const peerId of peers) this.#changes.emit(peerId);
  }

  #keep(certificate: Certificate): void {
    const isNew = !this.#certificates.has(certificate.peerId);
    if (isNew && this.#certificates.size >= this.#membersLimit) {
      throw new AspenError('RESOURCE_EXHAUSTED', `the gate holds ${this.#membersLimit} members, its limit`, {
        details: { limit: 'membersLimit' },
      });
    }
    this.#certificates.set(certificate.peerId, certificate);
    if (this.#refused.has(certificate.peerId)) this.#judgeRefused(); // V4
  }

  /** While the list is not here what was remembered stays: the list, once it is, decides. */
  #recall(certificates: readonly Uint8Array[], revocations: readonly Uint8Array[]): void {
    const { roots } = this;
    for (const bytes of revocations) {
      this.#recallOne(() => {
        const revocation = verifyRevocation(this.#verifier(), bytes);
        this.#revocations.set(revocation.peerId, revocation);
      });
    }
    this.#judgeRefused();
    for (const bytes of certificates) {
      this.#recallOne(() => {
        const certificate = verifyCertificate(this.#verifier(), bytes);
        if (!roots.lacksList && !roots.counts(certificate)) throw outdated(certificate, roots.number);
        this.#keep(certificate);
      });
    }
  }

  /** G3: what no longer verifies is left out and told; it will be exchanged anew. */
  #recallOne(recall: () => void): void {
    try {
      recall();
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#log.warn({ err }, 'a remembered certificate or revocation does not hold, left out');
    }
  }
}

/** `details.reason` where the certificate is of a replaced root key and not among those that stay valid. */
export const OUTDATED_ROOT = 'outdated-root';

function outdated({ peerId }: Certificate, number: number): AspenError {
  return new AspenError(
    'DENIED',
    `the certificate of ${peerId} is of a root key that was replaced, and not among those that stay valid under root key ${number}: ` +
      'join again from an empty data directory with a new ticket',
    { details: { reason: OUTDATED_ROOT } },
  );
}

function hasLeft({ peerId }: Certificate): AspenError {
  return new AspenError(
    'DENIED',
    `${peerId} has left this mesh: join again from an empty data directory with a new ticket`,
    { details: { reason: 'member-left' } },
  );
}

/** Forgets at the end of the process. For tests and simulations. */
export class VolatileGateMemory implements GateMemory {
  readonly #certificates = new Map<PeerId, Uint8Array>();
  readonly #revocations = new Map<PeerId, Uint8Array>();
  #rootList: Uint8Array | undefined;

  load() {
    return {
      certificates: [...this.#certificates.values()],
      revocations: [...this.#revocations.values()],
      rootList: this.#rootList,
    };
  }

  saveRootList(list: Uint8Array): void {
    this.#rootList = list;
  }

  saveCertificate(peerId: PeerId, certificate: Uint8Array): void {
    this.#certificates.set(peerId, certificate);
  }

  saveRevocation(peerId: PeerId, revocation: Uint8Array): void {
    this.#revocations.set(peerId, revocation);
  }

  forgetCertificate(peerId: PeerId): void {
    this.#certificates.delete(peerId);
  }
}
