import { AspenError, type Crypto, encode, type MeshId, type PeerId } from '../base/index.ts';
import { meshIdOf } from './mesh-id.ts';
import { foreignRecord } from './statement.ts';
import {
  decodeSuccession,
  encodeSuccession,
  isSigned,
  isVouchFor,
  readVouches,
  type Succession,
  successionDigest,
  type Vouch,
  vouchesToWire,
} from './succession.ts';
import { isVouchedFor } from './witness-rules.ts';

/** A succession with the words of others for it. */
export interface RootEntry {
  readonly succession: Succession;
  readonly vouches: readonly Vouch[];
}

export interface RootBookOptions {
  /** What was believed before, oldest first, encoded; this node's own disk is not asked for vouches again, only for signatures. */
  readonly entries?: readonly Uint8Array[];
  /** Whose word counts for the next succession. */
  readonly witnesses?: readonly PeerId[];
}

/** One entry with all its vouches fits an admission message with its envelope. */
export const ROOT_ENTRY_BYTES_LIMIT = 3_840;

/**
 * The root keys of a mesh, from the one its id was derived from to the present one, as far as this node is convinced.
 *
 * - R1 A succession is believed only when a majority of the witnesses that this node counted on *before* vouches for it, those that it
 *   revokes not counted as vouching. The signature of the old root key alone is worth nothing: the revoked one has it too.
 * - R2 It must follow upon the present key: number, mesh and old key agree, and old and new key have both signed.
 * - R3 What was believed stays: another statement of the same or a lower number changes nothing, whoever vouches for it.
 * - R4 With a succession its voters become the witnesses for the next one.
 * - R5 A ticket from the operator's hand stands for witnesses: a chain of signatures that ends at the ticket's key is taken.
 */
export class RootBook {
  readonly #crypto: Crypto;
  readonly #meshId: MeshId;
  readonly #entries: { readonly succession: Succession; vouches: readonly Vouch[] }[] = [];
  #witnesses: readonly PeerId[];
  /** What the group has agreed to, as this node's own replica says, and not enough witnesses have vouched for yet. */
  #agreed: { readonly succession: Succession; vouches: readonly Vouch[] } | undefined;

  /** @throws AspenError DENIED when the remembered entries are not a chain of signatures of this mesh. */
  constructor(
    { crypto, meshId }: { readonly crypto: Crypto; readonly meshId: MeshId },
    { entries = [], witnesses = [] }: RootBookOptions = {},
  ) {
    this.#crypto = crypto;
    this.#meshId = meshId;
    this.#witnesses = witnesses;
    for (const bytes of entries) {
      const entry = decodeRootEntry(bytes);
      this.#requireNext(entry.succession);
      this.#entries.push({ succession: entry.succession, vouches: this.#valid(entry) });
    }
  }

  /** Of the present root key. */
  get number(): number {
    return this.#entries.length;
  }

  /** The present one; undefined while the first key is still the root. */
  get latest(): Succession | undefined {
    return this.#entries.at(-1)?.succession;
  }

  get witnesses(): readonly PeerId[] {
    return this.#witnesses;
  }

  /** @returns the number of a root key of this mesh; undefined for any other key. */
  numberOf(rootPublicKey: Uint8Array): number | undefined {
    if (meshIdOf(this.#crypto, rootPublicKey) === this.#meshId) return 0;
    const at = this.#entries.findIndex(({ succession }) => same(succession.toKey, rootPublicKey));
    return at < 0 ? undefined : at + 1;
  }

  /** From number `from` on, encoded. */
  entries(from = 1): readonly Uint8Array[] {
    return this.#entries.slice(Math.max(0, from - 1)).map(encodeRootEntry);
  }

  /** Everybody whom a believed succession names as revoked. */
  revoked(): readonly PeerId[] {
    return this.#entries.flatMap(({ succession }) => succession.revoked);
  }

  /** @returns whether they changed. */
  setWitnesses(witnesses: readonly PeerId[]): boolean {
    if (sameSet(witnesses, this.#witnesses)) return false;
    this.#witnesses = [...witnesses];
    this.#settle();
    return true;
  }

  /** What this node waits for others to vouch for too. */
  get pending(): RootEntry | undefined {
    return this.#agreed;
  }

  /**
   * Notes what the group agreed to, with this node's own word for it.
   * @throws AspenError DENIED when it does not follow upon the present key.
   */
  note(succession: Succession, own: Vouch): void {
    this.#requireNext(succession);
    const known = this.#sameAsAgreed(succession) ? (this.#agreed?.vouches ?? []) : [];
    this.#agreed = { succession, vouches: union(known, this.#valid({ succession, vouches: [own] })) };
    this.#settle();
  }

  /**
   * Hears of a succession.
   * @param foreign an encoded entry.
   * @returns whether something became known that others may lack: a new key, or another vouch.
   * @throws AspenError DENIED with the reason when it is not believed.
   */
  learn(foreign: Uint8Array): boolean {
    const entry = decodeRootEntry(foreign);
    const { succession } = entry;
    if (succession.number <= this.number) return this.#hearAgain(entry);
    this.#requireNext(succession); // R2
    const vouches = this.#valid(entry);
    if (this.#sameAsAgreed(succession)) return this.#addToAgreed(vouches);
    if (!this.#isConvincing(succession, vouches)) throw unconvinced(succession, this.#witnesses, vouches); // R1
    this.#take({ succession, vouches });
    return true;
  }

  /**
   * R5.
   * @param foreign encoded entries in order, those known already among them.
   * @throws AspenError DENIED when they do not lead from a key known here to `key`; then nothing is taken.
   */
  learnUpTo(foreign: readonly Uint8Array[], key: Uint8Array): void {
    const trial = new RootBook(
      { crypto: this.#crypto, meshId: this.#meshId },
      { entries: [...this.entries(), ...foreign.filter((bytes) => this.#isLater(bytes))] },
    );
    if (trial.numberOf(key) === undefined)
      throw denied('the root key of the ticket does not follow upon those of the mesh');
    for (const bytes of trial.entries(this.number + 1)) this.#take(decodeRootEntry(bytes));
  }

  #isLater(bytes: Uint8Array): boolean {
    return decodeRootEntry(bytes).succession.number > this.number;
  }

  /** R3 */
  #hearAgain(entry: RootEntry): boolean {
    const known = this.#entries[entry.succession.number - 1];
    if (known === undefined || !this.#isSame(known.succession, entry.succession))
      throw denied(`another root key of number ${entry.succession.number} is known here`);
    const before = known.vouches.length;
    known.vouches = union(known.vouches, this.#valid(entry));
    return known.vouches.length > before;
  }

  /** Adds this node's own word for a succession it believes. @returns whether it was missing and is asked for. */
  vouch(number: number, own: Vouch): boolean {
    const known = this.#entries[number - 1];
    if (known === undefined || known.vouches.some(({ peerId }) => peerId === own.peerId)) return false;
    if (!isVouchFor(this.#crypto, known.succession, own)) return false;
    known.vouches = union(known.vouches, [own]);
    return true;
  }

  #addToAgreed(vouches: readonly Vouch[]): boolean {
    const agreed = this.#agreed as { readonly succession: Succession; vouches: readonly Vouch[] };
    const before = agreed.vouches.length;
    agreed.vouches = union(agreed.vouches, vouches);
    const isNews = agreed.vouches.length > before;
    this.#settle();
    return isNews;
  }

  #settle(): void {
    const agreed = this.#agreed;
    if (agreed !== undefined && this.#isConvincing(agreed.succession, agreed.vouches)) this.#take(agreed);
  }

  #take(entry: RootEntry): void {
    this.#entries.push({ ...entry });
    this.#witnesses = [...entry.succession.voters]; // R4
    this.#agreed = undefined;
  }

  #isConvincing(succession: Succession, vouches: readonly Vouch[]): boolean {
    const said = vouches.map(({ peerId }) => peerId);
    return isVouchedFor({ witnesses: this.#witnesses, revoked: succession.revoked, said });
  }

  #valid({ succession, vouches }: RootEntry): readonly Vouch[] {
    return union(
      [],
      vouches.filter((vouch) => isVouchFor(this.#crypto, succession, vouch)),
    );
  }

  /** R2 */
  #requireNext(succession: Succession): void {
    const { meshId, number, fromKey, toKey } = succession;
    if (meshId !== this.#meshId) throw denied(`it is of mesh ${meshId}, this is mesh ${this.#meshId}`);
    if (number !== this.number + 1) throw denied(`it has number ${number}, ${this.number + 1} comes next`);
    if (this.numberOf(fromKey) !== this.number) throw denied('it does not follow upon the present root key');
    if (this.numberOf(toKey) !== undefined) throw denied('it names a root key of before');
    if (!isSigned(this.#crypto, succession)) throw denied('its signatures do not hold');
  }

  #sameAsAgreed(succession: Succession): boolean {
    return this.#agreed !== undefined && this.#isSame(this.#agreed.succession, succession);
  }

  #isSame(left: Succession, right: Succession): boolean {
    return same(successionDigest(this.#crypto, left), successionDigest(this.#crypto, right));
  }
}

export function encodeRootEntry({ succession, vouches }: RootEntry): Uint8Array {
  return encode({ succession: encodeSuccession(succession), vouches: vouchesToWire(vouches) });
}

/** @throws AspenError DENIED when it is malformed; nothing is proven yet. */
export function decodeRootEntry(foreign: Uint8Array): RootEntry {
  const { succession, vouches } = foreignRecord(foreign, ROOT_ENTRY_BYTES_LIMIT) ?? {};
  const read = readVouches(vouches);
  if (!(succession instanceof Uint8Array) || read === undefined) throw denied('it is malformed');
  return { succession: decodeSuccession(succession), vouches: read };
}

function union(known: readonly Vouch[], more: readonly Vouch[]): readonly Vouch[] {
  const byPeer = new Map([...more, ...known].map((vouch) => [vouch.peerId, vouch]));
  return [...byPeer.values()].sort((left, right) => (left.peerId < right.peerId ? -1 : 1));
}

function unconvinced(
  { number, revoked }: Succession,
  witnesses: readonly PeerId[],
  vouches: readonly Vouch[],
): AspenError {
  const said = witnesses.filter(
    (witness) => !revoked.includes(witness) && vouches.some(({ peerId }) => peerId === witness),
  );
  return new AspenError(
    'DENIED',
    `root key ${number} does not count: ${said.length} of the ${witnesses.length} voters known here vouch for it, more than half must`,
    { details: { reason: 'root-not-vouched' } },
  );
}

function denied(reason: string): AspenError {
  return new AspenError('DENIED', `the succession of the root key does not count: ${reason}`);
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function sameSet(left: readonly PeerId[], right: readonly PeerId[]): boolean {
  return left.length === right.length && left.every((peer) => right.includes(peer));
}
