import type { Clock, PeerId } from '../base/index.ts';

/** What was noticed of one member as a holder of blobs. */
export interface HolderRecord {
  readonly peerId: PeerId;
  /** Chunks, manifests or sizes that were not true. */
  readonly lies: number;
  /** Times it did not answer in time. */
  readonly stalls: number;
  readonly chunks: number;
  readonly isAvoided: boolean;
}

interface Counts {
  lies: number;
  stalls: number;
  chunks: number;
  avoidedUntilMs: number;
}

/** Members remembered; the one that was noticed first is forgotten first. */
const RECORDS_LIMIT = 1_024;
/** How long a member that lied is asked for nothing. Unit: ms. */
export const LIAR_PAUSE_MS = 10 * 60_000;

/** Who keeps what it promises, over all fetches of this node. */
export class HolderBook {
  readonly #clock: Clock;
  readonly #counts = new Map<PeerId, Counts>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  lied(peerId: PeerId): void {
    const counts = this.#of(peerId);
    counts.lies += 1;
    counts.avoidedUntilMs = this.#clock.monotonicMs() + LIAR_PAUSE_MS;
  }

  stalled(peerId: PeerId): void {
    this.#of(peerId).stalls += 1;
  }

  gave(peerId: PeerId): void {
    this.#of(peerId).chunks += 1;
  }

  isAvoided(peerId: PeerId): boolean {
    const counts = this.#counts.get(peerId);
    return counts !== undefined && this.#clock.monotonicMs() < counts.avoidedUntilMs;
  }

  records(): HolderRecord[] {
    return [...this.#counts].map(([peerId, { lies, stalls, chunks }]) => ({
      peerId,
      lies,
      stalls,
      chunks,
      isAvoided: this.isAvoided(peerId),
    }));
  }

  #of(peerId: PeerId): Counts {
    let counts = this.#counts.get(peerId);
    if (counts === undefined) {
      const [oldest] = this.#counts.keys();
      if (this.#counts.size >= RECORDS_LIMIT && oldest !== undefined) this.#counts.delete(oldest);
      counts = { lies: 0, stalls: 0, chunks: 0, avoidedUntilMs: Number.NEGATIVE_INFINITY };
      this.#counts.set(peerId, counts);
    }
    return counts;
  }
}
