import type { Model, Operation } from './history.ts';
import { checkLinearizable, type LinearizabilityOptions, type Verdict } from './linearizability.ts';
import { type RegisterInput, type RegisterOutput, type RegisterState, registerModel } from './register.ts';

/** An operation of a branch of a transaction; no two of one branch name the same key. */
export type BranchInput = Extract<RegisterInput, { type: 'get' | 'put' | 'delete' }>;

/** If every key has the value it is compared with (null: none), does `success`, else `failure`: as one change. */
export interface TransactionInput {
  readonly type: 'transaction';
  readonly compare: readonly { readonly key: string; readonly value: string | null }[];
  readonly success: readonly BranchInput[];
  readonly failure: readonly BranchInput[];
}

export type KvInput = RegisterInput | TransactionInput;

export interface KvOutput extends RegisterOutput {
  /** Of a transaction: whether all that was compared held. */
  readonly isDone?: boolean;
  /** Of a transaction: of the branch that was done, in order. */
  readonly responses?: readonly RegisterOutput[];
}

/** Keys that were written at least once. */
export type KvState = ReadonlyMap<string, RegisterState>;

/**
 * Several keys of the KV store, changed together by transactions. None of its operations is blind: a write leaves the other keys as they were,
 * and one read may need several unknown writes before it.
 */
export const kvModel: Model<KvState, KvInput, KvOutput> = {
  initial: new Map(),
  step(state, input, output) {
    return input.type === 'transaction' ? transacted(state, input, output) : changed(state, input, output);
  },
  keyOf: (state) =>
    [...state.keys()]
      .sort()
      .map((key) => `${key}${registerModel.keyOf(state.get(key) as RegisterState)}`)
      .join(),
  describe: (input, output) => {
    if (input.type !== 'transaction') return registerModel.describe(input, output);
    const { type, ...rest } = input;
    return `${type} ${JSON.stringify(rest)} -> ${output === undefined ? 'unknown' : JSON.stringify(output)}`;
  },
};

/** Whether a history of the KV store is linearizable. Keys that no transaction joins to others are checked as single registers. */
export function checkKv(
  history: readonly Operation<KvInput, KvOutput>[],
  limits: Pick<LinearizabilityOptions<KvInput>, 'stepsLimit'> = {},
): Verdict {
  const partitionOf = kvPartitions(history.map(({ input }) => input));
  const joint = new Set(
    history.flatMap(({ input }) => (input.type === 'transaction' ? [partitionOf(input)] : [])),
  );
  const isJoint = ({ input }: Operation<KvInput, KvOutput>) => joint.has(partitionOf(input));
  const single = history.filter(
    (operation): operation is Operation<RegisterInput, RegisterOutput> => !isJoint(operation),
  );
  const verdict = checkLinearizable(single, registerModel, { ...limits, partitionOf });
  if (!verdict.isLinearizable) return verdict;
  return checkLinearizable(history.filter(isJoint), kvModel, { ...limits, partitionOf });
}

/** @returns to which partition an operation belongs: keys that any transaction of the history names together are in one. */
export function kvPartitions(inputs: Iterable<KvInput>): (input: KvInput) => string {
  const parents = new Map<string, string>();
  const rootOf = (key: string): string => {
    let root = key;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    return root;
  };
  for (const input of inputs) {
    const [first, ...others] = keysOf(input);
    for (const key of others) {
      const [left, right] = [rootOf(first as string), rootOf(key)];
      if (left !== right) parents.set(right, left);
    }
  }
  return (input) => rootOf(keysOf(input)[0] as string);
}

function keysOf(input: KvInput): readonly string[] {
  if (input.type !== 'transaction') return [input.key];
  return [...input.compare, ...input.success, ...input.failure].map(({ key }) => key);
}

function changed(
  state: KvState,
  input: RegisterInput,
  output: RegisterOutput | undefined,
): KvState | undefined {
  const before = state.get(input.key) ?? registerModel.initial;
  const after = registerModel.step(before, input, output);
  if (after === undefined || after === before) return after && state;
  return new Map(state).set(input.key, after);
}

function transacted(
  state: KvState,
  { compare, success, failure }: TransactionInput,
  output: KvOutput | undefined,
): KvState | undefined {
  const holds = compare.every(({ key, value }) => (state.get(key)?.value ?? null) === value);
  if (output?.isDone !== undefined && output.isDone !== holds) return undefined;
  let next: KvState | undefined = state;
  for (const [at, input] of (holds ? success : failure).entries())
    next = next && changed(next, input, output?.responses?.[at]);
  return next;
}
