/**
 * What a node stands for: its term, its vote in it, its role, and whom it follows.
 *
 * R8 The term never goes back, and a vote once given in a term is not changed.
 */
import { invariant } from '../../base/assert.ts';
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import type { RaftLog } from './log.ts';
import type { RaftRole } from './ready.ts';
import type { HardState } from './types.ts';

export class Standing {
  role: RaftRole = 'follower';
  leader: PeerId | null = null;
  #term: Term;
  #votedFor: PeerId | null;
  #isNew = false;
  #persistedCommit: LogIndex;
  /** Sequence of the write that holds this candidate's own vote. */
  #ownVoteSequence: number | null = null;

  constructor({ term, votedFor, commitIndex }: HardState) {
    this.#term = term;
    this.#votedFor = votedFor;
    this.#persistedCommit = commitIndex;
  }

  get term(): Term {
    return this.#term;
  }

  get votedFor(): PeerId | null {
    return this.#votedFor;
  }

  /** Term or vote were not handed out to be written yet. */
  get isNew(): boolean {
    return this.#isNew;
  }

  enterTerm(term: Term, votedFor: PeerId | null): void {
    invariant(term > this.#term, () => `R8: term ${term} must be above ${this.#term}`);
    this.#term = term;
    this.#votedFor = votedFor;
    this.#isNew = true;
  }

  /** The caller has asked {@link mayVoteFor}. */
  voteFor(peer: PeerId): void {
    this.#isNew ||= this.#votedFor === null;
    this.#votedFor = peer;
  }

  /** Whatever was voted for oneself does not count any more, or not again. */
  forgetOwnVote(): void {
    this.#ownVoteSequence = null;
  }

  /** @returns whether the own vote became durable just now: it then counts like any other (R9). */
  isOwnVotePersisted(sequence: number): boolean {
    if (this.#ownVoteSequence === null || this.#ownVoteSequence > sequence) return false;
    this.#ownVoteSequence = null;
    return true;
  }

  /** @returns what to write along with entries, if there are any; null when nothing is worth it. A commit index alone is not. */
  takeHardState(sequence: number, log: RaftLog, hasEntries: boolean): HardState | null {
    const commitIndex = log.commitIndexToPersist;
    if (!this.#isNew && !(hasEntries && commitIndex > this.#persistedCommit)) return null;
    if (this.role === 'candidate' && this.#isNew) this.#ownVoteSequence = sequence;
    this.#isNew = false;
    this.#persistedCommit = commitIndex;
    return { term: this.#term, votedFor: this.#votedFor, commitIndex };
  }
}
