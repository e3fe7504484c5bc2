import { AspenError, Listeners, SlotList } from '../base/index.ts';
import {
  type AttemptContext,
  type AttemptStop,
  type ExecutionResult,
  type Executor,
  type RecoveredAttempt,
  stoppedResult,
} from './execution/executor.ts';
import type { Settled } from './outcome-teller.ts';
import type { AttemptRef } from './settlement.ts';
import { Slots } from './slots.ts';
import { type Assignment, POOLS_LIMIT, type PoolReport } from './wire.ts';

/** What a pool needs to know of an attempt beside what an executor does. */
export interface PooledContext extends AttemptContext {
  readonly stop: AttemptStop;
  readonly type: string;
  /** Time that the attempt has; null for no limit. */
  readonly timeoutMs: number | null;
  /** Its longest silence; null for no limit. */
  readonly heartbeatTimeoutMs: number | null;
  /** As the leader gave it. */
  readonly assignment: Pick<Assignment, 'rest'>;
}

/** A part of a node with slots of its own: what the node runs itself, or one attached worker. */
export interface Pool {
  /** Null for what the node runs itself. */
  readonly id: string | null;
  readonly slots: Slots;
  /** It finishes what it has and takes nothing more. */
  readonly isDraining: boolean;
  offers(type: string): boolean;
  /** As {@link Executor.execute}; rejects with AttemptGone when nobody can say any more how it ended. */
  execute(attempt: PooledContext): Promise<ExecutionResult>;
  /** What became of an attempt; told of each that was accepted for this pool, begun or not. */
  settled(ref: AttemptRef, settled: Settled): void;
}

/** An attached worker, as {@link Pools} keep it. */
export interface AttachedPool extends Pool {
  readonly id: string;
  readonly types: readonly string[];
  /** Slots that it attached with; as many as it has while it answers. */
  readonly concurrency: number;
  report(): PoolReport;
  /** A sign of life of an attempt. @returns whether it is held and to go on. */
  beat(ref: AttemptRef): boolean;
  /** Ends its connection. */
  disconnect(): void;
}

/** What the node runs itself, in its own slots. */
export class OwnPool implements Pool {
  readonly id = null;
  readonly slots: Slots;
  readonly isDraining = false;
  readonly #executors: ReadonlyMap<string, Executor>;
  readonly #executing = new SlotList<(result: ExecutionResult) => void>();

  constructor(executors: readonly Executor[], slotCount: number) {
    this.#executors = new Map(executors.map((executor) => [executor.type, executor]));
    this.slots = new Slots(slotCount);
  }

  get types(): string[] {
    return [...this.#executors.keys()];
  }

  offers(type: string): boolean {
    return this.#executors.has(type);
  }

  execute(attempt: PooledContext): Promise<ExecutionResult> {
    const executor = this.#executors.get(attempt.type);
    if (executor === undefined) throw new AspenError('NOT_FOUND', `no executor of type ${attempt.type}`);
    return this.unlessAbandoned(executor.execute(attempt));
  }

  /** An executor that never ends must not keep the agent from ending. */
  unlessAbandoned(executing: Promise<ExecutionResult>): Promise<ExecutionResult> {
    return new Promise((resolve, reject) => {
      const slot = this.#executing.add(resolve);
      const end = () => this.#executing.remove(slot);
      executing.then(
        (result) => {
          end();
          resolve(result);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  /** Ends the wait for each executor at work. */
  abandon(): void {
    for (const resolve of this.#executing.values()) resolve(stoppedResult('shutdown', null));
  }

  settled(ref: AttemptRef): void {
    for (const executor of this.#executors.values()) executor.settled?.(ref);
  }

  /** Whether attempts of this type go on without an agent. */
  outlives(type: string): boolean {
    return this.#executors.get(type)?.recover !== undefined;
  }

  /** What an earlier agent began here. */
  async recover(): Promise<readonly RecoveredAttempt[]> {
    const executors = [...this.#executors.values()];
    return (await Promise.all(executors.map((executor) => executor.recover?.() ?? []))).flat();
  }
}

/**
 * The pools of this node.
 *
 * - A1 An attempt runs in the pool that its assignment names, or is given back: never in another, and never beyond that pool's slots.
 */
export class Pools {
  readonly own: OwnPool;
  readonly #attached = new Map<string, AttachedPool>();
  readonly #changes = new Listeners<void>();
  #isTelling = false;

  constructor(own: OwnPool) {
    this.own = own;
  }

  find(id: string | null): Pool | undefined {
    return id === null ? this.own : this.#attached.get(id);
  }

  findAttached(id: string): AttachedPool | undefined {
    return this.#attached.get(id);
  }

  all(): readonly Pool[] {
    return [this.own, ...this.#attached.values()];
  }

  attached(): readonly AttachedPool[] {
    return [...this.#attached.values()];
  }

  /** @throws AspenError RESOURCE_EXHAUSTED when the node has as many as it may. */
  add(pool: AttachedPool): void {
    if (this.#attached.size >= POOLS_LIMIT) {
      throw new AspenError(
        'RESOURCE_EXHAUSTED',
        `this node has ${POOLS_LIMIT} attached workers, it takes no more`,
        {
          details: { limit: 'POOLS_LIMIT', retryAfterMs: RETRY_AFTER_MS },
        },
      );
    }
    this.#attached.set(pool.id, pool);
    this.changed();
  }

  remove(pool: AttachedPool): void {
    if (this.#attached.get(pool.id) !== pool) return;
    this.#attached.delete(pool.id);
    this.changed();
  }

  /** What a pool offers is another than before. Changes of one turn are told once. */
  changed(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#changes.emit();
    });
  }

  onChange(callback: () => void): Disposable {
    return this.#changes.add(callback);
  }
}

const RETRY_AFTER_MS = 1_000;
