import type { Clock, LogIndex, PeerId, Timer } from '../base/index.ts';
import type { RaftState } from './raft/index.ts';

/** Longest an acknowledgment waits for a standby. Unit: ms. */
const WAIT_LIMIT_MS = 250;

interface Held {
  readonly index: LogIndex;
  readonly untilMs: number;
  readonly release: () => void;
}

/**
 * Holds acknowledgments back where the group has a single voter, until a second disk has what they acknowledge.
 *
 * - D1 It is a courtesy, never a condition: what is committed is acknowledged after {@link WAIT_LIMIT_MS} at the latest, and at once when
 *   no standby follows.
 * - D2 Acknowledgments leave in the order of the log.
 * - D3 A standby that kept one waiting in vain is not waited for before it has caught up with that.
 */
export class SecondDisk implements Disposable {
  readonly #clock: Clock;
  readonly #state: () => RaftState;
  readonly #self: PeerId;
  #held: Held[] = [];
  #timer: Timer | undefined;
  /** D3 */
  #notBefore = 0 as LogIndex;

  constructor(self: PeerId, clock: Clock, state: () => RaftState) {
    this.#self = self;
    this.#clock = clock;
    this.#state = state;
  }

  /** Calls `release` when the entry at `index` may be acknowledged: now, or later. */
  hold(index: LogIndex, release: () => void): void {
    const matched = furthestStandby(this.#self, this.#state());
    if (matched === undefined || matched >= index || matched < this.#notBefore) {
      this.advance();
      if (this.#held.length === 0) {
        release();
        return;
      }
    }
    this.#held.push({ index, untilMs: this.#clock.monotonicMs() + WAIT_LIMIT_MS, release });
    this.#arm();
  }

  /** To be called when something was heard from a standby, or the configuration changed. */
  advance(): void {
    if (this.#held.length === 0) return;
    const matched = furthestStandby(this.#self, this.#state());
    const stays = matched === undefined ? -1 : this.#held.findIndex(({ index }) => index > matched);
    this.#release(stays === -1 ? this.#held.length : stays);
  }

  /** All that is held is committed, and is acknowledged now. */
  [Symbol.dispose](): void {
    this.#release(this.#held.length);
    this.#notBefore = 0 as LogIndex;
  }

  #release(count: number): void {
    if (count === 0) return;
    const free = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    this.#arm();
    for (const { release } of free) release();
  }

  #arm(): void {
    const [first] = this.#held;
    if (first === undefined) {
      this.#timer?.cancel();
      this.#timer = undefined;
    } else if (this.#timer === undefined) {
      const waitMs = Math.max(0, first.untilMs - this.#clock.monotonicMs());
      this.#timer = this.#clock.setTimer(waitMs, () => this.#giveUp());
    }
  }

  /** D1, D3 */
  #giveUp(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    const last = this.#held.findLast(({ untilMs }) => untilMs <= nowMs);
    if (last === undefined) this.#arm();
    else {
      this.#notBefore = (this.#held.at(-1) as Held).index;
      this.#release(this.#held.length);
    }
  }
}

/** @returns how far the best standby is; undefined where there are other voters to count on, or nobody follows. */
function furthestStandby(self: PeerId, { role, configuration, progress }: RaftState): LogIndex | undefined {
  const { voters, outgoing, learners } = configuration;
  if (role !== 'leader' || voters.length !== 1 || voters[0] !== self || outgoing.length > 0) return undefined;
  let furthest: LogIndex | undefined;
  for (const learner of learners) {
    const known = progress.get(learner);
    if (known === undefined || known.mode !== 'replicate' || !known.isRecentlyActive) continue;
    if (furthest === undefined || known.matchIndex > furthest) furthest = known.matchIndex;
  }
  return furthest;
}

/** @returns disks that hold all that was acknowledged, the leader's included. */
export function countDisks({ progress, commitIndex }: RaftState): number {
  return 1 + [...progress.values()].filter(({ matchIndex }) => matchIndex >= commitIndex).length;
}
