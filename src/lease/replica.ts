import {
  AspenError,
  type Clock,
  every,
  InvariantError,
  Listeners,
  type Logger,
  type LogIndex,
  type PeerId,
  type Random,
  type Startable,
  sleep,
  Tasks,
  type Term,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { prefixEnd, StorageFault, type Store, type Write, WriteBuffer } from '../storage/index.ts';
import { EMPTY_BASE, FRESH_HARD_STATE, otherSpace, putHardState, putSpace } from './disk-layout.ts';
import {
  compareEpochs,
  type Epoch,
  epochRecord,
  firstTermOf,
  readEpoch,
  readSuperseded,
  type Superseded,
  supersededRecord,
} from './epoch.ts';
import { Freshness, isOfLeader } from './freshness.ts';
import type { GroupStatus, Proposed as ProposedCommand } from './group.ts';
import { LeaderTerm } from './leader-term.ts';
import {
  type Batch,
  type CommandOutcome,
  encodeBatch,
  type Fact,
  Machine,
  type MachineModule,
  NotUnderstood,
  type QueryContext,
} from './machine/index.ts';
import { PendingReads } from './pending-reads.ts';
import { ProposalQueue, type ProposalQueueOptions } from './proposal-queue.ts';
import type {
  CommitRule,
  Configuration,
  ConfigurationChange,
  ConfigurationRefused,
  Entry,
  Message,
  Proposed,
  RaftState,
  Ready,
  SnapshotMeta,
} from './raft/index.ts';
import { RaftChannel } from './raft-channel.ts';
import type { Standing } from './recovery-rules.ts';
import {
  areTablesDue,
  areTablesFarBehind,
  type CompactionOptions,
  compactionTarget,
  openReplicaState,
  type ReplicaState,
  stagePersist,
} from './replica-state.ts';
import { SecondDisk } from './second-disk.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { FORGET_STAGING } from './snapshot-staging.ts';
import { parseSnapshotRequest, type SnapshotPosition } from './snapshot-wire.ts';
import { leadershipLost, notLeader, type Submission } from './submission.ts';
import { WakingClock } from './waking-clock.ts';

export interface ReplicaComponents {
  readonly self: PeerId;
  readonly store: Store;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly modules: readonly MachineModule[];
  /** The disk or the machine can no longer be trusted: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** Whether a peer's word about the group counts at all. @default everybody's */
  readonly mayVote?: (peerId: PeerId) => boolean;
  readonly commitRule?: CommitRule;
}

export interface ReplicaOptions extends ProposalQueueOptions, CompactionOptions {
  readonly group: string;
  /** Unit: ms. An election begins after 10 to 20 of them. @default 100 */
  readonly tickMs?: number;
}

/** What was applied, for those who compare replicas. */
export interface AppliedEvent {
  readonly index: LogIndex;
  readonly term: Term;
  /** Of everything applied up to here. */
  readonly hash: number;
}

/** Readies that may wait behind the sync under way before proposals are held back, to be gathered into larger batches. */
const STAGED_LIMIT = 1;
const FULL_DISK_RETRY_MS = 5_000;
const TICK_MS = 100;

interface Waiters {
  readonly term: Term;
  /** What the entry holds, as it was proposed here. */
  readonly batch: Batch;
  readonly submissions: readonly Submission[];
}

/**
 * Drives one member of the group: ticks and messages go into raft, its duties go to disk, network and machine.
 *
 * - P1 One batch on disk per Ready: entries and hard state. The applied tables follow in batches of their own, each with the index it
 *   stands for; they are never ahead of the durable log, which leads to them again after a crash.
 * - P2 A command is acknowledged when its entry is committed, durable here, and applied here. A single voter waits a moment longer for a
 *   standby's disk ({@link SecondDisk}).
 * - P3 After a failed sync nothing more is said or written: the process ends. After a full disk memory is thrown away and read anew.
 * - P4 A leadership begins when every entry of earlier terms is applied, and never outlives what raft says.
 * - P5 One flush of the log at a time, and one of the tables: a batch that failed for want of room is never followed by a later one that builds on it.
 * - P6 A read by lease shows everything that was committed when it was asked for, as long as clocks keep within their bound.
 */
export class Replica implements Startable {
  readonly #components: ReplicaComponents;
  readonly #options: ReplicaOptions;
  readonly #log: Logger;
  readonly #queue: ProposalQueue;
  readonly #reads = new PendingReads();
  readonly #receiver: SnapshotReceiver;
  readonly #sender: SnapshotSender;
  readonly #secondDisk: SecondDisk;
  readonly #tasks: Tasks;
  readonly #waiters = new Map<LogIndex, Waiters>();
  readonly #facts = new Listeners<readonly Fact[]>();
  readonly #proposed = new Listeners<ProposedCommand>();
  readonly #terms = new Listeners<LeaderTerm>();
  readonly #applied = new Listeners<AppliedEvent>();
  readonly #waking: WakingClock;
  #freshness: Freshness;
  #state: ReplicaState;
  #channel: RaftChannel | undefined;
  #upkeep: Disposable[] = [];
  /** Set between the election and the end of this node's leadership. */
  #electedTerm: Term | undefined;
  #leading: LeaderTerm | undefined;
  #flushing: Promise<void> | undefined;
  #flushingTables: Promise<void> | undefined;
  /** Readies whose writes are in the buffer and wait for the next flush. */
  #staged: Ready[] = [];
  #flushedIndex: LogIndex;
  #isScheduled = false;
  #mode: 'stopped' | 'running' | 'changing' | 'full' | 'halted' = 'stopped';
  #haltReason: string | null = null;
  #epoch: Epoch;

  /** @throws StorageFault `damaged` when what the store holds cannot be trusted. */
  constructor(components: ReplicaComponents, options: ReplicaOptions) {
    this.#components = components;
    this.#options = options;
    this.#log = components.log.child({ part: 'replica' });
    this.#queue = new ProposalQueue(options);
    this.#receiver = new SnapshotReceiver(components.store);
    this.#sender = new SnapshotSender(components, this.#snapshotMethod);
    this.#tasks = new Tasks((error) => this.#fail(error));
    this.#secondDisk = new SecondDisk(components.self, components.clock, () => this.#state.raft.state);
    this.#waking = new WakingClock(components.clock);
    this.#freshness = new Freshness(() => this.#waking.nowMs());
    this.#state = this.#open();
    this.#epoch = readEpoch(components.store);
    this.#flushedIndex = this.#state.machine.appliedIndex;
  }

  async start(): Promise<void> {
    const { messenger, clock, log, mayVote = () => true } = this.#components;
    const { group, tickMs = TICK_MS } = this.#options;
    this.#mode = 'running';
    const onLaterEpoch = (epoch: Epoch) => this.#tasks.run(() => this.#followEpoch(epoch));
    this.#channel = new RaftChannel(
      { messenger, log: this.#log, mayVote, epoch: () => this.#epoch, onLaterEpoch },
      group,
      (messages) => this.#receive(messages),
    );
    this.#upkeep = [
      this.#channel,
      messenger.handle(this.#snapshotMethod, ({ from, body }) => this.#receiveSnapshot(from, body)),
      every(clock, tickMs, () => this.#guarded(() => this.#tick())),
    ];
    log.debug({ appliedIndex: this.#state.machine.appliedIndex }, 'replica started');
    this.#tidyStaging();
    if (this.#isAlone()) this.campaign();
  }

  async stop(): Promise<void> {
    if (this.#mode === 'stopped') return;
    this.#mode = 'stopped';
    this.#endLeadership();
    this.#dropWork(() => new AspenError('UNAVAILABLE', 'this node is stopping'));
    for (const part of this.#upkeep.splice(0)) part[Symbol.dispose]();
    await this.#tasks.stop();
    this.#sender[Symbol.dispose]();
    await this.#flushing;
    await this.#flushingTables;
  }

  get raftState(): RaftState {
    return this.#state.raft.state;
  }

  /** The leadership of this node, while it lasts. */
  get leading(): LeaderTerm | undefined {
    return this.#leading;
  }

  /** Whether this node is, or ever was, part of the group: it has a configuration. */
  get isMember(): boolean {
    return this.#state.raft.state.configuration.voters.length > 0;
  }

  get appliedIndex(): LogIndex {
    return this.#state.machine.appliedIndex;
  }

  get hash(): number {
    return this.#state.machine.hash;
  }

  /** The life of the group that this node is in: a recovery or a restore began it. */
  get epoch(): number {
    return Math.max(this.#epoch.number, this.#state.machine.epoch);
  }

  /** What a later life of the group made this node give up; undefined when nothing. */
  get superseded(): Superseded | undefined {
    return readSuperseded(this.#components.store);
  }

  /** What this node could go on with alone, were all others lost. */
  standing(): Standing {
    const { raft, log } = this.#state;
    const { configuration, commitIndex, leader } = raft.state;
    const lastIndex = log.lastIndex();
    return {
      peerId: this.#components.self,
      epoch: { ...this.#epoch, number: this.epoch },
      lastTerm: log.term(lastIndex) ?? (0 as Term),
      lastIndex,
      commitIndex,
      configuration,
      leader,
    };
  }

  get groupMs(): number {
    return this.#state.machine.groupMs;
  }

  /** Machine version that the group has agreed on. */
  get machineVersion(): number {
    return this.#state.machine.version;
  }

  /** Whether it stands aside until its disk has room again. */
  get isDiskFull(): boolean {
    return this.#mode === 'full';
  }

  /** Why this replica no longer applies; null while it does. */
  get haltReason(): string | null {
    return this.#haltReason;
  }

  status(): GroupStatus {
    const { leader, term, commitIndex, configuration, hasQuorum } = this.#state.raft.state;
    const { self } = this.#components;
    const { voters, outgoing, learners } = configuration;
    const isVoter = voters.includes(self) || outgoing.includes(self);
    return {
      role: isVoter ? 'voter' : learners.includes(self) ? 'standby' : 'spare',
      leader,
      term,
      commitIndex,
      appliedIndex: this.#state.machine.appliedIndex,
      voters,
      standbys: learners,
      hasQuorum,
    };
  }

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    return this.#facts.add(callback);
  }

  onLeading(callback: (leading: LeaderTerm) => void): Disposable {
    return this.#terms.add(callback);
  }

  onApplied(callback: (event: AppliedEvent) => void): Disposable {
    return this.#applied.add(callback);
  }

  submit(submission: Submission): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      submission.onFailure(refusal);
      return;
    }
    const { machine } = this.#state;
    const isAdmitted = this.#queue.add(submission, machine);
    if (isAdmitted && this.#proposed.size > 0) {
      const { module, kind } = submission.command;
      this.#proposed.emit({ module, kind, body: machine.admittedBody(submission.command) });
    }
    this.#schedule();
  }

  onProposed(callback: (proposed: ProposedCommand) => void): Disposable {
    return this.#proposed.add(callback);
  }

  /** Resolves when what was committed at the call is applied here and a quorum has confirmed that this node leads. */
  confirm(): Promise<void> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal();
      if (refusal !== undefined) throw refusal;
      this.#reads.add({ resolve, reject });
      this.#schedule();
    });
  }

  /**
   * P6 Resolves when what is committed now is applied here, without asking anybody: the lease of this leader says that nobody else leads.
   * It holds as long as clocks of members go apart by less than `CLOCK_DRIFT_BOUND`.
   * @throws AspenError CONFLICT when the lease is over or not yet begun, NOT_LEADER.
   */
  confirmByLease(): Promise<void> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal();
      if (refusal !== undefined) throw refusal;
      const { leaseUntilMs, commitIndex } = this.#state.raft.state;
      if (leaseUntilMs === undefined) throw noLease();
      if (this.#state.machine.appliedIndex >= commitIndex) resolve();
      else this.#reads.await(commitIndex, { resolve, reject });
    });
  }

  /**
   * How long ago the applied state was last known to be all there was; null: not since the start. A leader with a lease knows it now.
   * Unit: ms.
   */
  ageMs(): number | null {
    const { appliedIndex } = this.#state.machine;
    const { leaseUntilMs, commitIndex } = this.#state.raft.state;
    if (leaseUntilMs !== undefined && appliedIndex >= commitIndex) this.#freshness.confirmed();
    return this.#freshness.ageMs(appliedIndex);
  }

  read(module: string): QueryContext {
    return this.#state.machine.read(module);
  }

  /** Runs on applied state as it is. */
  query(module: string, kind: string, body: unknown): unknown {
    return this.#state.machine.query(module, kind, body);
  }

  campaign(): void {
    this.#state.raft.campaign();
    this.#schedule();
  }

  transferLeadership(to: PeerId): boolean {
    const isUnderWay = this.#state.raft.transferLeadership(to);
    this.#schedule();
    return isUnderWay;
  }

  proposeConfiguration(change: ConfigurationChange): Proposed | ConfigurationRefused {
    const proposed = this.#state.raft.proposeConfiguration(change);
    this.#schedule();
    return proposed;
  }

  /** Begins a group with this node as its only voter; nothing happens when there is one already. */
  async bootstrap(): Promise<void> {
    if (this.isMember) return;
    const configuration: Configuration = {
      voters: [this.#components.self],
      outgoing: [],
      learners: [],
    };
    const first: Entry = {
      term: 1 as Term,
      index: 1 as LogIndex,
      kind: 'configuration',
      payload: new Uint8Array(0),
      configuration,
    };
    this.#state.log.append([first]);
    putHardState(this.#state.buffer, { term: first.term, votedFor: null, commitIndex: first.index });
    await this.#state.buffer.flush();
    this.#reopen();
    this.campaign();
  }

  /**
   * E5 Begins `epoch` with this node as the only voter, on all that its log holds, committed or not: it may have been acknowledged.
   * One batch on disk makes it so.
   * @throws AspenError CONFLICT when this node leads or holds nothing, UNAVAILABLE when it cannot write now.
   */
  async recover(epoch: Epoch): Promise<void> {
    if (this.#leading !== undefined || !this.isMember) {
      throw new AspenError('CONFLICT', 'only a survivor that holds the data and does not lead can recover');
    }
    await this.#changeLife(epoch, ({ log, raft, buffer }) => {
      const term = firstTermOf(epoch, raft.state.term);
      const index = (log.lastIndex() + 1) as LogIndex;
      const configuration = { voters: [this.#components.self], outgoing: [], learners: [] };
      log.append([{ term, index, kind: 'configuration', payload: new Uint8Array(0), configuration }]);
      putHardState(buffer, { term, votedFor: null, commitIndex: index });
    });
    this.#log.warn({ epoch: epoch.number }, 'recovered the group on what this node holds');
    this.campaign();
  }

  /**
   * E6 A later life of the group: what this node holds of an earlier one is given up in one batch, never merged, and what it was is noted.
   * It comes back as a newcomer does.
   */
  async #followEpoch(epoch: Epoch): Promise<void> {
    if (this.#mode !== 'running' || compareEpochs(epoch, this.#epoch) <= 0) return;
    const { isMember } = this;
    await this.#changeLife(epoch, ({ log, buffer, space }) => {
      if (!isMember) return;
      const superseded: Superseded = {
        epoch: this.#epoch.number,
        lastIndex: log.lastIndex(),
        commitIndex: this.raftState.commitIndex,
        atWallMs: this.#components.clock.wallMs(),
        newEpoch: epoch.number,
        recoveredBy: epoch.by as PeerId,
      };
      const { key, value } = supersededRecord(superseded);
      buffer.put(key, value);
      log.restart(EMPTY_BASE);
      putHardState(buffer, FRESH_HARD_STATE);
      buffer.deleteRange({ from: space, to: prefixEnd(space) });
      const text =
        'the group was recovered without this node: it gives up its copy and comes back as a learner';
      this.#log.warn(superseded, text);
    });
  }

  /** Unless it was stopped meanwhile. */
  #resume(): void {
    if (this.#mode === 'changing') this.#mode = 'running';
  }

  /** Nothing is said or written beside it; memory is thrown away before and after. */
  async #changeLife(epoch: Epoch, write: (state: ReplicaState) => void): Promise<void> {
    if (this.#mode !== 'running') {
      throw new AspenError('UNAVAILABLE', 'this replica cannot change now: it stops, or its disk is full');
    }
    this.#standAside('changing');
    await this.#flushing;
    await this.#flushingTables;
    this.#reopen();
    const { buffer } = this.#state;
    const { key, value } = epochRecord(epoch);
    write(this.#state);
    buffer.put(key, value);
    await buffer.flush();
    this.#epoch = epoch;
    this.#reopen();
    this.#resume();
  }

  get #snapshotMethod(): string {
    return `raft/${this.#options.group}/snapshot`;
  }

  #isAlone(): boolean {
    const { voters, outgoing } = this.#state.raft.state.configuration;
    return voters.length === 1 && voters[0] === this.#components.self && outgoing.length === 0;
  }

  #refusal(): AspenError | undefined {
    if (this.#mode === 'full') {
      return new AspenError('RESOURCE_EXHAUSTED', 'the disk of the leader is full', {
        details: { limit: 'disk', retryAfterMs: FULL_DISK_RETRY_MS },
      });
    }
    if (this.#mode === 'running' && this.#leading !== undefined) return undefined;
    return notLeader(this.#otherLeader());
  }

  #otherLeader(): PeerId | null {
    const { leader } = this.#state.raft.state;
    return leader === this.#components.self ? null : leader;
  }

  // ---- the loop

  #tick(): void {
    if (this.#mode !== 'running') return;
    this.#state.raft.tick();
    this.#upkeepOfDisk();
    this.#sender.tick();
    if (this.#receiver.isOvertaken(this.#state.machine.appliedIndex)) this.#tidyStaging();
    this.#schedule();
  }

  #receive(messages: readonly Message[]): void {
    if (this.#mode !== 'running') return;
    this.#guarded(() => {
      for (const message of messages) this.#state.raft.step(message);
      if (messages.some(isOfLeader)) this.#noteFreshness(messages);
    });
    this.#schedule();
  }

  #noteFreshness(messages: readonly Message[]): void {
    const { leader } = this.#state.raft.state;
    this.#freshness.heard(messages, { leader, appliedIndex: this.#state.machine.appliedIndex });
  }

  /** Damage may show at any read of the log, whoever asked for it: nothing is said on the strength of such a log any more. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Everything asked for in this turn is done together at its end. */
  #schedule(): void {
    if (this.#isScheduled || this.#mode !== 'running') return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#mode !== 'running') return;
      this.#guarded(() => {
        this.#turn();
        this.#secondDisk.advance();
      });
    });
  }

  #turn(): void {
    const { raft } = this.#state;
    this.#reads.ask(
      (context) => raft.requestRead(context),
      () => notLeader(this.#otherLeader()),
    );
    this.#proposeWaiting();
    while (this.#mode === 'running' && this.#state.raft === raft && raft.hasReady()) {
      this.#perform(raft.takeReady());
      this.#proposeWaiting();
    }
  }

  #proposeWaiting(): void {
    while (this.#leading !== undefined && !this.#queue.isEmpty && this.#staged.length < STAGED_LIMIT) {
      if (!this.#proposeBatch(this.#leading)) return;
    }
  }

  /** @returns whether more may be proposed now. */
  #proposeBatch(leading: LeaderTerm): boolean {
    const gathered = this.#queue.take();
    const { raft } = this.#state;
    const batch: Batch = {
      epoch: this.epoch,
      version: gathered.version,
      groupMs: leading.groupMs(),
      wallMs: this.#components.clock.wallMs(),
      commands: gathered.submissions.map(({ command }) => command),
    };
    const proposed = raft.propose([encodeBatch(batch)]);
    if ('refused' in proposed) {
      if (proposed.refused === 'not-leader') {
        for (const { onFailure } of gathered.submissions) onFailure(notLeader(this.#otherLeader()));
      } else this.#queue.putBack(gathered);
      return false;
    }
    const { submissions } = gathered;
    this.#waiters.set(proposed.firstIndex, { term: proposed.term, batch, submissions });
    return raft.hasReady() && this.#performNow();
  }

  /** One Ready per batch, so that the limit of syncs under way counts batches. */
  #performNow(): boolean {
    this.#perform(this.#state.raft.takeReady());
    return this.#mode === 'running';
  }

  #perform(ready: Ready): void {
    const { raft } = this.#state;
    if (ready.leadership === 'gained') this.#electedTerm = raft.state.term;
    this.#send(ready.send);
    if (ready.persist !== null) {
      stagePersist(this.#state, ready.persist);
      this.#staged.push(ready);
    }
    for (const entry of ready.commit) if (!this.#apply(entry)) return;
    const last = ready.commit.at(-1);
    if (last !== undefined) raft.applied(last.index);
    if (ready.persist !== null) this.#flush();
    if (ready.leadership === 'lost') this.#endLeadership();
    this.#reads.fail(ready.failedReads, () => notLeader(this.#otherLeader()));
    this.#reads.confirm(ready.reads);
    this.#reads.applied(this.#state.machine.appliedIndex);
    for (const peer of ready.snapshotTo) this.#tasks.run((signal) => this.#sendSnapshot(peer, signal));
  }

  #send(messages: readonly Message[]): void {
    for (const peer of this.#channel?.send(messages) ?? []) this.#state.raft.reportUnreachable(peer);
  }

  /**
   * P1, P5: what the Readies staged meanwhile goes to disk together, when the write before it has ended.
   */
  #flush(): void {
    if (this.#flushing !== undefined || this.#mode !== 'running') return;
    if (areTablesDue(this.#state)) this.#flushTables();
    if (this.#flushingTables !== undefined && areTablesFarBehind(this.#state)) return;
    this.#flushLog();
  }

  #flushLog(extra: readonly Write[] = []): void {
    const state = this.#state;
    const staged = this.#staged;
    this.#staged = [];
    this.#flushing = state.buffer.flush(extra).then(
      () => {
        if (this.#state !== state) return;
        this.#flushing = undefined;
        this.#onFlushed(staged);
      },
      (error) => {
        if (this.#state !== state) return;
        this.#flushing = undefined;
        this.#onStorageFault(error);
      },
    );
  }

  /** P1: the tables and the index they stand for, in one batch. */
  #flushTables(): void {
    if (this.#flushingTables !== undefined || this.#mode !== 'running') return;
    const state = this.#state;
    const { machine, tables } = state;
    machine.saveState();
    const { appliedIndex } = machine;
    this.#flushingTables = tables.flush().then(
      () => {
        if (this.#state !== state) return;
        this.#flushingTables = undefined;
        if (state.tables !== tables) return;
        this.#flushedIndex = appliedIndex;
        if (this.#staged.length > 0) this.#flush();
      },
      (error) => {
        if (this.#state !== state) return;
        this.#flushingTables = undefined;
        this.#onStorageFault(error);
      },
    );
  }

  #onFlushed(staged: readonly Ready[]): void {
    if (this.#mode !== 'running') return;
    for (const { sequence, sendAfterPersist } of staged) {
      this.#state.raft.persisted(sequence);
      this.#send(sendAfterPersist);
    }
    if (this.#staged.length > 0) this.#flush();
    this.#schedule();
  }

  /** Drops the old end of the log, and takes tables to disk that no entry carried there. */
  #upkeepOfDisk(): void {
    if (this.#flushedIndex < this.#state.machine.appliedIndex) this.#flushTables();
    if (this.#flushing !== undefined) return;
    const target = compactionTarget(
      this.#state.log,
      { durableIndex: this.#flushedIndex, neededAfter: this.#neededAfter() },
      this.#options,
    );
    if (target === undefined) return;
    this.#state.log.compact(target);
    this.#flush();
  }

  /** Followers that are catching up need the log after this index, whoever receives a snapshot included. */
  #neededAfter(): LogIndex {
    const { raft, log, machine } = this.#state;
    const before = log.firstIndex() - 1;
    let needed = Math.min(this.#sender.oldestIndex ?? machine.appliedIndex, machine.appliedIndex);
    for (const { isRecentlyActive, mode, matchIndex, nextIndex } of raft.state.progress.values()) {
      const has = mode === 'probe' ? nextIndex - 1 : matchIndex;
      if (isRecentlyActive && mode !== 'snapshot' && has >= before) needed = Math.min(needed, has);
    }
    return needed as LogIndex;
  }

  // ---- applying

  /** @returns false when this replica stopped before the entry. */
  #apply(entry: Entry): boolean {
    const waiters = this.#takeWaiters(entry);
    let outcomes: readonly CommandOutcome[];
    let facts: readonly Fact[];
    try {
      ({ outcomes, facts } = this.#state.machine.applyEntry(entry, waiters?.batch));
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error;
      this.#halt(error.message);
      return false;
    }
    if (waiters !== undefined) {
      this.#secondDisk.hold(entry.index, () => {
        waiters.submissions.forEach((submission, at) => {
          submission.onOutcome(outcomes[at] as CommandOutcome); // P2
        });
      });
    }
    if (facts.length > 0) this.#facts.emit(facts);
    if (this.#applied.size > 0) {
      this.#applied.emit({ index: entry.index, term: entry.term, hash: this.#state.machine.hash });
    }
    if (entry.kind === 'empty' && entry.term === this.#electedTerm) this.#beginLeadership(entry.term);
    return true;
  }

  #takeWaiters(entry: Entry): Waiters | undefined {
    const waiters = this.#waiters.get(entry.index);
    if (waiters === undefined) return undefined;
    this.#waiters.delete(entry.index);
    if (waiters.term === entry.term) return waiters;
    // Another leader's entry is committed in this place: ours never will be.
    for (const { onFailure } of waiters.submissions) onFailure(notLeader(this.#otherLeader()));
    return undefined;
  }

  #beginLeadership(term: Term): void {
    const { groupMs } = this.#state.machine;
    this.#leading = new LeaderTerm({ replica: this, clock: this.#components.clock }, { term, groupMs }); // P4
    this.#log.info({ term }, 'leads the group');
    this.#terms.emit(this.#leading);
  }

  #endLeadership(): void {
    this.#electedTerm = undefined;
    const leading = this.#leading;
    this.#leading = undefined;
    leading?.end();
    if (leading !== undefined) this.#log.info({ term: leading.term }, 'no longer leads the group');
    this.#secondDisk[Symbol.dispose]();
    const waiting = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const { submissions } of waiting) {
      for (const { onFailure } of submissions) onFailure(leadershipLost());
    }
    this.#queue.failAll(notLeader(this.#otherLeader()));
  }

  // ---- faults

  #onStorageFault(error: unknown): void {
    if (error instanceof StorageFault && error.kind === 'full') {
      if (this.#mode !== 'running') return;
      this.#log.error({ err: error }, 'the disk is full, this node refuses writes until there is room');
      this.#standAside('full');
      this.#tasks.run((signal) => this.#awaitRoom(signal));
    } else if (this.#mode !== 'stopped') this.#fail(error);
  }

  /** P3: what memory holds beyond the disk is gone; raft begins again from what is durable. */
  async #awaitRoom(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#components;
    for (;;) {
      await sleep(clock, FULL_DISK_RETRY_MS, signal);
      try {
        await store.write([{ type: 'put', key: 'r/room', value: new Uint8Array(4_096) }]);
        await store.write([{ type: 'delete', key: 'r/room' }]);
      } catch (error) {
        if (error instanceof StorageFault && error.kind === 'full') continue;
        throw error;
      }
      break;
    }
    this.#reopen();
    this.#mode = 'running';
    this.#log.info({}, 'the disk has room again');
  }

  #halt(reason: string): void {
    this.#haltReason = reason;
    this.#log.error({ reason }, 'stopped applying');
    this.#standAside('halted');
  }

  #standAside(mode: 'full' | 'halted' | 'changing'): void {
    this.#mode = mode;
    this.#endLeadership();
    this.#dropWork(() => notLeader(null));
  }

  #dropWork(reason: () => AspenError): void {
    this.#reads.failAll(reason);
    this.#queue.failAll(reason());
  }

  #fail(error: unknown): void {
    if (this.#mode === 'stopped') return;
    this.#standAside('halted');
    this.#haltReason = error instanceof Error ? error.message : String(error);
    this.#components.onFatal(error);
  }

  #open(): ReplicaState {
    const { tickMs = TICK_MS } = this.#options;
    return openReplicaState({ ...this.#components, tickMs, leaseMs: () => this.#waking.nowMs() });
  }

  #reopen(): void {
    this.#state = this.#open();
    this.#freshness = new Freshness(() => this.#waking.nowMs());
    this.#flushing = undefined;
    this.#flushingTables = undefined;
    this.#staged = [];
    this.#flushedIndex = this.#state.machine.appliedIndex;
  }

  // ---- snapshots

  async #sendSnapshot(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { raft, log } = this.#state;
    try {
      const index = await this.#sender.send(peer, log.firstIndex(), signal);
      this.#log.info({ peer, index }, 'snapshot sent');
      raft.reportSnapshot(peer, { index });
    } catch (err) {
      if (err instanceof InvariantError || err instanceof StorageFault) throw err;
      this.#log.debug({ err, peer }, 'snapshot not sent, will try again');
      raft.reportSnapshot(peer, 'failed');
    }
    this.#schedule();
  }

  async #receiveSnapshot(from: PeerId, body: unknown): Promise<SnapshotPosition> {
    const request = parseSnapshotRequest(body);
    if (request === undefined) throw new AspenError('INVALID_REQUEST', 'not a part of a snapshot');
    const { raft, space } = this.#state;
    if (this.#mode !== 'running' || raft.state.leader !== from) {
      throw new AspenError('CONFLICT', `${from} does not lead the group as this node knows it`);
    }
    if (request.type === 'inquiry') return this.#receiver.position(from, request.transfer);
    try {
      const install = (meta: SnapshotMeta) => this.#install(meta);
      return await this.#receiver.receive(request, { from, space: otherSpace(space), install });
    } catch (error) {
      if (error instanceof StorageFault) this.#onStorageFault(error);
      throw error;
    } finally {
      if (this.#state.space !== space) this.#tidyStaging();
    }
  }

  /** Empties the space that is not in use, unless a snapshot is on its way into it. */
  #tidyStaging(): void {
    this.#tasks.run(async (signal) => {
      await this.#oneFlushed();
      const { space, machine } = this.#state;
      await this.#receiver.tidy(otherSpace(space), machine.appliedIndex, signal);
    });
  }

  /**
   * The other space becomes the current one and the log begins anew after it, in one batch.
   * @returns false when the log holds as much already.
   */
  async #install(meta: SnapshotMeta): Promise<boolean> {
    const state = this.#state;
    const { raft, log, buffer } = state;
    if (this.#mode !== 'running') throw notInstalled();
    if (!raft.beginSnapshot(meta)) return false;
    while (raft.hasReady()) this.#perform(raft.takeReady());
    while (this.#flushing !== undefined || this.#flushingTables !== undefined) await this.#oneFlushed();
    if (this.#state !== state || this.#mode !== 'running') throw notInstalled();
    const space = otherSpace(state.space);
    log.restart(meta);
    putSpace(buffer, space);
    this.#flushLog([FORGET_STAGING]);
    await this.#flushing;
    if (this.#state !== state || this.#mode !== 'running') throw notInstalled();
    state.space = space;
    state.tables = new WriteBuffer(this.#components.store);
    state.machine = new Machine({ store: state.tables, space, modules: this.#components.modules });
    this.#flushedIndex = state.machine.appliedIndex;
    raft.installSnapshot(meta);
    this.#log.info({ index: meta.index }, 'snapshot installed');
    this.#schedule();
    return true;
  }

  async #oneFlushed(): Promise<void> {
    await this.#flushing;
    await this.#flushingTables;
  }
}

function noLease(): AspenError {
  return new AspenError(
    'CONFLICT',
    'the leader has no lease now, since it was not confirmed for a moment or begins to lead: read linearizable, or try again',
    { details: { retryAfterMs: TICK_MS } },
  );
}

function notInstalled(): AspenError {
  return new AspenError('CONFLICT', 'the snapshot was not put in place: this node cannot write now');
}
