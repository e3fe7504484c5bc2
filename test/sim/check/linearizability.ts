import type { Model, Operation } from './history.ts';

/** Search steps after which a history counts as undecided. @see LinearizabilityOptions */
const STEPS_LIMIT_DEFAULT = 2_000_000;

export interface LinearizabilityOptions<I> {
  /** Operations on different partitions never affect each other, so each is checked alone. @default one partition */
  readonly partitionOf?: (input: I) => string;
  /** @default 2_000_000 */
  readonly stepsLimit?: number;
}

export type Verdict =
  | { readonly isLinearizable: true }
  /** `story` shows the longest order found and what could not follow it. */
  | { readonly isLinearizable: false; readonly partition: string; readonly story: readonly string[] };

/**
 * Whether the operations can be put into one order that the model allows and that respects real time: what returned before another was
 * called comes before it. Operations of the same millisecond count as concurrent.
 *
 * The search of Wing and Gong with the memo of Lowe ("Testing for linearizability", 2017): a set of linearized operations together with a
 * state is tried once. Operations without a result may take a place, and need none; one is placed only where it changes what follows.
 * @throws Error when a partition needs more than `stepsLimit` steps: neither good nor bad was shown.
 */
export function checkLinearizable<S, I, O>(
  history: readonly Operation<I, O>[],
  model: Model<S, I, O>,
  { partitionOf = () => 'all', stepsLimit = STEPS_LIMIT_DEFAULT }: LinearizabilityOptions<I> = {},
): Verdict {
  for (const [partition, operations] of partitioned(history, partitionOf)) {
    const search = new Search(operations, model, stepsLimit);
    if (!search.run()) return { isLinearizable: false, partition, story: search.story() };
  }
  return { isLinearizable: true };
}

function partitioned<I, O>(
  history: readonly Operation<I, O>[],
  partitionOf: (input: I) => string,
): Map<string, Operation<I, O>[]> {
  const partitions = new Map<string, Operation<I, O>[]>();
  for (const operation of history) {
    const name = partitionOf(operation.input);
    const partition = partitions.get(name);
    if (partition === undefined) partitions.set(name, [operation]);
    else partition.push(operation);
  }
  return partitions;
}

interface Placed<S> {
  readonly at: number;
  /** Before the operation. */
  readonly state: S;
}

class Search<S, I, O> {
  /** In order of their calls; the completed ones before the unknown ones. */
  readonly #operations: readonly Operation<I, O>[];
  readonly #completed: number;
  readonly #model: Model<S, I, O>;
  readonly #stepsLimit: number;
  readonly #isPlaced: boolean[];
  readonly #hasDependentUnknown: boolean;
  readonly #tried = new Set<string>();
  readonly #order: Placed<S>[] = [];
  /** All completed operations before this one are placed. */
  #low = 0;
  #left: number;
  #best: readonly number[] = [];

  constructor(operations: readonly Operation<I, O>[], model: Model<S, I, O>, stepsLimit: number) {
    const byCall = [...operations].sort((left, right) => left.calledMs - right.calledMs);
    const completed = byCall.filter(({ result }) => result !== undefined);
    this.#operations = [...completed, ...byCall.filter(({ result }) => result === undefined)];
    this.#completed = completed.length;
    this.#left = completed.length;
    this.#model = model;
    this.#stepsLimit = stepsLimit;
    this.#isPlaced = this.#operations.map(() => false);
    this.#hasDependentUnknown = byCall.some(
      ({ input, result }) => result === undefined && !(model.isBlind?.(input) ?? false),
    );
  }

  run(): boolean {
    let state = this.#model.initial;
    let candidates = this.#candidates(state);
    const open: number[][] = [];
    for (let steps = 0; this.#left > 0; steps += 1) {
      if (steps > this.#stepsLimit) throw new Error(`linearizability undecided after ${steps} steps`);
      const next = this.#placeFirstOf(candidates, state);
      if (next !== undefined) {
        open.push(candidates);
        state = next;
        candidates = this.#candidates(state);
        continue;
      }
      if (this.#order.length > this.#best.length) this.#best = this.#order.map(({ at }) => at);
      const last = this.#takeBack();
      if (last === undefined) return false;
      state = last.state;
      candidates = open.pop() as number[];
    }
    return true;
  }

  story(): readonly string[] {
    const lines = this.#best.map((at) => `  ${this.#lineOf(at)}`);
    const placed = new Set(this.#best);
    const stuck = this.#operations.map((_, at) => at).filter((at) => at < this.#completed && !placed.has(at));
    return [
      ...lines.slice(-20),
      'and then none of:',
      ...stuck.slice(0, 10).map((at) => `  ${this.#lineOf(at)}`),
    ];
  }

  /** Takes candidates from the list until one leads to what was not tried yet. */
  #placeFirstOf(candidates: number[], state: S): S | undefined {
    for (let at = candidates.shift(); at !== undefined; at = candidates.shift()) {
      const next = this.#stepOf(at, state);
      if (next === undefined || this.#isIdle(this.#order.at(-1), at, next)) continue;
      this.#place(at, state);
      const key = this.#keyOf(next);
      if (!this.#tried.has(key)) {
        this.#tried.add(key);
        return next;
      }
      this.#takeBack();
    }
    return undefined;
  }

  /** Those that nothing unplaced must come before; completed ones first. */
  #candidates(state: S): number[] {
    const unplaced: number[] = [];
    let firstReturnMs = Number.POSITIVE_INFINITY;
    for (let at = this.#low; at < this.#completed; at += 1) {
      if (this.#calledMs(at) > firstReturnMs) break;
      if (this.#isPlaced[at]) continue;
      unplaced.push(at);
      firstReturnMs = Math.min(firstReturnMs, this.#operations[at]?.result?.atMs ?? firstReturnMs);
    }
    const completed = unplaced.filter((at) => this.#calledMs(at) <= firstReturnMs);
    return [...completed, ...this.#unknownCandidates(state, completed, firstReturnMs)];
  }

  /**
   * An operation of unknown outcome is there to explain what others saw: without one whose answer it makes possible, it need not be
   * placed. Another unknown one may be explained so too, unless it does the same whatever was before it.
   */
  #unknownCandidates(state: S, completed: readonly number[], firstReturnMs: number): number[] {
    const candidates: number[] = [];
    const key = this.#model.keyOf(state);
    for (let at = this.#completed; at < this.#operations.length; at += 1) {
      if (this.#calledMs(at) > firstReturnMs) break;
      if (this.#isPlaced[at]) continue;
      const next = this.#stepOf(at, state);
      if (next === undefined || this.#model.keyOf(next) === key) continue;
      const isNeeded = completed.some((other) => this.#follows(other, { at, state }, next));
      if (isNeeded || this.#hasDependentUnknown) candidates.push(at);
    }
    return candidates;
  }

  /** Whether `other` can come right after the unknown `last`, which led to `next`, and would not be the same without it. */
  #follows(other: number, last: Placed<S>, next: S): boolean {
    const beyond = this.#stepOf(other, next);
    return beyond !== undefined && !this.#isIdle(last, other, beyond);
  }

  /**
   * Whether an unknown operation placed just before `at` changed nothing for it: the same state is reached without the unknown one, or with
   * it placed after `at`. Another branch of the search does either, so this one need not be followed.
   */
  #isIdle(last: Placed<S> | undefined, at: number, next: S): boolean {
    if (last === undefined || last.at < this.#completed) return false;
    const without = this.#stepOf(at, last.state);
    if (without === undefined) return false;
    const key = this.#model.keyOf(next);
    if (this.#model.keyOf(without) === key) return true;
    const after = at < this.#completed ? this.#stepOf(last.at, without) : undefined;
    return after !== undefined && this.#model.keyOf(after) === key;
  }

  #stepOf(at: number, state: S): S | undefined {
    const { input, result } = this.#operations[at] as Operation<I, O>;
    return this.#model.step(state, input, result?.output);
  }

  #calledMs(at: number): number {
    return this.#operations[at]?.calledMs ?? 0;
  }

  #place(at: number, state: S): void {
    this.#order.push({ at, state });
    this.#isPlaced[at] = true;
    if (at < this.#completed) this.#left -= 1;
    while (this.#low < this.#completed && this.#isPlaced[this.#low]) this.#low += 1;
  }

  #takeBack(): Placed<S> | undefined {
    const last = this.#order.pop();
    if (last === undefined) return undefined;
    this.#isPlaced[last.at] = false;
    if (last.at < this.#completed) {
      this.#left += 1;
      this.#low = Math.min(this.#low, last.at);
    }
    return last;
  }

  /** The set of placed operations, short: all below `#low`, and by number the few beyond it. */
  #keyOf(state: S): string {
    let key = `${this.#low}`;
    for (let at = this.#low; at < this.#completed; at += 1) {
      if (this.#isPlaced[at]) key += `,${at}`;
      else if (this.#calledMs(at) > this.#horizonMs()) break;
    }
    for (let at = this.#completed; at < this.#operations.length; at += 1)
      if (this.#isPlaced[at]) key += `;${at}`;
    return `${key}|${this.#model.keyOf(state)}`;
  }

  /** Nothing called after this can be placed while the first unplaced operation is not. */
  #horizonMs(): number {
    return this.#operations[this.#low]?.result?.atMs ?? Number.POSITIVE_INFINITY;
  }

  #lineOf(at: number): string {
    const { client, input, calledMs, result } = this.#operations[at] as Operation<I, O>;
    const time = `${calledMs}..${result?.atMs ?? '?'}`;
    return `${client} ${time} ms: ${this.#model.describe(input, result?.output)}`;
  }
}
