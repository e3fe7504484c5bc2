import { decodeForeignOrUndefined, encode, type PeerId } from '../base/index.ts';
import { markOfPeer } from './link-row.ts';

/**
 * One node misses another one: its link ended, nobody said why, and it cannot be reached.
 */
export interface Suspicion {
  /** The end of the peer id. */
  readonly mark: string;
  /** The stamp of the latest sign of life that its author knew. A later one refutes it. Wall time, ms. */
  readonly lastSignMs: number;
}

/** So many different nodes must miss one before others believe it. */
export const SUSPECTORS_NEEDED = 3;
/** Suspicions of one author; of more the latest. */
export const SUSPICIONS_LIMIT = 16;
/** Time for whoever is missed to say that it lives. Unit: ms. */
export const REFUTATION_MS = 2_000;

const MARK_LENGTH_LIMIT = 64;

export function encodeSuspicions(suspicions: readonly Suspicion[]): Uint8Array {
  return encode(suspicions.slice(-SUSPICIONS_LIMIT).map(({ mark, lastSignMs }) => [mark, lastSignMs]));
}

/** @returns undefined when the bytes are no list of suspicions. */
export function decodeSuspicions(bytes: Uint8Array): readonly Suspicion[] | undefined {
  const foreign = decodeForeignOrUndefined(bytes);
  if (!Array.isArray(foreign) || foreign.length > SUSPICIONS_LIMIT) return undefined;
  const suspicions = foreign.flatMap((item) => {
    const [mark, lastSignMs] = Array.isArray(item) ? (item as unknown[]) : [];
    const isMark = typeof mark === 'string' && mark.length > 0 && mark.length <= MARK_LENGTH_LIMIT;
    return isMark && Number.isSafeInteger(lastSignMs) ? [{ mark, lastSignMs: lastSignMs as number }] : [];
  });
  return suspicions.length === foreign.length ? suspicions : undefined;
}

/** Whether a node that lost so many links lately, and has so many left, had better blame itself (D4). */
export function isOwnFault({ lost, left }: { readonly lost: number; readonly left: number }): boolean {
  return lost >= 4 && lost > left;
}

/** D1 Whether a sign of life refutes a suspicion. @param namedMs the stamp of the latest sign of life that its author knew. */
export function isRefuted(lastSignMs: number, namedMs: number): boolean {
  return lastSignMs > namedMs;
}

/** What refutes what. */
export type RefutationRule = typeof isRefuted;

/**
 * Who misses whom, as everybody tells.
 *
 * - D1 A sign of life with a later stamp than a suspicion names refutes it, whoever hears the two in whatever order.
 * - D2 Fewer than {@link SUSPECTORS_NEEDED} different authors make nobody silent, and nobody counts twice.
 */
export class SuspicionBook {
  /** By mark, then by author. */
  readonly #byMark = new Map<string, Map<PeerId, number>>();
  readonly #byAuthor = new Map<PeerId, readonly Suspicion[]>();
  readonly #isRefuted: RefutationRule;

  constructor(rule: RefutationRule = isRefuted) {
    this.#isRefuted = rule;
  }

  /** Takes over all that an author says now. @returns the marks about which something has changed. */
  hear(author: PeerId, suspicions: readonly Suspicion[]): ReadonlySet<string> {
    const before = this.#byAuthor.get(author) ?? [];
    for (const { mark } of before) this.#drop(mark, author);
    const told = suspicions.filter(({ mark }) => mark !== markOfPeer(author)).slice(0, SUSPICIONS_LIMIT);
    for (const { mark, lastSignMs } of told) {
      const authors = this.#byMark.get(mark) ?? new Map<PeerId, number>();
      this.#byMark.set(mark, authors);
      authors.set(author, lastSignMs);
    }
    if (told.length === 0) this.#byAuthor.delete(author);
    else this.#byAuthor.set(author, told);
    return new Set([...before, ...told].map(({ mark }) => mark));
  }

  /** @param lastSignMs the stamp of its latest sign of life that is known here. */
  isMissed(peerId: PeerId, lastSignMs: number): boolean {
    let count = 0;
    for (const namedMs of this.#byMark.get(markOfPeer(peerId))?.values() ?? [])
      if (!this.#isRefuted(lastSignMs, namedMs)) count += 1; // D1
    return count >= SUSPECTORS_NEEDED; // D2
  }

  #drop(mark: string, author: PeerId): void {
    const authors = this.#byMark.get(mark);
    authors?.delete(author);
    if (authors?.size === 0) this.#byMark.delete(mark);
  }
}
