/**
 * What a node holds only while it leads: a view of every peer, pending reads, a transfer under way. It is made at the
 * election and thrown away with the leadership, so nothing of one term can leak into another.
 */
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import { Beats } from './beats.ts';
import type { CommitRule } from './commit-rule.ts';
import type { ConfigurationHistory } from './configuration-history.ts';
import { LeaderLease } from './leader-lease.ts';
import { type RaftLog, sizeOf } from './log.ts';
import { isVoter, membersOf } from './membership.ts';
import type { AppendAccepted, AppendRejected, HeartbeatReply } from './messages.ts';
import type { ResolvedRaftOptions } from './options.ts';
import type { Outbox } from './outbox.ts';
import { logIndex } from './positions.ts';
import { Progress } from './progress.ts';
import { agreedValue, isQuorum } from './quorum.ts';
import { type ConfirmedRead, type Hurry, ReadIndex } from './read-index.ts';
import type { PeerProgress } from './ready.ts';
import type { Entry } from './types.ts';

export interface LeadingComponents {
  readonly log: RaftLog;
  readonly outbox: Outbox;
  readonly history: ConfigurationHistory;
  readonly commitRule: CommitRule;
  /** The own clock, when this leader may hold a lease. Unit: ms. */
  readonly monotonicMs?: (() => number) | undefined;
}

export class Leading {
  readonly #term: Term;
  readonly #options: ResolvedRaftOptions;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  readonly #history: ConfigurationHistory;
  readonly #commitRule: CommitRule;
  readonly #firstOwnIndex: LogIndex;
  readonly #reads = new ReadIndex();
  readonly #beats: Beats;
  readonly #lease: LeaderLease | undefined;
  #confirmed: ConfirmedRead[] = [];
  #snapshotTo: PeerId[] = [];
  #progress = new Map<PeerId, Progress>();
  #ticks = 0;
  #transferee: PeerId | null = null;
  #transferUntilTick = 0;
  #uncommittedBytes = 0;
  #mayTell = false;

  constructor(term: Term, options: ResolvedRaftOptions, components: LeadingComponents) {
    this.#term = term;
    this.#options = options;
    this.#log = components.log;
    this.#outbox = components.outbox;
    this.#history = components.history;
    this.#commitRule = components.commitRule;
    this.#firstOwnIndex = logIndex(components.log.lastIndex + 1);
    this.#beats = new Beats(options);
    const { monotonicMs } = components;
    this.#lease = monotonicMs === undefined ? undefined : new LeaderLease(options, monotonicMs);
    this.membersChanged();
    for (const progress of this.#progress.values()) progress.heardAtTick = null;
  }

  get transferee(): PeerId | null {
    return this.#transferee;
  }

  /**
   * Until then no other node can lead, if clocks keep to the drift bound: reads may be served from what is applied up to the commit
   * index. Undefined without such a lease, and before an entry of the own term is committed. Unit: ms on the own clock.
   */
  get leaseUntilMs(): number | undefined {
    return this.hasCommittedOwnTerm ? this.#lease?.untilMs : undefined;
  }

  /** Before it, the leader does not know what is committed (paper, section 8). */
  get hasCommittedOwnTerm(): boolean {
    return this.#log.commitIndex >= this.#firstOwnIndex;
  }

  get isOverUncommittedLimit(): boolean {
    return this.#uncommittedBytes >= this.#options.uncommittedBytesLimit;
  }

  /** A quorum was heard of within the last election timeout; a new leader has that long to hear of one. */
  get hasQuorum(): boolean {
    if (this.#ticks < this.#options.electionTicks) return true;
    return isQuorum(this.#history.latest, (peer) => peer === this.#options.self || this.#isActive(peer));
  }

  progressOf(): ReadonlyMap<PeerId, PeerProgress> {
    const shown = new Map<PeerId, PeerProgress>();
    for (const [peer, { matchIndex, nextIndex, mode }] of this.#progress) {
      shown.set(peer, { matchIndex, nextIndex, mode, isRecentlyActive: this.#isActive(peer) });
    }
    return shown;
  }

  /** @returns false when a quorum was not heard of for an election timeout: step down (dissertation, section 6.2). */
  tick(): boolean {
    this.#ticks += 1;
    if (this.#transferee !== null && this.#ticks >= this.#transferUntilTick) this.#transferee = null;
    if (!this.hasQuorum) return false;
    if (this.#beats.isDue(this.#ticks, this.#isAtRest)) this.#beat();
    return true;
  }

  appended(entries: readonly Entry[]): void {
    this.#beats.worked(this.#ticks);
    for (const entry of entries) this.#uncommittedBytes += sizeOf(entry);
  }

  /** Follows the latest configuration: begins to look after new members, forgets old ones. */
  membersChanged(): void {
    const progress = new Map<PeerId, Progress>();
    for (const peer of membersOf(this.#history.latest)) {
      if (peer !== this.#options.self) progress.set(peer, this.#progress.get(peer) ?? this.#newcomer());
    }
    this.#progress = progress;
    this.#lease?.membersChanged();
    if (this.#transferee !== null && !isVoter(this.#history.latest, this.#transferee))
      this.#transferee = null;
  }

  /** @returns whether the commit index moved. */
  advanceCommit(): boolean {
    const before = this.#log.commitIndex;
    const moved = this.#log.commitTo(
      this.#commitRule({
        configuration: this.#history.latest,
        term: this.#term,
        commitIndex: before,
        matchOf: (peer) => this.#matchOf(peer),
        termAt: (index) => this.#log.term(index),
      }),
    );
    if (moved) this.#releaseUncommitted(before);
    return moved;
  }

  onAccepted({ from, matchIndex }: AppendAccepted): boolean {
    const progress = this.#heardOf(from);
    if (progress === undefined || matchIndex > this.#log.lastIndex) return false;
    const hasRest = matchIndex + 1 >= this.#log.firstIndex;
    if (progress.mode === 'snapshot' && hasRest && matchIndex >= progress.matchIndex)
      progress.probeFrom(matchIndex + 1);
    const isNews = progress.onAccepted(matchIndex);
    this.#handOver(from, progress);
    return isNews;
  }

  onRejected({ from, rejectedIndex, hintIndex, hintTerm }: AppendRejected): void {
    const progress = this.#heardOf(from);
    if (progress === undefined) return;
    const hint = Math.min(hintIndex, rejectedIndex);
    const agreed = hintTerm === 0 ? hint : this.#log.lastAtOrBelow(hint, hintTerm).index;
    progress.onRejected(rejectedIndex, agreed);
  }

  onHeartbeatReply({ from, round }: HeartbeatReply): void {
    const progress = this.#heardOf(from);
    if (progress === undefined) return;
    progress.isPaused = false;
    if (progress.matchIndex < this.#log.lastIndex) progress.nudge(this.#ticks);
    progress.ackedRound = Math.max(progress.ackedRound, Math.min(round, this.#reads.round));
    this.#confirmReads();
    this.#handOver(from, progress);
  }

  /** Where nobody else has a vote there is nobody to wait for. */
  requestRead(context: number, hurry: Hurry): void {
    const isAlone = isQuorum(this.#history.latest, (peer) => peer === this.#options.self);
    this.#reads.gather(context, isAlone ? 'now' : hurry);
  }

  transfer(to: PeerId): boolean {
    const progress = this.#progress.get(to);
    if (progress === undefined || !this.#history.latest.voters.includes(to)) return false;
    if (this.#transferee === to) return true;
    this.#transferee = to;
    this.#lease?.handOverBegun();
    this.#transferUntilTick = this.#ticks + this.#options.electionTicks;
    progress.isNudged = true;
    this.#handOver(to, progress);
    return true;
  }

  /** The voter best fit to lead next campaigns at once: for a leader that its own configuration removed. */
  handOverToBest(): void {
    let best: PeerId | null = null;
    for (const peer of this.#history.latest.voters) {
      if (best === null || this.#matchOf(peer) > this.#matchOf(best)) best = peer;
    }
    if (best !== null && best !== this.#options.self) this.#sendTimeoutNow(best);
  }

  unreachable(peer: PeerId): void {
    const progress = this.#progress.get(peer);
    if (progress?.mode === 'replicate') progress.probeFrom(progress.matchIndex + 1);
  }

  snapshotDone(peer: PeerId, result: { readonly index: LogIndex } | 'failed'): void {
    const progress = this.#progress.get(peer);
    if (progress?.mode !== 'snapshot') return;
    if (result === 'failed') {
      progress.probeFrom(progress.matchIndex + 1);
      progress.isPaused = true;
    } else {
      progress.probeFrom(Math.min(result.index, this.#log.lastIndex) + 1);
    }
  }

  /** Puts into the outbox all that may leave now: a read round for what was gathered, appends within each window. */
  replicate(): void {
    if (this.#reads.isHurried && this.hasCommittedOwnTerm) this.#beginRound();
    const { lastIndex, commitIndex } = this.#log;
    const mayTell = this.#mayTell || this.#options.commitNotice === 'at-once';
    for (const [peer, progress] of this.#progress) {
      while (progress.canSend(lastIndex, commitIndex, mayTell)) if (!this.#sendAppend(peer, progress)) break;
    }
    this.#mayTell = false;
  }

  /** Whether a peer holds entries that are committed up to `index` and was not told. */
  owesCommit(index: LogIndex): boolean {
    for (const progress of this.#progress.values()) if (progress.owesCommit(index)) return true;
    return false;
  }

  /** The next appends may be empty ones that tell what is committed. */
  tellCommit(): void {
    this.#mayTell = true;
  }

  takeReads(): readonly ConfirmedRead[] {
    const reads = this.#confirmed;
    this.#confirmed = [];
    return reads;
  }

  takeSnapshotTo(): readonly PeerId[] {
    const peers = this.#snapshotTo;
    this.#snapshotTo = [];
    return peers;
  }

  get hasDuties(): boolean {
    return this.#confirmed.length > 0 || this.#snapshotTo.length > 0;
  }

  failReads(): readonly number[] {
    return this.#reads.fail();
  }

  #newcomer(): Progress {
    const progress = new Progress(this.#log.lastIndex + 1, this.#options);
    progress.heardAtTick = this.#ticks;
    return progress;
  }

  #heardOf(peer: PeerId): Progress | undefined {
    const progress = this.#progress.get(peer);
    if (progress !== undefined) progress.heardAtTick = this.#ticks;
    return progress;
  }

  #isActive(peer: PeerId): boolean {
    const heardAtTick = this.#progress.get(peer)?.heardAtTick ?? null;
    return heardAtTick !== null && this.#ticks - heardAtTick < this.#options.electionTicks;
  }

  #matchOf(peer: PeerId): number {
    if (peer === this.#options.self) return this.#log.durableIndex;
    return this.#progress.get(peer)?.matchIndex ?? 0;
  }

  #releaseUncommitted(before: LogIndex): void {
    const first = Math.max(before + 1, this.#firstOwnIndex);
    for (let index = first; index <= this.#log.commitIndex; index += 1) {
      this.#uncommittedBytes -= sizeOf(this.#log.heldEntry(index));
    }
  }

  #confirmReads(): void {
    if (!this.#reads.hasOpen && this.#lease === undefined) return;
    const agreed = agreedValue(this.#history.latest, (peer) =>
      peer === this.#options.self ? this.#reads.round : (this.#progress.get(peer)?.ackedRound ?? 0),
    );
    this.#lease?.agreed(agreed);
    this.#confirmed.push(...this.#reads.confirm(agreed));
  }

  #handOver(peer: PeerId, progress: Progress): void {
    if (peer === this.#transferee && progress.matchIndex === this.#log.lastIndex) this.#sendTimeoutNow(peer);
  }

  #sendTimeoutNow(to: PeerId): void {
    this.#outbox.send({ type: 'timeoutNow', from: this.#options.self, to, term: this.#term });
  }

  /** R14 */
  get #isAtRest(): boolean {
    if (!this.#beats.isLongIdle(this.#ticks) || this.#reads.hasOpen || this.#transferee !== null)
      return false;
    const { lastIndex, commitIndex } = this.#log;
    if (commitIndex < lastIndex) return false;
    for (const [peer, { matchIndex }] of this.#progress)
      if (matchIndex < lastIndex && this.#isActive(peer)) return false;
    return true;
  }

  /** One for all reads that were gathered; at rest it is a beat as well. */
  #beginRound(): void {
    const isBeat = this.#isAtRest;
    this.#openRound();
    this.#heartbeat((peer) => isBeat || isVoter(this.#history.latest, peer));
    if (isBeat) this.#beats.beaten(this.#ticks);
    this.#confirmReads();
  }

  #openRound(): void {
    this.#reads.begin(this.#log.commitIndex);
    this.#lease?.begin(this.#reads.round);
  }

  /** With a lease every beat is a round of its own, so that its echo tells when it left. */
  #beat(): void {
    this.#beats.beaten(this.#ticks);
    if (this.#reads.hasGathered && this.hasCommittedOwnTerm) this.#openRound();
    else if (this.#lease !== undefined) {
      this.#reads.beat();
      this.#lease.begin(this.#reads.round);
    }
    this.#confirmReads();
    this.#heartbeat(() => true);
  }

  #heartbeat(isMeant: (peer: PeerId) => boolean): void {
    for (const [to, { matchIndex }] of this.#progress) {
      if (!isMeant(to)) continue;
      this.#outbox.send({
        type: 'heartbeat',
        from: this.#options.self,
        to,
        term: this.#term,
        commitIndex: logIndex(Math.min(matchIndex, this.#log.commitIndex)),
        round: this.#reads.round,
      });
    }
  }

  /** @returns whether more may be tried. */
  #sendAppend(to: PeerId, progress: Progress): boolean {
    const { lastIndex, commitIndex, firstIndex } = this.#log;
    const { nextIndex } = progress;
    const previousTerm = this.#log.term(nextIndex - 1);
    if (previousTerm === undefined || nextIndex < firstIndex) return this.#needSnapshot(to, progress);
    const until = progress.isWindowFull ? nextIndex : lastIndex + 1;
    const entries = this.#log.entries(nextIndex, until, this.#options.appendBytesLimit);
    this.#outbox.send({
      type: 'append',
      from: this.#options.self,
      to,
      term: this.#term,
      previousIndex: logIndex(nextIndex - 1),
      previousTerm,
      entries,
      commitIndex,
    });
    const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    progress.onSent({ lastSent: nextIndex - 1 + entries.length, bytes, commitIndex });
    return true;
  }

  /** A peer that is silent gets none: it would hold up the log's compaction for nothing. */
  #needSnapshot(peer: PeerId, progress: Progress): false {
    if (!this.#isActive(peer)) {
      progress.isPaused = progress.mode === 'probe';
      if (progress.mode === 'replicate') progress.probeFrom(progress.matchIndex + 1);
      return false;
    }
    progress.awaitSnapshot();
    this.#snapshotTo.push(peer);
    return false;
  }
}
