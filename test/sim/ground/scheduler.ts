import { type Random, SeededRandom } from '../../../src/base/index.ts';
import { EventQueue, type SimEvent } from './event-queue.ts';

// Kept before anything forbids it: between two of them every microtask of the first one runs.
const realTurn = setImmediate;
/** Asked for at once, since a round of the real event loop costs more than most events do. */
const TURNS_AT_ONCE = 64;

export interface RunLimits {
  /** Virtual time at which the run stops, though events remain. Unit: ms. @default no limit */
  readonly untilMs?: number;
  /** Asked after each event; true stops the run. */
  readonly condition?: () => boolean;
  /** @default 1_000_000 */
  readonly maxEvents?: number;
}

export type RunEnd = 'time' | 'condition' | 'idle' | 'events';

/** Something to call off. */
export interface Scheduled {
  cancel(): void;
}

/**
 * The world's only source of time and order: one queue of events, run one after the other. After each, all promises that can move on do,
 * before virtual time goes further; so promises are the only concurrency, and the same seed makes the same run.
 */
export class Scheduler {
  readonly #queue = new EventQueue();
  readonly #random: Random;
  readonly #rejections: unknown[] = [];
  #nowMs = 0;
  #lastSequence = 0;
  #eventsRun = 0;
  #isRunning = false;
  #observe: (event: SimEvent) => void = () => undefined;
  #onRejection: (reason: unknown) => void = (reason) => {
    throw reason;
  };

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  /** Virtual ms since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get eventsRun(): number {
    return this.#eventsRun;
  }

  /** @param observe is told every event before it runs, e.g. to trace it. */
  observeEvents(observe: (event: SimEvent) => void): void {
    this.#observe = observe;
  }

  /** @param handle is told what a promise that nobody awaited rejected with. @default the run ends with it */
  onRejection(handle: (reason: unknown) => void): void {
    this.#onRejection = handle;
  }

  /** Events of the same moment run in an order drawn from the seed. */
  after(afterMs: number, run: () => void, label = 'timer'): Scheduled {
    this.#lastSequence += 1;
    const event: SimEvent = {
      atMs: this.#nowMs + Math.max(0, afterMs),
      tieBreak: this.#random.uint32(),
      sequence: this.#lastSequence,
      label,
      run,
      isCancelled: false,
    };
    this.#queue.push(event);
    return {
      cancel: () => {
        event.isCancelled = true;
      },
    };
  }

  /**
   * Runs events until a limit or until none is left.
   * @throws what an event threw, or a promise that nobody awaited rejected with, at the moment it happened. Also when a run is under way: two would
   *   each let the other's promises move on at moments of real time.
   */
  async run({
    untilMs = Number.POSITIVE_INFINITY,
    condition,
    maxEvents = 1_000_000,
  }: RunLimits): Promise<RunEnd> {
    if (this.#isRunning) throw new Error('the world runs already: ask its nodes, and let one wait run it');
    this.#isRunning = true;
    const onRejection = (reason: unknown) => this.#rejections.push(reason);
    process.on('unhandledRejection', onRejection);
    const lastEvent = this.#eventsRun + maxEvents;
    try {
      return await takeTurns(() => {
        this.#tellRejections();
        if (condition?.()) return 'condition';
        if (this.#eventsRun >= lastEvent) return 'events';
        const event = this.#next(untilMs);
        if (event === undefined) return this.#endOfTime(untilMs);
        this.#nowMs = event.atMs;
        this.#eventsRun += 1;
        this.#observe(event);
        event.run();
        return undefined;
      });
    } finally {
      process.off('unhandledRejection', onRejection);
      this.#isRunning = false;
    }
  }

  #next(untilMs: number): SimEvent | undefined {
    for (let first = this.#queue.peek(); first !== undefined; first = this.#queue.peek()) {
      if (!first.isCancelled && first.atMs > untilMs) return undefined;
      this.#queue.pop();
      if (!first.isCancelled) return first;
    }
    return undefined;
  }

  #endOfTime(untilMs: number): RunEnd {
    const isIdle = this.#queue.size === 0;
    if (Number.isFinite(untilMs)) this.#nowMs = Math.max(this.#nowMs, untilMs);
    return isIdle ? 'idle' : 'time';
  }

  #tellRejections(): void {
    if (this.#rejections.length === 0) return;
    for (const rejection of this.#rejections.splice(0)) this.#onRejection(rejection);
  }
}

/** Calls `turn` until it gives something; between two calls every promise that can move on does, and what nobody awaited is found to have rejected. */
function takeTurns<T>(turn: () => T | undefined): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let isOver = false;
  const takeOne = () => {
    if (isOver) return;
    try {
      const end = turn();
      if (end === undefined) return;
      isOver = true;
      resolve(end);
    } catch (error) {
      isOver = true;
      reject(error);
    }
  };
  const takeMany = () => {
    if (isOver) return;
    for (let at = 0; at < TURNS_AT_ONCE; at += 1) realTurn(takeOne);
    realTurn(takeMany);
  };
  takeMany();
  return promise;
}
