import {
  type Clock,
  type Logger,
  type LogIndex,
  type PeerId,
  type Random,
  Tasks,
  type Term,
} from '../../base/index.ts';
import type { Messenger } from '../../mesh/index.ts';
import type { Store } from '../../storage/index.ts';
import { type Epoch, readEpoch } from '../epoch.ts';
import type { MachineModule } from '../machine/index.ts';
import type { ProposalQueueOptions } from '../proposal-queue.ts';
import type { CommitRule } from '../raft/index.ts';
import { type CompactionOptions, openReplicaState, type ReplicaState } from '../replica-state.ts';
import { WakingClock } from '../waking-clock.ts';

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
  /** Whether replicas can be compared by what they applied, which costs a checksum a write: for simulations. @default false */
  readonly isHashed?: boolean;
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

export const TICK_MS = 100;

/**
 * - `changing`: it passes into another life of the group.
 * - `full`: it waits until its disk has room again.
 * - `halted`: it no longer applies, for good.
 */
export type Mode = 'stopped' | 'running' | 'changing' | 'full' | 'halted';

export interface CoreHooks {
  /** Everything that was asked for meanwhile is done now. */
  readonly onTurn: () => void;
  /** Memory was thrown away and read anew from the disk. */
  readonly onReopened: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** What the parts of one replica share: its state, its mode, and the turn in which they act together. */
export class ReplicaCore {
  readonly components: ReplicaComponents;
  readonly options: ReplicaOptions;
  readonly log: Logger;
  readonly tasks: Tasks;
  readonly waking: WakingClock;
  state: ReplicaState;
  epoch: Epoch;
  mode: Mode = 'stopped';
  readonly #hooks: CoreHooks;
  #isScheduled = false;

  /** @throws StorageFault `damaged` when what the store holds cannot be trusted. */
  constructor(components: ReplicaComponents, options: ReplicaOptions, hooks: CoreHooks) {
    this.components = components;
    this.options = options;
    this.#hooks = hooks;
    this.log = components.log.child({ part: 'replica' });
    this.tasks = new Tasks((error) => hooks.onFailure(error));
    this.waking = new WakingClock(components.clock);
    this.state = this.#open();
    this.epoch = readEpoch(components.store);
  }

  /** The life of the group that this node is in: a recovery or a restore began it. */
  get epochNumber(): number {
    return Math.max(this.epoch.number, this.state.machine.epoch);
  }

  /** Whether this node is, or ever was, part of the group: it has a configuration. */
  get isMember(): boolean {
    return this.state.raft.state.configuration.voters.length > 0;
  }

  /** The only voter there is. */
  get isAlone(): boolean {
    const { voters, outgoing } = this.state.raft.state.configuration;
    return voters.length === 1 && voters[0] === this.components.self && outgoing.length === 0;
  }

  get isHashed(): boolean {
    return this.components.isHashed ?? false;
  }

  /** Who leads, as this node knows it; null when nobody does, or this node itself. */
  get otherLeader(): PeerId | null {
    const { leader } = this.state.raft.state;
    return leader === this.components.self ? null : leader;
  }

  /** Everything asked for in this turn is done together at its end. */
  schedule(): void {
    if (this.#isScheduled || this.mode !== 'running') return;
    this.#isScheduled = true;
    queueMicrotask(this.#runTurn);
  }

  /** Damage may show at any read of the log, whoever asked for it: nothing is said on the strength of such a log any more. */
  guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#hooks.onFailure(error);
    }
  }

  /** Throws memory away and begins again from what is durable. */
  reopen(): void {
    this.state = this.#open();
    this.#hooks.onReopened();
  }

  readonly #runTurn = (): void => {
    this.#isScheduled = false;
    if (this.mode === 'running') this.guarded(this.#hooks.onTurn);
  };

  #open(): ReplicaState {
    const { tickMs = TICK_MS } = this.options;
    return openReplicaState({
      ...this.components,
      isHashed: this.isHashed,
      tickMs,
      leaseMs: () => this.waking.nowMs(),
    });
  }
}
