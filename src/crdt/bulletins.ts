import { Listeners } from '../base/index.ts';
import { isText, KEY_LENGTH_LIMIT, mark48 } from './entry.ts';
import { addMark, removeMark, type Space, type Stamp, type Verdict, type Via } from './space.ts';

/** A document that proves itself, e.g. a revocation signed with the mesh's root key: whoever holds it may pass it on. */
export interface Bulletin {
  readonly kind: string;
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** Decides whether a document is what its kind and key claim. Must come to the same answer on every node; where an answer changes, {@link BulletinSet.recheck} is called. */
export type BulletinVerifier = (key: string, bytes: Uint8Array) => boolean;

export const BULLETIN_BYTES_LIMIT = 4_096;
export const BULLETINS_PER_KIND_LIMIT = 10_000;

export interface AddedBulletin {
  readonly bulletin: Bulletin;
  readonly via: Via;
}

interface Kind {
  readonly documents: Map<string, Uint8Array>;
  hash: number;
}

/**
 * A grow-only set of documents that prove themselves.
 *
 * - C6 What was added stays as long as the verifier of its kind accepts it ({@link recheck}); of two valid documents of one key all replicas keep the one whose bytes sort last.
 * - C7 A document enters only when the verifier of its kind accepts it; a kind without a verifier is refused.
 */
export class BulletinSet implements Space {
  readonly name = 'bulletin';
  readonly #verifiers: Readonly<Record<string, BulletinVerifier>>;
  readonly #kinds = new Map<string, Kind>();
  readonly #added = new Listeners<AddedBulletin>();

  constructor(verifiers: Readonly<Record<string, BulletinVerifier>>) {
    this.#verifiers = verifiers;
  }

  onAdded(callback: (added: AddedBulletin) => void): Disposable {
    return this.#added.add(callback);
  }

  add({ kind, key, bytes }: Bulletin, via: Via): Verdict {
    if (!isText(key, KEY_LENGTH_LIMIT) || !Object.hasOwn(this.#verifiers, kind)) return 'malformed'; // C7
    const current = this.#kinds.get(kind)?.documents.get(key);
    if (current !== undefined && Buffer.compare(bytes, current) === 0) return 'known';
    if (bytes.length > BULLETIN_BYTES_LIMIT) return 'limit';
    if (current === undefined && this.#countOf(kind) >= BULLETINS_PER_KIND_LIMIT) return 'limit';
    if (this.#verifiers[kind]?.(key, bytes) !== true) return 'not-signed'; // C7
    if (current !== undefined && Buffer.compare(bytes, current) < 0) return 'known'; // C6
    const bulletin = { kind, key, bytes: Uint8Array.from(bytes) }; // not `slice`, which of a Buffer shares the memory
    this.#put(bulletin, current);
    this.#added.emit({ bulletin, via });
    return 'applied';
  }

  /** Drops what the verifier of `kind` no longer accepts. @returns what was dropped. */
  recheck(kind: string): readonly Bulletin[] {
    const own = this.#kinds.get(kind);
    if (own === undefined) return [];
    const dropped = this.all(kind).filter(({ key, bytes }) => this.#verifiers[kind]?.(key, bytes) !== true);
    for (const { key, bytes } of dropped) {
      own.documents.delete(key);
      own.hash = removeMark(own.hash, mark48(bytes));
    }
    return dropped;
  }

  all(kind: string): readonly Bulletin[] {
    const documents = this.#kinds.get(kind)?.documents ?? new Map<string, Uint8Array>();
    return [...documents].map(([key, bytes]) => ({ kind, key, bytes }));
  }

  offer(foreign: unknown, via: Via): Verdict {
    if (!Array.isArray(foreign) || foreign.length !== 3) return 'malformed';
    const [kind, key, bytes] = foreign as unknown[];
    if (typeof kind !== 'string' || typeof key !== 'string' || !(bytes instanceof Uint8Array))
      return 'malformed';
    return this.add({ kind, key, bytes }, via);
  }

  get ownerCount(): number {
    return this.#kinds.size;
  }

  hashes(): Iterable<readonly [string, number]> {
    return this.#kinds.entries().map(([kind, { hash }]) => [kind, hash] as const);
  }

  hashOf(kind: string): number | undefined {
    return this.#kinds.get(kind)?.hash;
  }

  stampsOf(kind: string): readonly Stamp[] {
    return this.all(kind).map(({ key, bytes }) => [key, 0, 0, mark48(bytes)]);
  }

  wireOf(kind: string, key: string): unknown {
    const bytes = this.#kinds.get(kind)?.documents.get(key);
    return bytes === undefined ? undefined : [kind, key, bytes];
  }

  #countOf(kind: string): number {
    return this.#kinds.get(kind)?.documents.size ?? 0;
  }

  #put({ kind, key, bytes }: Bulletin, current: Uint8Array | undefined): void {
    const own = this.#kinds.get(kind) ?? { documents: new Map(), hash: 0 };
    this.#kinds.set(kind, own);
    own.documents.set(key, bytes);
    if (current !== undefined) own.hash = removeMark(own.hash, mark48(current));
    own.hash = addMark(own.hash, mark48(bytes));
  }
}
