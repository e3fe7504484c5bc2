import { Histogram, type LogIndex } from '../../base/index.ts';
import type { Write } from '../../storage/index.ts';
import type { Ready } from '../raft/index.ts';
import { areTablesDue, areTablesFarBehind, compactionTarget, stagePersist } from '../replica-state.ts';
import type { ReplicaCore } from './core.ts';

/** Tables that few writes change go to disk so often: a start applies what the log holds beyond them again. Unit: ms. */
const TABLES_REST_MS = 1_000;
/** Who waits for the second need not wait for the first to be on the disk. */
const FLUSHES_UNDER_WAY = 2;

export interface DiskSteps {
  /** What these Readies wanted durable is, in their order. */
  readonly onDurable: (staged: readonly Ready[]) => void;
  readonly onFault: (error: unknown) => void;
  /** Entries after it are wanted by a follower that is catching up. */
  readonly neededAfter: () => LogIndex;
}

/**
 * Takes log and tables to the disk.
 *
 * - P1 One batch on disk per flush of the log: entries and hard state. The applied tables follow in batches of their own, each with the
 *   index it stands for; they are never ahead of the durable log, which leads to them again after a crash.
 * - P5 Up to {@link FLUSHES_UNDER_WAY} flushes of the log at a time, and one of the tables: what comes meanwhile is gathered behind them. A batch that
 *   failed for want of room is never followed by a later one that builds on it (D9).
 */
export class ReplicaDisk {
  readonly #core: ReplicaCore;
  readonly #steps: DiskSteps;
  /** Resolves when every flush of the log has ended. */
  #flushing: Promise<void> | undefined;
  /** Of each flush of the log under way, when it began. Unit: ms, monotonic. */
  #flushesSinceMs: number[] = [];
  #flushingTables: Promise<void> | undefined;
  /** Readies whose writes are in the buffer and wait for the next flush. */
  #staged: Ready[] = [];
  /** What the tables on disk stand for. */
  #flushedIndex: LogIndex;
  /** When they went there last. Unit: ms, monotonic. */
  #tablesAtMs = 0;
  /** How long the disk took for each flush of the log. Unit: s. */
  readonly syncTimes = new Histogram();

  constructor(core: ReplicaCore, steps: DiskSteps) {
    this.#core = core;
    this.#steps = steps;
    this.#flushedIndex = core.state.machine.appliedIndex;
  }

  /** Readies that wait behind the sync under way. */
  get stagedCount(): number {
    return this.#staged.length;
  }

  /** How long the oldest flush of the log has been waiting for the disk; 0 where none is. Unit: ms. */
  get waitedMs(): number {
    const [sinceMs] = this.#flushesSinceMs;
    return sinceMs === undefined ? 0 : this.#core.components.clock.monotonicMs() - sinceMs;
  }

  get isIdle(): boolean {
    return this.#flushesSinceMs.length === 0 && this.#flushingTables === undefined;
  }

  stage(ready: Ready): void {
    if (ready.persist === null) return;
    stagePersist(this.#core.state, ready.persist);
    this.#staged.push(ready);
  }

  /** P1, P5: what the Readies staged meanwhile goes to disk together, when one of the writes before it has ended. */
  flush(): void {
    const { mode, state } = this.#core;
    if (this.#flushesSinceMs.length >= FLUSHES_UNDER_WAY || mode !== 'running') return;
    if (areTablesDue(state)) this.#flushTables();
    if (this.#flushingTables !== undefined && areTablesFarBehind(state)) return;
    void this.flushLog();
  }

  /** @returns a promise that resolves when the flush has ended, well or not. */
  flushLog(extra: readonly Write[] = []): Promise<void> {
    const { state } = this.#core;
    const staged = this.#staged;
    this.#staged = [];
    const { clock } = this.#core.components;
    const startedAtMs = clock.monotonicMs();
    this.#flushesSinceMs.push(startedAtMs);
    const flushing = state.buffer.flush(extra).then(
      () => {
        this.syncTimes.observe((clock.monotonicMs() - startedAtMs) / 1_000);
        if (this.#core.state !== state) return;
        this.#flushesSinceMs.shift();
        this.#onFlushed(staged);
      },
      (error) => {
        if (this.#core.state !== state) return;
        this.#flushesSinceMs.shift();
        this.#steps.onFault(error);
      },
    );
    const before = this.#flushing;
    this.#flushing = flushing.then(() => before); // the second of two may be refused first
    return flushing;
  }

  /** Drops the old end of the log, and takes tables to disk that no entry carried there. To be called at every tick. */
  upkeep(): void {
    const { log, machine } = this.#core.state;
    const restedMs = this.#core.components.clock.monotonicMs() - this.#tablesAtMs;
    if (this.#flushedIndex < machine.appliedIndex && restedMs >= TABLES_REST_MS) this.#flushTables();
    if (this.#flushesSinceMs.length > 0) return;
    const indexes = { durableIndex: this.#flushedIndex, neededAfter: this.#steps.neededAfter() };
    const target = compactionTarget(log, indexes, this.#core.options);
    if (target === undefined) return;
    log.compact(target);
    this.flush();
  }

  /** Resolves when what is under way at the call has ended. */
  async settled(): Promise<void> {
    await this.#flushing;
    await this.#flushingTables;
  }

  /** The tables in use were replaced by others that are durable. */
  adoptTables(): void {
    this.#flushedIndex = this.#core.state.machine.appliedIndex;
  }

  reset(): void {
    this.#flushesSinceMs = [];
    this.#flushingTables = undefined;
    this.#staged = [];
    this.adoptTables();
  }

  /** P1: the tables and the index they stand for, in one batch. */
  #flushTables(): void {
    const { mode, state } = this.#core;
    if (this.#flushingTables !== undefined || mode !== 'running') return;
    const { machine, tables } = state;
    this.#tablesAtMs = this.#core.components.clock.monotonicMs();
    machine.saveState();
    const { appliedIndex } = machine;
    this.#flushingTables = tables.flush().then(
      () => {
        if (this.#core.state !== state) return;
        this.#flushingTables = undefined;
        if (state.tables !== tables) return;
        this.#flushedIndex = appliedIndex;
        if (this.#staged.length > 0) this.flush();
      },
      (error) => {
        if (this.#core.state !== state) return;
        this.#flushingTables = undefined;
        this.#steps.onFault(error);
      },
    );
  }

  #onFlushed(staged: readonly Ready[]): void {
    if (this.#core.mode !== 'running') return;
    this.#steps.onDurable(staged);
    if (this.#staged.length > 0) this.flush();
    this.#core.schedule();
  }
}
