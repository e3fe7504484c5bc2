import { AspenError, type Crypto, Listeners, type Logger, type MeshId, type PeerId } from '../base/index.ts';
import { type Certificate, encodeCertificate, verifyCertificate } from './certificate.ts';
import { encodeRevocation, type Revocation, verifyRevocation } from './revocation.ts';
import type { Gate, Standing } from './transport.ts';

/** Where the gate's knowledge outlives the process. Losing the latest of it only costs another exchange at the next contact. */
export interface GateMemory {
  load(): { readonly certificates: readonly Uint8Array[]; readonly revocations: readonly Uint8Array[] };
  saveCertificate(peerId: PeerId, certificate: Uint8Array): void;
  saveRevocation(peerId: PeerId, revocation: Uint8Array): void;
  forgetCertificate(peerId: PeerId): void;
}

export interface GateComponents {
  readonly crypto: Crypto;
  readonly memory: GateMemory;
  readonly log: Logger;
}

export interface GateOptions {
  /** The mesh this node belongs to or is about to join; undefined while it belongs to none, and then everybody is a stranger. */
  readonly meshId: MeshId | undefined;
  /** Most certificates held. @default 20_000 */
  readonly membersLimit?: number;
}

/**
 * Who belongs to the mesh, by the root key's word alone; works offline.
 *
 * - G1 A peer is a member only by a certificate of this mesh made out to it.
 * - G2 Revoked wins, for ever: over certificates that came before or after, whatever their times.
 * - G3 Nothing unsigned is believed, also not what was read back from the disk.
 */
export class MembershipGate implements Gate {
  readonly meshId: MeshId | undefined;
  readonly #crypto: Crypto;
  readonly #memory: GateMemory;
  readonly #log: Logger;
  readonly #membersLimit: number;
  readonly #certificates = new Map<PeerId, Certificate>();
  readonly #revocations = new Map<PeerId, Revocation>();
  readonly #changes = new Listeners<PeerId>();

  constructor({ crypto, memory, log }: GateComponents, { meshId, membersLimit = 20_000 }: GateOptions) {
    this.meshId = meshId;
    this.#crypto = crypto;
    this.#memory = memory;
    this.#log = log.child({ part: 'gate' });
    this.#membersLimit = membersLimit;
    if (meshId !== undefined) this.#recall();
  }

  standingOf(peerId: PeerId): Standing {
    if (this.#revocations.has(peerId)) return 'refused'; // G2
    return this.#certificates.has(peerId) ? 'member' : 'stranger';
  }

  /**
   * @param certificate foreign bytes.
   * @returns the certificate that now counts for its peer: the latest one issued.
   * @throws AspenError DENIED when it does not hold here, or its peer was revoked.
   */
  admit(certificate: Uint8Array): Certificate {
    const verified = this.#verify(certificate);
    const known = this.#certificates.get(verified.peerId);
    if (known !== undefined && known.issuedAtMs >= verified.issuedAtMs) return known;
    this.#keep(verified);
    this.#memory.saveCertificate(verified.peerId, encodeCertificate(verified));
    this.#changes.emit(verified.peerId);
    return verified;
  }

  /**
   * @param revocation foreign bytes.
   * @throws AspenError DENIED when it is not of this mesh.
   */
  revoke(revocation: Uint8Array): Revocation {
    const verified = verifyRevocation({ crypto: this.#crypto, meshId: this.#ownMesh() }, revocation);
    const known = this.#revocations.get(verified.peerId);
    if (known !== undefined) return known;
    this.#revocations.set(verified.peerId, verified);
    this.#memory.saveRevocation(verified.peerId, encodeRevocation(verified));
    this.#changes.emit(verified.peerId);
    return verified;
  }

  /** Drops a member that left of its own will. It is a stranger again; what it was given still proves it, should it come back. */
  forget(peerId: PeerId): void {
    if (!this.#certificates.delete(peerId)) return;
    this.#memory.forgetCertificate(peerId);
    this.#changes.emit(peerId);
  }

  /** @returns the certificate of a member; undefined for strangers and revoked peers. */
  certificateOf(peerId: PeerId): Certificate | undefined {
    return this.#revocations.has(peerId) ? undefined : this.#certificates.get(peerId);
  }

  /** Everybody known to belong to the mesh, oneself included once admitted. */
  members(): readonly Certificate[] {
    return [...this.#certificates.values()].filter(({ peerId }) => !this.#revocations.has(peerId));
  }

  revocations(): readonly Revocation[] {
    return [...this.#revocations.values()];
  }

  onChange(callback: (peerId: PeerId) => void): Disposable {
    return this.#changes.add(callback);
  }

  #ownMesh(): MeshId {
    if (this.meshId === undefined) throw new AspenError('DENIED', 'this node belongs to no mesh');
    return this.meshId;
  }

  #verify(certificate: Uint8Array): Certificate {
    const verified = verifyCertificate({ crypto: this.#crypto, meshId: this.#ownMesh() }, certificate);
    if (this.#revocations.has(verified.peerId)) {
      throw new AspenError('DENIED', `${verified.peerId} was revoked from this mesh`);
    }
    return verified;
  }

  #keep(certificate: Certificate): void {
    const isNew = !this.#certificates.has(certificate.peerId);
    if (isNew && this.#certificates.size >= this.#membersLimit) {
      throw new AspenError('RESOURCE_EXHAUSTED', `the gate holds ${this.#membersLimit} members, its limit`, {
        details: { limit: 'membersLimit' },
      });
    }
    this.#certificates.set(certificate.peerId, certificate);
  }

  #recall(): void {
    const { certificates, revocations } = this.#memory.load();
    const context = { crypto: this.#crypto, meshId: this.#ownMesh() };
    for (const bytes of revocations) {
      this.#recallOne(() => {
        const revocation = verifyRevocation(context, bytes);
        this.#revocations.set(revocation.peerId, revocation);
      });
    }
    for (const bytes of certificates) this.#recallOne(() => this.#keep(verifyCertificate(context, bytes)));
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

/** Forgets at the end of the process. For tests and simulations. */
export class VolatileGateMemory implements GateMemory {
  readonly #certificates = new Map<PeerId, Uint8Array>();
  readonly #revocations = new Map<PeerId, Uint8Array>();

  load() {
    return { certificates: [...this.#certificates.values()], revocations: [...this.#revocations.values()] };
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
