/**
 * One member of the group as a pure machine: messages, ticks and proposals go in, duties come out as {@link Ready}.
 *
 * R8 The term never goes back, and a vote once given in a term is not changed.
 * R9 One leader per term: only a quorum of durable votes makes one, the own vote included.
 * R13 Whoever hears a leader helps nobody to unseat it. So a node that lost only the leader, or returns after it was cut off, costs no
 *     election, and a leader that was cut off costs one.
 */
import { invariant } from '../../base/assert.ts';
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import type { Random } from '../../base/random.ts';
import { type CommitRule, commitByMajority } from './commit-rule.ts';
import { ConfigurationHistory } from './configuration-history.ts';
import { Ballot, ElectionTimer, mayVoteFor } from './election.ts';
import { Leading } from './leading.ts';
import { RaftLog } from './log.ts';
import { type ConfigurationChange, changed, isJoint, isVoter, left, membersOf } from './membership.ts';
import type { Append, Heartbeat, Message, VoteReply, VoteRequest } from './messages.ts';
import { type RaftOptions, type ResolvedRaftOptions, resolveRaftOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { logIndex, termOf } from './positions.ts';
import type { ConfirmedRead } from './read-index.ts';
import type {
  ConfigurationRefused,
  Persist,
  Proposed,
  ProposeRefusal,
  ProposeRefused,
  RaftRole,
  RaftState,
  Ready,
} from './ready.ts';
import { acceptAppend } from './replication.ts';
import type { Configuration, Entry, EntryKind, HardState, LogReader, SnapshotMeta } from './types.ts';

export interface RaftComponents {
  readonly random: Random;
  readonly log: LogReader;
  /** What a leader takes for committed. @default commitByMajority */
  readonly commitRule?: CommitRule;
  /**
   * The own clock, which never goes back and counts sleep: given, a leader holds a lease. All members of a group must agree on whether
   * leases are held, since each has to keep its word after a restart (R12). Unit: ms. @default no lease
   */
  readonly monotonicMs?: () => number;
}

export interface RaftInitial {
  readonly hardState: HardState;
  /** The latest one in the durable log, committed or not, else the snapshot's. */
  readonly configuration: Configuration;
  readonly appliedIndex: LogIndex;
}

const NO_PAYLOAD = new Uint8Array(0);

export class Raft {
  readonly #options: ResolvedRaftOptions;
  readonly #self: PeerId;
  readonly #log: RaftLog;
  readonly #history: ConfigurationHistory;
  readonly #outbox = new Outbox();
  readonly #timer: ElectionTimer;
  readonly #commitRule: CommitRule;
  readonly #monotonicMs: (() => number) | undefined;
  /** R12: ticks in which a restarted node keeps the word that it may have given before. */
  #graceTicks: number;
  #term: Term;
  #votedFor: PeerId | null;
  #isHardStateNew = false;
  #persistedCommit: LogIndex;
  #role: RaftRole = 'follower';
  #leader: PeerId | null = null;
  #ballot = new Ballot();
  /** Sequence of the write that holds this candidate's own vote. */
  #ownVoteSequence: number | null = null;
  #leading: Leading | null = null;
  /** The leadership that the driver was told of. */
  #toldLeading: Leading | null = null;
  /** Confirmed before the leadership ended, and still to be handed out. */
  #confirmedReads: ConfirmedRead[] = [];
  #failedReads: number[] = [];
  #sequence = 0;

  constructor(options: RaftOptions, components: RaftComponents, initial: RaftInitial) {
    this.#options = resolveRaftOptions(options);
    this.#self = this.#options.self;
    const { hardState, configuration, appliedIndex } = initial;
    this.#term = hardState.term;
    this.#votedFor = hardState.votedFor;
    this.#persistedCommit = hardState.commitIndex;
    this.#log = new RaftLog(components.log, { commitIndex: hardState.commitIndex, appliedIndex });
    this.#history = new ConfigurationHistory(components.log, configuration, this.#log.commitIndex);
    this.#timer = new ElectionTimer(components.random, this.#options.electionTicks);
    this.#commitRule = components.commitRule ?? commitByMajority;
    this.#monotonicMs = components.monotonicMs;
    const hasGivenWord = components.monotonicMs !== undefined && hardState.term > 0;
    this.#graceTicks = hasGivenWord ? this.#options.electionTicks : 0;
  }

  get self(): PeerId {
    return this.#self;
  }

  get state(): RaftState {
    return {
      role: this.#role,
      term: this.#term,
      leader: this.#leader,
      commitIndex: this.#log.commitIndex,
      lastIndex: this.#log.lastIndex,
      configuration: this.#history.latest,
      hasQuorum: this.#leading?.hasQuorum ?? this.#leader !== null,
      transferee: this.#leading?.transferee ?? null,
      progress: this.#leading?.progressOf() ?? new Map(),
      leaseUntilMs: this.#leading?.leaseUntilMs,
    };
  }

  tick(): void {
    if (this.#graceTicks > 0) this.#graceTicks -= 1;
    if (this.#leading !== null) {
      if (!this.#leading.tick()) this.#becomeFollower(this.#term, null);
      return;
    }
    if (!this.#timer.tick()) return;
    this.#leader = null;
    this.#timer.redraw();
    this.campaign();
  }

  /** Asks for an election now, a pre-vote first. No effect on a leader, or on a node without a vote. */
  campaign(): void {
    if (this.#leading !== null || !this.#mayCampaign()) return;
    this.#startElection('preCandidate', false);
  }

  /** Takes in one message. The caller has checked its shape and that `from` really sent it; others' messages are dropped. */
  step(message: Message): void {
    if (message.to !== this.#self || message.from === this.#self) return;
    if (message.term > this.#term && !this.#meetNewerTerm(message)) return;
    if (message.term < this.#term) {
      this.#answerOlderTerm(message);
      return;
    }
    this.#dispatch(message);
  }

  /** Appends commands to the leader's log. They are committed when they come out of a Ready, and not before. */
  propose(payloads: readonly Uint8Array[]): Proposed | ProposeRefused {
    const refused = this.#refusal();
    if (refused !== null) return { refused };
    invariant(payloads.length > 0, 'a proposal must hold at least one payload');
    return this.#append(payloads.map((payload) => ({ kind: 'command', payload })));
  }

  /**
   * Proposes other members. A joint configuration is left by itself, once it is committed.
   * @throws AspenError INVALID_PARAMS when a peer is named twice, CONFLICT when no voter would be left.
   */
  proposeConfiguration(change: ConfigurationChange): Proposed | ConfigurationRefused {
    const refused = this.#refusal();
    if (refused !== null && refused !== 'too-much-uncommitted') return { refused };
    if (this.#isChangePending()) return { refused: 'change-pending' };
    const configuration = changed(this.#history.latest, change);
    if (configuration === undefined) return { refused: 'no-change' };
    return this.#append([{ kind: 'configuration', payload: NO_PAYLOAD, configuration }]);
  }

  /** @returns false when this node does not lead; otherwise `context` comes back in `reads` or `failedReads`. */
  requestRead(context: number): boolean {
    this.#leading?.requestRead(context);
    return this.#leading !== null;
  }

  /** @returns false when this node does not lead or `to` has no vote. Given up after an election timeout. */
  transferLeadership(to: PeerId): boolean {
    return this.#leading?.transfer(to) ?? false;
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
      this.#isHardStateNew ||
      this.#log.hasWrite ||
      this.#log.hasCommitted ||
      this.#outbox.hasMessages ||
      this.#confirmedReads.length > 0 ||
      this.#failedReads.length > 0 ||
      this.#toldLeading !== this.#leading ||
      (this.#leading?.hasDuties ?? false)
    );
  }

  takeReady(): Ready {
    this.#leading?.replicate();
    this.#sequence += 1;
    const persist = this.#takePersist();
    const { send, sendAfterPersist } = this.#outbox.take(this.#sequence, persist !== null);
    const failedReads = this.#failedReads;
    this.#failedReads = [];
    return {
      sequence: this.#sequence,
      persist,
      send,
      sendAfterPersist,
      commit: this.#log.takeCommitted(this.#options.applyBytesLimit),
      reads: this.#takeReads(),
      failedReads,
      snapshotTo: this.#leading?.takeSnapshotTo() ?? [],
      leadership: this.#takeLeadership(),
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
    if (this.#ownVoteSequence !== null && this.#ownVoteSequence <= sequence) {
      this.#ownVoteSequence = null;
      this.#count(this.#self, true); // R9
    }
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
   * To be asked right before a received snapshot is written. On true, appends are ignored until `installSnapshot` or
   * `abandonSnapshot`, so that nothing is acknowledged which the snapshot would then wipe out.
   * R10 A snapshot never replaces a log that holds what the snapshot stands for: entries after it may be acknowledged.
   */
  beginSnapshot(meta: SnapshotMeta): boolean {
    if (this.#leading !== null || this.#log.isSuspended) return false;
    if (meta.index <= this.#log.commitIndex) return false;
    if (this.#log.matches(meta.index, meta.term)) {
      this.#commitTo(meta.index);
      return false;
    }
    if (this.#role !== 'follower') this.#becomeFollower(this.#term, null);
    this.#log.isSuspended = true;
    this.#outbox.dropGated();
    return true;
  }

  abandonSnapshot(): void {
    this.#log.isSuspended = false;
  }

  /** The snapshot is durable in place of log and state. All earlier Readies were written before it. */
  installSnapshot(meta: SnapshotMeta): void {
    invariant(
      this.#log.isSuspended || this.#log.lastIndex <= meta.index,
      () => `R10: beginSnapshot must allow ${meta.index}, the log ends at ${this.#log.lastIndex}`,
    );
    this.#log.restart(meta);
    this.#history.restart(meta.configuration);
    if (this.#leading === null) this.#timer.restart();
  }

  // ---- terms and roles

  /** @returns false when the message must not be looked at any further. */
  #meetNewerTerm(message: Message): boolean {
    if (message.type === 'preVote' || message.type === 'vote') {
      if (!message.isTransfer && this.#isLoyal()) return false;
      if (message.type === 'preVote') {
        this.#answerVote(message);
        return false;
      }
    }
    if (message.type === 'preVoteReply' && message.isGranted) {
      if (this.#role === 'preCandidate' && message.term === this.#term + 1) this.#count(message.from, true);
      return false;
    }
    const isLeaders = message.type === 'append' || message.type === 'heartbeat';
    this.#becomeFollower(message.term, isLeaders ? message.from : null);
    return true;
  }

  /** R13: a leader that was heard of lately, or that this node is, is not to be unseated (dissertation, section 4.2.3). */
  #isLoyal(): boolean {
    if (this.#leading !== null || this.#graceTicks > 0) return true;
    return this.#leader !== null && this.#timer.isLeaderFresh;
  }

  /** Whoever leads an older term learns of ours and steps down; else a node with a newer term could never rejoin. */
  #answerOlderTerm(message: Message): void {
    if (message.type === 'append' || message.type === 'heartbeat') {
      this.#reject(message.from, { rejectedIndex: logIndex(0), hintIndex: logIndex(0), hintTerm: termOf(0) });
    } else if (message.type === 'preVote') {
      this.#outbox.sendAfterPersist({
        type: 'preVoteReply',
        from: this.#self,
        to: message.from,
        term: this.#term,
        isGranted: false,
      });
    }
  }

  #becomeFollower(term: Term, leader: PeerId | null): void {
    this.#confirmedReads.push(...(this.#leading?.takeReads() ?? []));
    this.#failedReads.push(...(this.#leading?.failReads() ?? []));
    this.#leading = null;
    if (term !== this.#term) this.#enterTerm(term, null);
    this.#role = 'follower';
    this.#leader = leader;
    this.#ownVoteSequence = null;
    this.#timer.redraw();
  }

  #enterTerm(term: Term, votedFor: PeerId | null): void {
    invariant(term > this.#term, () => `R8: term ${term} must be above ${this.#term}`);
    this.#term = term;
    this.#votedFor = votedFor;
    this.#isHardStateNew = true;
  }

  /**
   * R11 A node that an uncommitted change removed campaigns until the change is committed: it may be the only one whose
   * log is long enough to win, and nobody else could then (dissertation, section 4.2.2).
   */
  #mayCampaign(): boolean {
    if (this.#log.isSuspended) return false;
    if (isVoter(this.#history.latest, this.#self)) return true;
    const previous = this.#history.previous(this.#log.commitIndex);
    return previous !== null && isVoter(previous, this.#self);
  }

  #startElection(role: 'preCandidate' | 'candidate', isTransfer: boolean): void {
    this.#role = role;
    this.#leader = null;
    this.#ballot = new Ballot();
    this.#ownVoteSequence = null;
    this.#timer.redraw();
    if (role === 'preCandidate') {
      this.#requestVotes('preVote', termOf(this.#term + 1), isTransfer);
      this.#count(this.#self, true);
    } else {
      this.#enterTerm(termOf(this.#term + 1), this.#self);
      this.#requestVotes('vote', this.#term, isTransfer);
    }
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

  #count(peer: PeerId, isGranted: boolean): void {
    this.#ballot.record(peer, isGranted);
    const outcome = this.#ballot.outcome(this.#history.latest);
    if (outcome === 'lost') this.#becomeFollower(this.#term, null);
    if (outcome !== 'won') return;
    if (this.#role === 'preCandidate') this.#startElection('candidate', false);
    else this.#becomeLeader();
  }

  #becomeLeader(): void {
    invariant(this.#role === 'candidate', () => `R9: only a candidate can win, not a ${this.#role}`);
    this.#role = 'leader';
    this.#leader = this.#self;
    this.#ownVoteSequence = null; // others' votes sufficed before this disk told of the own one
    this.#leading = new Leading(this.#term, this.#options, {
      log: this.#log,
      outbox: this.#outbox,
      history: this.#history,
      commitRule: this.#commitRule,
      monotonicMs: this.#monotonicMs,
    });
    this.#append([{ kind: 'empty', payload: NO_PAYLOAD }]);
  }

  // ---- messages of the own term

  #dispatch(message: Message): void {
    switch (message.type) {
      case 'preVote':
      case 'vote':
        this.#answerVote(message);
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
        if (this.#role === 'follower' && this.#mayCampaign()) this.#startElection('candidate', true);
        break;
    }
  }

  #answerVote(request: VoteRequest): void {
    const isGranted = mayVoteFor(
      { term: this.#term, votedFor: this.#votedFor, leader: this.#leader, log: this.#log },
      request,
    );
    if (isGranted && request.type === 'vote') {
      this.#isHardStateNew ||= this.#votedFor === null;
      this.#votedFor = request.from;
      this.#timer.restart();
    }
    this.#outbox.sendAfterPersist({
      type: request.type === 'vote' ? 'voteReply' : 'preVoteReply',
      from: this.#self,
      to: request.from,
      term: isGranted ? request.term : this.#term,
      isGranted,
    });
  }

  #onVoteReply(reply: VoteReply): void {
    const awaited = reply.type === 'voteReply' ? 'candidate' : 'preCandidate';
    if (this.#role !== awaited) return;
    if (reply.type === 'preVoteReply' && reply.isGranted) return; // for an earlier pre-election, of the term reached since
    this.#count(reply.from, reply.isGranted);
  }

  #onLeader(message: Append | Heartbeat): void {
    if (this.#leading !== null) return;
    if (this.#role !== 'follower') this.#becomeFollower(this.#term, message.from);
    this.#leader = message.from;
    this.#timer.restart();
    if (message.type === 'heartbeat') this.#onHeartbeat(message);
    else if (!this.#log.isSuspended) this.#onAppend(message);
  }

  /** The leader tells only what it knows to be durable here; a log that is shorter has lost it and commits nothing by that word. */
  #onHeartbeat({ from, commitIndex, round }: Heartbeat): void {
    if (commitIndex <= this.#log.lastIndex && !this.#log.isSuspended) this.#commitTo(commitIndex);
    this.#outbox.send({ type: 'heartbeatReply', from: this.#self, to: from, term: this.#term, round });
  }

  #onAppend(append: Append): void {
    const verdict = acceptAppend(this.#log, append);
    if (verdict.type === 'rejected') {
      this.#reject(append.from, verdict);
      return;
    }
    if (verdict.truncateFrom !== null) {
      this.#log.truncate(verdict.truncateFrom);
      this.#history.truncate(verdict.truncateFrom);
    }
    this.#log.append(verdict.entries);
    this.#history.append(verdict.entries);
    this.#commitTo(Math.min(append.commitIndex, verdict.matchIndex));
    this.#outbox.sendAfterPersist({
      type: 'appendAccepted',
      from: this.#self,
      to: append.from,
      term: this.#term,
      matchIndex: verdict.matchIndex,
    });
  }

  #reject(
    to: PeerId,
    hint: { readonly rejectedIndex: LogIndex; readonly hintIndex: LogIndex; readonly hintTerm: Term },
  ): void {
    const { rejectedIndex, hintIndex, hintTerm } = hint;
    const term = this.#term;
    this.#outbox.sendAfterPersist({
      type: 'appendRejected',
      from: this.#self,
      to,
      term,
      rejectedIndex,
      hintIndex,
      hintTerm,
    });
  }

  #commitTo(index: number): void {
    if (this.#log.commitTo(index)) this.#history.committed(this.#log.commitIndex);
  }

  // ---- leading

  #refusal(): ProposeRefusal | null {
    if (this.#leading === null) return 'not-leader';
    if (this.#leading.transferee !== null) return 'transferring';
    return this.#leading.isOverUncommittedLimit ? 'too-much-uncommitted' : null;
  }

  /** One change at a time, and none before an entry of this term is committed (the flaw of single-server changes). */
  #isChangePending(): boolean {
    if (isJoint(this.#history.latest) || this.#history.latestIndex > this.#log.commitIndex) return true;
    return !this.#leading?.hasCommittedOwnTerm;
  }

  #append(
    contents: readonly { kind: EntryKind; payload: Uint8Array; configuration?: Configuration }[],
  ): Proposed {
    const leading = this.#leading;
    invariant(leading !== null, 'only a leader appends');
    const firstIndex = logIndex(this.#log.lastIndex + 1);
    const entries: Entry[] = contents.map((content, at) => ({
      term: this.#term,
      index: logIndex(firstIndex + at),
      ...content,
    }));
    this.#log.append(entries);
    leading.appended(entries);
    if (this.#history.append(entries)) leading.membersChanged();
    return { term: this.#term, firstIndex, lastIndex: this.#log.lastIndex };
  }

  #advanceCommit(): void {
    const leading = this.#leading;
    if (leading === null || !leading.advanceCommit()) return;
    this.#history.committed(this.#log.commitIndex);
    if (this.#history.latestIndex > this.#log.commitIndex || !leading.hasCommittedOwnTerm) return;
    if (isJoint(this.#history.latest)) {
      const configuration = left(this.#history.latest);
      this.#append([{ kind: 'configuration', payload: NO_PAYLOAD, configuration }]);
    } else if (!isVoter(this.#history.latest, this.#self)) {
      leading.replicate();
      leading.handOverToBest();
      this.#becomeFollower(this.#term, null);
    }
  }

  // ---- duties

  #takeReads(): readonly ConfirmedRead[] {
    const reads = [...this.#confirmedReads, ...(this.#leading?.takeReads() ?? [])];
    this.#confirmedReads = [];
    return reads;
  }

  #takePersist(): Persist | null {
    const write = this.#log.takeWrite(this.#sequence);
    const isCommitNews = write !== null && this.#log.commitIndexToPersist > this.#persistedCommit;
    if (write === null && !this.#isHardStateNew) return null;
    const hardState = this.#isHardStateNew || isCommitNews ? this.#takeHardState() : null;
    return { hardState, truncateFrom: write?.truncateFrom ?? null, entries: write?.entries ?? [] };
  }

  #takeHardState(): HardState {
    if (this.#role === 'candidate' && this.#isHardStateNew) this.#ownVoteSequence = this.#sequence;
    this.#isHardStateNew = false;
    this.#persistedCommit = this.#log.commitIndexToPersist;
    return { term: this.#term, votedFor: this.#votedFor, commitIndex: this.#persistedCommit };
  }

  /** A leadership lost and won again between two Readies is told as both, one after the other. */
  #takeLeadership(): 'gained' | 'lost' | null {
    if (this.#toldLeading === this.#leading) return null;
    if (this.#toldLeading !== null) {
      this.#toldLeading = null;
      return 'lost';
    }
    this.#toldLeading = this.#leading;
    return 'gained';
  }
}
