import type { Model } from './history.ts';

export type RegisterInput =
  | { readonly type: 'get'; readonly key: string }
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string }
  /** Writes when the value is `expected`; null: when there is none. */
  | { readonly type: 'cas'; readonly key: string; readonly expected: string | null; readonly value: string }
  /** Writes when the revision is `expected`; 0: when there is no value. */
  | { readonly type: 'casRevision'; readonly key: string; readonly expected: number; readonly value: string };

/** What is absent was not told and is not checked. */
export interface RegisterOutput {
  /** Of a get; null when there is none. */
  readonly value?: string | null;
  /** Of a get, the revision of the value; of a write, the one it made. */
  readonly revision?: number;
  /** Of a cas, whether it wrote; of a delete, whether there was a value. */
  readonly isDone?: boolean;
}

export interface RegisterState {
  readonly value: string | null;
  /** Of the value, where it is known: a write whose answer was lost has some revision above `floor`. */
  readonly revision: number | undefined;
  /** Highest revision seen: every later write has a greater one. */
  readonly floor: number;
}

/** One key of the KV store. Partition a history by key before checking. */
export const registerModel: Model<RegisterState, RegisterInput, RegisterOutput> = {
  initial: { value: null, revision: 0, floor: 0 },
  step(state, input, output) {
    switch (input.type) {
      case 'get':
        return read(state, output);
      case 'put':
        return written(state, input.value, output?.revision);
      case 'delete':
        if (output?.isDone !== undefined && output.isDone !== (state.value !== null)) return undefined;
        return state.value === null ? state : erased(state, output?.revision);
      case 'cas':
        return compared(state, input.value, output, state.value === input.expected ? 'yes' : 'no');
      case 'casRevision':
        return compared(state, input.value, output, hasRevision(state, input.expected));
    }
  },
  isBlind: ({ type }) => type === 'get' || type === 'put' || type === 'delete',
  keyOf: ({ value, revision, floor }) => `${value === null ? '-' : `=${value}`}@${revision ?? '?'}/${floor}`,
  describe: (input, output) => {
    const { type, key, ...rest } = input;
    return `${type} ${key} ${JSON.stringify(rest)} -> ${output === undefined ? 'unknown' : JSON.stringify(output)}`;
  },
};

export const registerPartition = ({ key }: RegisterInput): string => key;

function read(state: RegisterState, output: RegisterOutput | undefined): RegisterState | undefined {
  if (output?.value !== undefined && output.value !== state.value) return undefined;
  if (output?.revision === undefined || state.value === null) return state;
  if (state.revision !== undefined) return output.revision === state.revision ? state : undefined;
  if (output.revision <= state.floor) return undefined;
  return { ...state, revision: output.revision, floor: output.revision };
}

function written(
  { floor }: RegisterState,
  value: string,
  revision: number | undefined,
): RegisterState | undefined {
  if (revision !== undefined && revision <= floor) return undefined;
  return { value, revision, floor: revision ?? floor };
}

function erased({ floor }: RegisterState, revision: number | undefined): RegisterState | undefined {
  if (revision !== undefined && revision <= floor) return undefined;
  return { value: null, revision: 0, floor: revision ?? floor };
}

function hasRevision({ value, revision, floor }: RegisterState, expected: number): 'yes' | 'no' | 'perhaps' {
  if (value === null) return expected === 0 ? 'yes' : 'no';
  if (revision !== undefined) return revision === expected ? 'yes' : 'no';
  return expected > floor ? 'perhaps' : 'no';
}

/** An unknown outcome takes a place in the order only where it wrote: where it did not, leaving it out is the same. */
function compared(
  state: RegisterState,
  value: string,
  output: RegisterOutput | undefined,
  matches: 'yes' | 'no' | 'perhaps',
): RegisterState | undefined {
  const isDone = output?.isDone ?? (output === undefined ? true : matches !== 'no');
  if (matches !== 'perhaps' && isDone !== (matches === 'yes')) return undefined;
  return isDone ? written(state, value, output?.revision) : state;
}
