/**
 * One member of the group as a pure machine: messages, ticks and proposals go in, duties come out as {@link Ready}.
 * This file says who hears what, and how a node passes from one role to another; what it does in each role is told in
 * `candidacy.ts`, `following.ts`, `leading.ts` and `proposing.ts`.
 *
 * R9 One leader per term: only a quorum of durable votes makes one, the own vote included.
 */
import { invariant } from '../../base/assert.ts';
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import { Candidacy } from './candidacy.ts';
import { commitByMajority } from './commit-rule.ts';
import type { RaftComponents, RaftInitial } from './components.ts';
import { ConfigurationHistory } from './configuration-history.ts';
import { ElectionTimer } from './election.ts';
import { Following } from './following.ts';
import { Leadership } from './leadership.ts';
import { Leading, type LeadingComponents } from './leading.ts';
import { RaftLog } from './log.ts';
import type { ConfigurationChange } from './membership.ts';
import type { Append, Heartbeat, Message, VoteReply } from './messages.ts';
import { type RaftOptions, type ResolvedRaftOptions, resolveRaftOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { Proposing } from './proposing.ts';
import type { Hurry } from './read-index.ts';
import type { ConfigurationRefused, Persist, Proposed, ProposeRefused, RaftState, Ready } from './ready.ts';
import { Standing } from './standing.ts';
import type { SnapshotMeta } from './types.ts';

export class Raft {
  readonly #options: ResolvedRaftOptions;
  readonly #self: PeerId;
  readonly #standing: Standing;
  readonly #log: RaftLog;
  readonly #history: ConfigurationHistory;
  readonly #outbox = new Outbox();
  readonly #timer: ElectionTimer;
  readonly #candidacy: Candidacy;
  readonly #following: Following;
  readonly #proposing: Proposing;
  readonly #toLead: LeadingComponents;
  readonly #leadership = new Leadership();
  #sequence = 0;

  constructor(options: RaftOptions, components: RaftComponents, initial: RaftInitial) {
    this.#options = resolveRaftOptions(options);
    const { self, electionTicks } = this.#options;
    this.#self = self;
    const { hardState, configuration, appliedIndex } = initial;
    const standing = new Standing(hardState);
    const log = new RaftLog(components.log, { commitIndex: hardState.commitIndex, appliedIndex });
    const history = new ConfigurationHistory(components.log, configuration, log.commitIndex);
    const timer = new ElectionTimer(components.random, electionTicks);
    const parts = { standing, log, history, timer, outbox: this.#outbox };
    this.#standing = standing;
    this.#log = log;
    this.#history = history;
    this.#timer = timer;
    const hasGivenWord = components.monotonicMs !== undefined && hardState.term > 0;
    this.#candidacy = new Candidacy(self, hasGivenWord ? electionTicks : 0, parts);
    this.#following = new Following(self, parts);
    this.#proposing = new Proposing(self, parts);
    const { commitRule = commitByMajority, monotonicMs } = components;
    this.#toLead = { log, history, outbox: this.#outbox, commitRule, monotonicMs };
  }

  get self(): PeerId {
    return this.#self;
  }

  get #leading(): Leading | null {
    return this.#leadership.current;
  }

  get commitIndex(): LogIndex {
    return this.#log.commitIndex;
  }

  get state(): RaftState {
    return {
      role: this.#standing.role,
      term: this.#standing.term,
      leader: this.#standing.leader,
      commitIndex: this.#log.commitIndex,
      lastIndex: this.#log.lastIndex,
      configuration: this.#history.latest,
      hasQuorum: this.#leading?.hasQuorum ?? this.#standing.leader !== null,
      transferee: this.#leading?.transferee ?? null,
      progress: this.#leading?.progressOf() ?? new Map(),
      leaseUntilMs: this.#leading?.leaseUntilMs,
    };
  }

  /** How often the patience of this node began anew: with a word of its leader, a vote, another role. */
  get patienceCount(): number {
    return this.#timer.beginCount;
  }

  /**
   * How many ticks a driver may count together at their end, those before the last beginning of patience left out. More than one where a
   * leader was heard of lately, or nobody is in any group: what waits for a single tick is far away.
   */
  get ticksAtOnce(): number {
    const { restTicks } = this.#options;
    if (this.#leading !== null || this.#candidacy.isInGrace) return 1;
    if (this.#history.latest.voters.length === 0) return restTicks;
    return this.#standing.leader !== null && this.#timer.elapsed <= restTicks ? restTicks : 1;
  }

  tick(): void {
    this.#candidacy.tick();
    if (this.#leading !== null) {
      if (!this.#leading.tick()) this.#becomeFollower(this.#standing.term, null);
      return;
    }
    if (!this.#timer.tick()) return;
    this.#standing.leader = null;
    this.#timer.redraw();
    this.campaign();
  }

  /** Asks for an election now, a pre-vote first. No effect on a leader, or on a node without a vote. */
  campaign(): void {
    if (this.#leading !== null || !this.#candidacy.mayCampaign()) return;
    this.#startElection('preCandidate', false);
  }

  /** Takes in one message. The caller has checked its shape and that `from` really sent it; others' messages are dropped. */
  step(message: Message): void {
    if (message.to !== this.#self || message.from === this.#self) return;
    if (message.term > this.#standing.term && !this.#meetNewerTerm(message)) return;
    if (message.term < this.#standing.term) {
      this.#answerOlderTerm(message);
      return;
    }
    this.#dispatch(message);
  }

  /** Appends commands to the leader's log. They are committed when they come out of a Ready, and not before. */
  propose(payloads: readonly Uint8Array[]): Proposed | ProposeRefused {
    return this.#proposing.commands(this.#leading, payloads);
  }

  /**
   * Proposes other members. A joint configuration is left by itself, once it is committed.
   * @throws AspenError INVALID_PARAMS when a peer is named twice, CONFLICT when no voter would be left.
   */
  proposeConfiguration(change: ConfigurationChange): Proposed | ConfigurationRefused {
    return this.#proposing.change(this.#leading, change);
  }

  /** @returns false when this node does not lead; otherwise `context` comes back in `reads` or `failedReads`. */
  requestRead(context: number, hurry: Hurry = 'now'): boolean {
    this.#leading?.requestRead(context, hurry);
    return this.#leading !== null;
  }

  /** @returns false when this node does not lead or `to` has no vote. Given up after an election timeout. */
  transferLeadership(to: PeerId): boolean {
    return this.#leading?.transfer(to) ?? false;
  }

  /** @returns whether followers hold entries that are committed up to `index` and were not told; only of a leader. */
  owesCommit(index: LogIndex): boolean {
    return this.#leading?.owesCommit(index) ?? false;
  }

  /** Followers hear of what is committed with the next Ready, also where nothing else is to be said. */
  tellCommit(): void {
    this.#leading?.tellCommit();
  }

  reportUnreachable(peer: PeerId): void {
    this.#leading?.unreachable(peer);
  }

  reportSnapshot(peer: PeerId, result: { readonly index: LogIndex } | 'failed'): void {
    this.#leading?.snapshotDone(peer, result);
  }

  hasReady(): boolean {
    this.#leading?.replicate();
    return (
      this.#standing.isNew ||
      this.#log.hasWrite ||
      this.#log.hasCommitted ||
      this.#outbox.hasMessages ||
      this.#leadership.hasNews
    );
  }

  takeReady(): Ready {
    this.#leading?.replicate();
    this.#sequence += 1;
    const persist = this.#takePersist();
    const { send, sendAfterPersist } = this.#outbox.take(this.#sequence, persist !== null);
    return {
      sequence: this.#sequence,
      persist,
      send,
      sendAfterPersist,
      commit: this.#log.takeCommitted(this.#options.applyBytesLimit),
      reads: this.#leadership.takeReads(),
      failedReads: this.#leadership.takeFailedReads(),
      snapshotTo: this.#leading?.takeSnapshotTo() ?? [],
      leadership: this.#leadership.takeChange(),
    };
  }

  /**
   * Everything in the Readies up to `sequence` is durable, the writes of earlier ones included. Called for Readies that
   * carry something to persist; for one without, a call would vouch for earlier writes that may still be on their way.
   */
  persisted(sequence: number): void {
    invariant(
      sequence <= this.#sequence,
      () => `Ready ${sequence} was never handed out, only ${this.#sequence}`,
    );
    this.#log.persisted(sequence);
    this.#outbox.persisted(sequence);
    if (this.#standing.isOwnVotePersisted(sequence)) this.#count(this.#self, true); // R9
    this.#advanceCommit();
  }

  /** The driver has applied everything up to `index`. */
  applied(index: LogIndex): void {
    invariant(
      index <= this.#log.commitIndex,
      () => `applied ${index} must be committed, commit index ${this.#log.commitIndex}`,
    );
  }

  /**
   * To be asked right before a received snapshot is written (R10). On true, appends are ignored until `installSnapshot` or
   * `abandonSnapshot`, so that nothing is acknowledged which the snapshot would then wipe out.
   */
  beginSnapshot(meta: SnapshotMeta): boolean {
    if (this.#leading !== null || !this.#following.needsSnapshot(meta)) return false;
    if (this.#standing.role !== 'follower') this.#becomeFollower(this.#standing.term, null);
    this.#following.awaitSnapshot();
    return true;
  }

  abandonSnapshot(): void {
    this.#following.abandonSnapshot();
  }

  /** The snapshot is durable in place of log and state. All earlier Readies were written before it. */
  installSnapshot(meta: SnapshotMeta): void {
    this.#following.snapshotInstalled(meta);
    if (this.#leading === null) this.#timer.restart();
  }

  // ---- terms and roles

  /** @returns false when the message must not be looked at any further. */
  #meetNewerTerm(message: Message): boolean {
    if (message.type === 'preVote' || message.type === 'vote') {
      if (!message.isTransfer && this.#candidacy.isLoyal()) return false; // R13
      if (message.type === 'preVote') {
        this.#candidacy.answer(message);
        return false;
      }
    }
    if (message.type === 'preVoteReply' && message.isGranted) {
      const isAwaited = this.#standing.role === 'preCandidate' && message.term === this.#standing.term + 1;
      if (isAwaited) this.#count(message.from, true);
      return false;
    }
    const isLeaders = message.type === 'append' || message.type === 'heartbeat';
    this.#becomeFollower(message.term, isLeaders ? message.from : null);
    return true;
  }

  /** Whoever is behind in terms learns of ours; else a node with a newer term could never rejoin. */
  #answerOlderTerm(message: Message): void {
    if (message.type === 'preVote') this.#candidacy.refuse(message);
    const isLeaders = message.type === 'append' || message.type === 'heartbeat';
    if (isLeaders) this.#following.refuseOlderTerm(message.from);
  }

  #becomeFollower(term: Term, leader: PeerId | null): void {
    this.#leadership.end();
    if (term !== this.#standing.term) this.#standing.enterTerm(term, null);
    this.#standing.role = 'follower';
    this.#standing.leader = leader;
    this.#standing.forgetOwnVote();
    this.#timer.redraw();
  }

  #startElection(role: 'preCandidate' | 'candidate', isTransfer: boolean): void {
    this.#candidacy.begin(role, isTransfer);
    if (role === 'preCandidate') this.#count(this.#self, true);
  }

  #count(peer: PeerId, isGranted: boolean): void {
    const outcome = this.#candidacy.record(peer, isGranted);
    if (outcome === 'lost') this.#becomeFollower(this.#standing.term, null);
    if (outcome !== 'won') return;
    if (this.#standing.role === 'preCandidate') this.#startElection('candidate', false);
    else this.#becomeLeader();
  }

  #becomeLeader(): void {
    const standing = this.#standing;
    invariant(standing.role === 'candidate', () => `R9: only a candidate can win, not a ${standing.role}`);
    standing.role = 'leader';
    standing.leader = this.#self;
    standing.forgetOwnVote(); // others' votes sufficed before this disk told of the own one
    const leading = new Leading(standing.term, this.#options, this.#toLead);
    this.#leadership.begin(leading);
    this.#proposing.beginTerm(leading);
  }

  // ---- messages of the own term

  #dispatch(message: Message): void {
    switch (message.type) {
      case 'preVote':
      case 'vote':
        this.#candidacy.answer(message);
        break;
      case 'preVoteReply':
      case 'voteReply':
        this.#onVoteReply(message);
        break;
      case 'append':
      case 'heartbeat':
        this.#onLeader(message);
        break;
      case 'appendAccepted':
        if (this.#leading?.onAccepted(message)) this.#advanceCommit();
        break;
      case 'appendRejected':
        this.#leading?.onRejected(message);
        break;
      case 'heartbeatReply':
        this.#leading?.onHeartbeatReply(message);
        break;
      case 'timeoutNow':
        if (this.#standing.role === 'follower' && this.#candidacy.mayCampaign())
          this.#startElection('candidate', true);
        break;
    }
  }

  #onVoteReply(reply: VoteReply): void {
    const awaited = reply.type === 'voteReply' ? 'candidate' : 'preCandidate';
    if (this.#standing.role !== awaited) return;
    if (reply.type === 'preVoteReply' && reply.isGranted) return; // for an earlier pre-election, of the term reached since
    this.#count(reply.from, reply.isGranted);
  }

  #onLeader(message: Append | Heartbeat): void {
    if (this.#leading !== null) return;
    const { term, role } = this.#standing;
    if (role !== 'follower') this.#becomeFollower(term, message.from);
    this.#standing.leader = message.from;
    this.#timer.restart();
    if (message.type === 'heartbeat') this.#following.onHeartbeat(message);
    else this.#following.onAppend(message);
  }

  #advanceCommit(): void {
    const leading = this.#leading;
    if (leading === null || !leading.advanceCommit()) return;
    if (!this.#proposing.afterCommit(leading)) return;
    leading.replicate();
    leading.handOverToBest();
    this.#becomeFollower(this.#standing.term, null);
  }

  // ---- duties

  #takePersist(): Persist | null {
    const write = this.#log.takeWrite(this.#sequence);
    const hardState = this.#standing.takeHardState(this.#sequence, this.#log, write !== null);
    if (write === null && hardState === null) return null;
    return { hardState, truncateFrom: write?.truncateFrom ?? null, entries: write?.entries ?? [] };
  }
}
