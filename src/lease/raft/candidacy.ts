/**
 * Elections, as one who asks and as one who is asked.
 *
 * R11 A node that an uncommitted change removed campaigns until the change is committed.
 * R13 Whoever hears a leader helps nobody to unseat it. So a node that lost only the leader, or returns after it was cut off, costs no
 *     election, and a leader that was cut off costs one.
 */
import type { PeerId, Term } from '../../base/brand.ts';
import type { ConfigurationHistory } from './configuration-history.ts';
import { Ballot, type ElectionTimer, mayVoteFor } from './election.ts';
import type { RaftLog } from './log.ts';
import { isVoter, membersOf } from './membership.ts';
import type { VoteRequest } from './messages.ts';
import type { Outbox } from './outbox.ts';
import { termOf } from './positions.ts';
import type { VoteOutcome } from './quorum.ts';
import type { Standing } from './standing.ts';

export interface CandidacyComponents {
  readonly standing: Standing;
  readonly log: RaftLog;
  readonly history: ConfigurationHistory;
  readonly outbox: Outbox;
  readonly timer: ElectionTimer;
}

export class Candidacy {
  readonly #self: PeerId;
  readonly #standing: Standing;
  readonly #log: RaftLog;
  readonly #history: ConfigurationHistory;
  readonly #outbox: Outbox;
  readonly #timer: ElectionTimer;
  #ballot = new Ballot();
  #graceTicks: number;

  /** @param graceTicks R12: ticks in which a restarted node keeps the word that it may have given before. */
  constructor(self: PeerId, graceTicks: number, components: CandidacyComponents) {
    this.#self = self;
    this.#graceTicks = graceTicks;
    this.#standing = components.standing;
    this.#log = components.log;
    this.#history = components.history;
    this.#outbox = components.outbox;
    this.#timer = components.timer;
  }

  /** R12: whether it still keeps a word that it may have given in an earlier life. */
  get isInGrace(): boolean {
    return this.#graceTicks > 0;
  }

  tick(): void {
    if (this.#graceTicks > 0) this.#graceTicks -= 1;
  }

  /** R13: a leader that was heard of lately, or that this node is, is not to be unseated (dissertation, section 4.2.3). */
  isLoyal(): boolean {
    if (this.#standing.role === 'leader' || this.#graceTicks > 0) return true;
    return this.#standing.leader !== null && this.#timer.isLeaderFresh;
  }

  /**
   * R11: the log of a node that an uncommitted change removed may be the only one long enough to win, and nobody else could then
   * (dissertation, section 4.2.2).
   */
  mayCampaign(): boolean {
    if (this.#log.isSuspended) return false;
    if (isVoter(this.#history.latest, this.#self)) return true;
    const previous = this.#history.previous(this.#log.commitIndex);
    return previous !== null && isVoter(previous, this.#self);
  }

  begin(role: 'preCandidate' | 'candidate', isTransfer: boolean): void {
    const standing = this.#standing;
    standing.role = role;
    standing.leader = null;
    standing.forgetOwnVote();
    this.#ballot = new Ballot();
    this.#timer.redraw();
    const next = termOf(standing.term + 1);
    if (role === 'candidate') standing.enterTerm(next, this.#self);
    this.#requestVotes(role === 'candidate' ? 'vote' : 'preVote', next, isTransfer);
  }

  record(peer: PeerId, isGranted: boolean): VoteOutcome {
    this.#ballot.record(peer, isGranted);
    return this.#ballot.outcome(this.#history.latest);
  }

  answer(request: VoteRequest): void {
    const { term, votedFor, leader } = this.#standing;
    const isGranted = mayVoteFor({ term, votedFor, leader, log: this.#log }, request);
    if (isGranted && request.type === 'vote') {
      this.#standing.voteFor(request.from);
      this.#timer.restart();
    }
    this.#reply(request, isGranted, isGranted ? request.term : term);
  }

  /** Tells who asks of an older term that there is a newer one: it could never rejoin otherwise. */
  refuse(request: VoteRequest): void {
    this.#reply(request, false, this.#standing.term);
  }

  #reply({ type, from }: VoteRequest, isGranted: boolean, term: Term): void {
    this.#outbox.sendAfterPersist({
      type: type === 'vote' ? 'voteReply' : 'preVoteReply',
      from: this.#self,
      to: from,
      term,
      isGranted,
    });
  }

  #requestVotes(type: 'preVote' | 'vote', term: Term, isTransfer: boolean): void {
    const { lastIndex, lastTerm } = this.#log;
    for (const to of membersOf(this.#history.latest)) {
      if (to === this.#self || !isVoter(this.#history.latest, to)) continue;
      const request = { type, from: this.#self, to, term, lastIndex, lastTerm, isTransfer };
      if (type === 'vote') this.#outbox.sendAfterPersist(request);
      else this.#outbox.send(request);
    }
  }
}
