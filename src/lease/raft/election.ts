import type { PeerId, Term } from '../../base/brand.ts';
import { type Random, randomInt } from '../../base/random.ts';
import type { RaftLog } from './log.ts';
import type { VoteRequest } from './messages.ts';
import { type VoteOutcome, voteOutcome } from './quorum.ts';
import type { Configuration } from './types.ts';

/** Counts ticks without a sign of a leader. Every election draws its own patience, so that rivals seldom collide (paper, 5.2). */
export class ElectionTimer {
  readonly #random: Random;
  readonly #electionTicks: number;
  #elapsed = 0;
  #patience = 0;
  #beginCount = 0;

  constructor(random: Random, electionTicks: number) {
    this.#random = random;
    this.#electionTicks = electionTicks;
    this.redraw();
  }

  /** A leader was heard of recently enough that nobody may unseat it. */
  get isLeaderFresh(): boolean {
    return this.#elapsed < this.#electionTicks;
  }

  /** Ticks since patience began anew. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** How often patience began anew. */
  get beginCount(): number {
    return this.#beginCount;
  }

  /** Starts over with a newly drawn patience: `electionTicks` to twice that. */
  redraw(): void {
    this.restart();
    this.#patience = randomInt(this.#random, { from: this.#electionTicks, to: 2 * this.#electionTicks });
  }

  restart(): void {
    this.#elapsed = 0;
    this.#beginCount += 1;
  }

  /** @returns whether patience ran out. */
  tick(): boolean {
    this.#elapsed += 1;
    return this.#elapsed >= this.#patience;
  }
}

/** The answers of one (pre-)election, each peer's first one. */
export class Ballot {
  readonly #votes = new Map<PeerId, boolean>();

  record(peer: PeerId, isGranted: boolean): void {
    if (!this.#votes.has(peer)) this.#votes.set(peer, isGranted);
  }

  outcome(configuration: Configuration): VoteOutcome {
    return voteOutcome(configuration, (peer) => this.#votes.get(peer));
  }
}

export interface Voter {
  readonly term: Term;
  readonly votedFor: PeerId | null;
  readonly leader: PeerId | null;
  readonly log: RaftLog;
}

/**
 * R4 At most one vote per term, and only for a log at least as up to date as one's own (paper, 5.2 and 5.4.1).
 * A pre-vote promises nothing: it may be given for any later term. Learners vote too: one may have been promoted
 * without knowing it yet, and the candidate counts voters only.
 */
export function mayVoteFor(voter: Voter, request: VoteRequest): boolean {
  const { lastIndex, lastTerm } = voter.log;
  const isUpToDate =
    request.lastTerm > lastTerm || (request.lastTerm === lastTerm && request.lastIndex >= lastIndex);
  if (!isUpToDate) return false;
  if (request.type === 'preVote' && request.term > voter.term) return true;
  if (voter.votedFor !== null) return voter.votedFor === request.from;
  return voter.leader === null;
}
