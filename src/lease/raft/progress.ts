import type { LogIndex } from '../../base/brand.ts';
import { AppendWindow, type AppendWindowLimits } from './append-window.ts';
import { logIndex } from './positions.ts';

/**
 * `probe`: one append at a time until the logs are known to agree; `replicate`: a pipeline of appends;
 * `snapshot`: the peer lacks entries that are compacted away, and the driver streams it a snapshot.
 */
export type ProgressMode = 'probe' | 'replicate' | 'snapshot';

/** What a leader knows about one peer. */
export class Progress {
  mode: ProgressMode = 'probe';
  /** Durable at the peer and equal to the leader's log. */
  matchIndex: LogIndex = logIndex(0);
  nextIndex: LogIndex;
  /** Tick of the peer's last message; null while it was never heard of. */
  heardAtTick: number | null = null;
  /** Highest read round the peer has echoed. */
  ackedRound = 0;
  /** The peer should be asked once more, though there may be nothing new to send: an append may have been lost. */
  isNudged = false;
  #nudgedAtTick = -1;
  /** In `probe`: one append is on its way. */
  isPaused = false;
  #toldCommit = 0;
  readonly #window: AppendWindow;

  constructor(nextIndex: number, limits: AppendWindowLimits) {
    this.nextIndex = logIndex(nextIndex);
    this.#window = new AppendWindow(limits);
  }

  get isWindowFull(): boolean {
    return this.#window.isFull;
  }

  /** @returns whether an append may leave now; an empty one only where a commit is to be told, or the peer to be asked. */
  canSend(lastIndex: number, commitIndex: number, mayTell: boolean): boolean {
    if (this.mode === 'snapshot') return false;
    if (this.mode === 'probe') return !this.isPaused;
    if (this.isNudged) return true;
    if (this.nextIndex <= lastIndex) return !this.isWindowFull;
    return mayTell && this.owesCommit(commitIndex);
  }

  /** Whether it holds entries that are committed and does not know it. */
  owesCommit(commitIndex: number): boolean {
    return this.mode === 'replicate' && this.#toldCommit < Math.min(commitIndex, this.nextIndex - 1);
  }

  /** An append of entries up to `lastSent` is on its way; `bytes` 0 for one that only tells the commit index. */
  onSent({ lastSent, bytes, commitIndex }: { lastSent: number; bytes: number; commitIndex: number }): void {
    this.isNudged = false;
    this.#toldCommit = Math.min(commitIndex, lastSent);
    if (this.mode === 'probe') {
      this.isPaused = true;
      return;
    }
    this.nextIndex = logIndex(lastSent + 1);
    if (bytes > 0) this.#window.sent(lastSent, bytes);
  }

  /** @returns whether anything became known that was not before. */
  onAccepted(matchIndex: LogIndex): boolean {
    const isNews = matchIndex > this.matchIndex;
    if (isNews) this.matchIndex = matchIndex;
    this.nextIndex = logIndex(Math.max(this.nextIndex, this.matchIndex + 1));
    this.#window.arrived(matchIndex);
    if (this.mode === 'probe' && matchIndex >= this.matchIndex) this.replicate();
    return isNews;
  }

  /**
   * @param hintIndex where the logs may agree, already compared with the leader's own terms.
   * @returns false for an answer to something that was settled meanwhile. A peer that rejects what it once acknowledged has lost its disk's
   *   word: it is asked again with the next heartbeat, not at once and for ever.
   */
  onRejected(rejectedIndex: number, hintIndex: number): boolean {
    if (rejectedIndex <= this.matchIndex) return false;
    if (this.mode === 'replicate') {
      this.probeFrom(this.matchIndex + 1);
    } else if (this.mode === 'snapshot' || this.nextIndex - 1 !== rejectedIndex) {
      return false;
    }
    const next = Math.min(rejectedIndex, hintIndex + 1);
    this.probeFrom(Math.max(next, this.matchIndex + 1));
    return true;
  }

  /** At most once a tick: heartbeats of read rounds may be answered much more often. */
  nudge(tick: number): void {
    if (this.#nudgedAtTick === tick) return;
    this.#nudgedAtTick = tick;
    this.isNudged = true;
  }

  replicate(): void {
    this.mode = 'replicate';
    this.nextIndex = logIndex(this.matchIndex + 1);
    this.#window.clear();
    this.isPaused = false;
  }

  probeFrom(nextIndex: number): void {
    this.mode = 'probe';
    this.nextIndex = logIndex(Math.max(nextIndex, this.matchIndex + 1));
    this.#toldCommit = 0;
    this.#window.clear();
    this.isPaused = false;
  }

  awaitSnapshot(): void {
    this.mode = 'snapshot';
    this.#window.clear();
    this.isNudged = false;
  }
}
