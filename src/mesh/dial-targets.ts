import type { PeerId, Timer } from '../base/index.ts';
import type { CandidateBook } from '../discovery/index.ts';

/** What is known about reaching one peer. */
export interface Target {
  failures: number;
  isDialing: boolean;
  isFamiliar: boolean;
  /** Others are reached over it (L3). */
  isRelay: boolean;
  /** When somebody here asked for it last, by the monotonic clock; undefined when nobody did. */
  neededAtMs: number | undefined;
  timer: Timer | undefined;
}

/** Targets that are kept in any case, in books that are smaller. */
const LEAST_KEPT = 64;

/** The peers that this node tries to reach, or once did. */
export class DialTargets {
  readonly #book: CandidateBook;
  readonly #targets = new Map<PeerId, Target>();

  constructor(book: CandidateBook) {
    this.#book = book;
  }

  all(): Iterable<readonly [PeerId, Target]> {
    return this.#targets;
  }

  find(peerId: PeerId): Target | undefined {
    return this.#targets.get(peerId);
  }

  /** Made when there is none. */
  of(peerId: PeerId): Target {
    const known = this.#targets.get(peerId);
    if (known !== undefined) return known;
    this.#forgetThoseOutOfBook();
    const target: Target = {
      failures: 0,
      isDialing: false,
      isFamiliar: false,
      isRelay: false,
      neededAtMs: undefined,
      timer: undefined,
    };
    this.#targets.set(peerId, target);
    return target;
  }

  forget(peerId: PeerId): void {
    this.#targets.get(peerId)?.timer?.cancel();
    this.#targets.delete(peerId);
  }

  clear(): void {
    for (const target of this.#targets.values()) target.timer?.cancel();
    this.#targets.clear();
  }

  /** The book is bounded, and so are the targets. */
  #forgetThoseOutOfBook(): void {
    if (this.#targets.size < 2 * Math.max(LEAST_KEPT, this.#book.peers().length)) return;
    const inBook = new Set(this.#book.peers());
    for (const [peerId, target] of this.#targets)
      if (!inBook.has(peerId) && !target.isDialing) this.forget(peerId);
  }
}
