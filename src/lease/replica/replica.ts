import { AspenError, type LogIndex, type PeerId, type Startable } from '../../base/index.ts';
import type { Epoch, Superseded } from '../epoch.ts';
import type { GroupCounts, GroupStatus, Proposed as ProposedCommand } from '../group.ts';
import type { LeaderTerm } from '../leader-term.ts';
import type { Fact, QueryContext } from '../machine/index.ts';
import type {
  ConfigurationChange,
  ConfigurationRefused,
  Hurry,
  Message,
  Proposed,
  RaftState,
} from '../raft/index.ts';
import { RaftChannel } from '../raft-channel.ts';
import type { Standing } from '../recovery-rules.ts';
import type { Submission } from '../submission.ts';
import { type AppliedEvent, type ReplicaComponents, type ReplicaOptions, TICK_MS } from './core.ts';
import { assembleReplica, dropWork, type ReplicaParts, snapshotMethod } from './parts.ts';
import { standingOf, statusOf } from './standing.ts';
import { Ticking } from './ticking.ts';

/** Drives one member of the group: ticks and messages go into raft, its duties go to disk, network and machine. */
export class Replica implements Startable {
  readonly #parts: ReplicaParts;
  #channel: RaftChannel | undefined;
  #ticking: Ticking | undefined;
  #upkeep: Disposable[] = [];

  /** @throws StorageFault `damaged` when what the store holds cannot be trusted. */
  constructor(components: ReplicaComponents, options: ReplicaOptions) {
    this.#parts = assembleReplica(components, options, {
      leading: this,
      transmit: (messages) => this.#channel?.send(messages) ?? [],
    });
  }

  async start(): Promise<void> {
    const { core, lives, snapshotsIn } = this.#parts;
    const { messenger, clock, mayVote = () => true } = core.components;
    const { group, tickMs = TICK_MS } = core.options;
    core.mode = 'running';
    const onLaterEpoch = (epoch: Epoch) => core.tasks.run(() => lives.follow(epoch));
    this.#channel = new RaftChannel(
      { messenger, log: core.log, mayVote, epoch: () => core.epoch, onLaterEpoch },
      group,
      (messages) => this.#receive(messages),
    );
    this.#ticking = new Ticking(
      {
        clock,
        atOnce: () => core.state.raft.ticksAtOnce,
        onTicks: (count) => core.guarded(() => this.#tick(count)),
      },
      tickMs,
    );
    this.#upkeep = [
      this.#channel,
      messenger.handle(snapshotMethod(core.options), ({ from, body }) => snapshotsIn.receive(from, body)),
      this.#ticking,
    ];
    core.log.debug({ appliedIndex: this.appliedIndex }, 'replica started');
    snapshotsIn.tidy();
    if (core.isAlone) this.campaign();
  }

  async stop(): Promise<void> {
    const { core, snapshotsOut, disk } = this.#parts;
    if (core.mode === 'stopped') return;
    core.mode = 'stopped';
    dropWork(this.#parts, new AspenError('UNAVAILABLE', 'this node is stopping'));
    for (const part of this.#upkeep.splice(0)) part[Symbol.dispose]();
    await core.tasks.stop();
    snapshotsOut[Symbol.dispose]();
    core.components.store.endWaiting?.(); // a full disk is waited for, and may be full for days
    await disk.settled();
  }

  // ---- what it is

  get raftState(): RaftState {
    return this.#parts.core.state.raft.state;
  }

  /** The leadership of this node, while it lasts. */
  get leading(): LeaderTerm | undefined {
    return this.#parts.leaderships.current;
  }

  /** Whether this node is, or ever was, part of the group: it has a configuration. */
  get isMember(): boolean {
    return this.#parts.core.isMember;
  }

  get appliedIndex(): LogIndex {
    return this.#parts.core.state.machine.appliedIndex;
  }

  get hash(): number {
    return this.#parts.core.state.machine.hash;
  }

  /** The life of the group that this node is in: a recovery or a restore began it. */
  get epoch(): number {
    return this.#parts.core.epochNumber;
  }

  /** What a later life of the group made this node give up; undefined when nothing. */
  get superseded(): Superseded | undefined {
    return this.#parts.lives.superseded;
  }

  get groupMs(): number {
    return this.#parts.core.state.machine.groupMs;
  }

  /** Machine version that the group has agreed on. */
  get machineVersion(): number {
    return this.#parts.core.state.machine.version;
  }

  /** Whether it stands aside until its disk has room again. */
  get isDiskFull(): boolean {
    return this.#parts.core.mode === 'full';
  }

  /** Why this replica no longer applies; null while it does. */
  get haltReason(): string | null {
    return this.#parts.faults.haltReason;
  }

  status(): GroupStatus {
    return statusOf(this.#parts.core);
  }

  /** What this node could go on with alone, were all others lost. */
  standing(): Standing {
    return standingOf(this.#parts.core);
  }

  /** What it has done since its start; reading it costs nothing that doing it did not. */
  counts(): GroupCounts {
    const { core, proposals, disk } = this.#parts;
    const { log } = core.state;
    return {
      proposalsAdmitted: proposals.counts.admitted,
      proposalsRefused: proposals.counts.refused,
      logEntries: log.length,
      logBytes: log.bytes,
      logSyncs: disk.syncTimes.sample(),
    };
  }

  // ---- what it tells

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    return this.#parts.applier.onFacts(callback);
  }

  onApplied(callback: (event: AppliedEvent) => void): Disposable {
    return this.#parts.applier.onApplied(callback);
  }

  onLeading(callback: (leading: LeaderTerm) => void): Disposable {
    return this.#parts.leaderships.onLeading(callback);
  }

  onProposed(callback: (proposed: ProposedCommand) => void): Disposable {
    return this.#parts.proposals.onProposed(callback);
  }

  // ---- what it is asked for

  submit(submission: Submission): void {
    this.#parts.proposals.submit(submission);
  }

  /** Resolves when what was committed at the call is applied here and a quorum has confirmed that this node leads. */
  confirm(hurry: Hurry = 'now'): Promise<void> {
    return this.#parts.reads.confirm(hurry);
  }

  /** Like `confirm`, without asking anybody: {@link Reads.confirmByLease}. */
  confirmByLease(): Promise<void> {
    return this.#parts.reads.confirmByLease();
  }

  /** How old the applied state may be; null when that is not known: {@link Reads.ageMs}. Unit: ms. */
  ageMs(): number | null {
    return this.#parts.reads.ageMs();
  }

  read(module: string): QueryContext {
    return this.#parts.core.state.machine.read(module);
  }

  /** Runs on applied state as it is. */
  query(module: string, kind: string, body: unknown): unknown {
    return this.#parts.core.state.machine.query(module, kind, body);
  }

  campaign(): void {
    const { core } = this.#parts;
    core.state.raft.campaign();
    core.schedule();
  }

  transferLeadership(to: PeerId): boolean {
    const { core } = this.#parts;
    const isUnderWay = core.state.raft.transferLeadership(to);
    core.schedule();
    return isUnderWay;
  }

  proposeConfiguration(change: ConfigurationChange): Proposed | ConfigurationRefused {
    const { core } = this.#parts;
    const proposed = core.state.raft.proposeConfiguration(change);
    core.schedule();
    return proposed;
  }

  /** Begins a group with this node as its only voter; nothing happens when there is one already. */
  async bootstrap(): Promise<void> {
    if (this.isMember) return;
    await this.#parts.lives.bootstrap();
    this.campaign();
  }

  /** Begins `epoch` on all that this node holds: {@link Lives.recover}. */
  async recover(epoch: Epoch): Promise<void> {
    await this.#parts.lives.recover(epoch);
    this.campaign();
  }

  // ---- what comes in

  #tick(count: number): void {
    const { core, disk, diskWatch, snapshotsIn, snapshotsOut } = this.#parts;
    if (core.mode !== 'running') return;
    for (let tick = 0; tick < count; tick += 1) core.state.raft.tick();
    disk.upkeep();
    diskWatch.look();
    snapshotsOut.tick();
    snapshotsIn.tick();
    core.schedule();
  }

  #receive(messages: readonly Message[]): void {
    const { core, reads } = this.#parts;
    if (core.mode !== 'running') return;
    core.guarded(() => {
      const { raft } = core.state;
      const { patienceCount } = raft;
      for (const message of messages) raft.step(message);
      if (raft.patienceCount !== patienceCount) this.#ticking?.restarted();
      reads.heard(messages);
    });
    core.schedule();
  }
}
