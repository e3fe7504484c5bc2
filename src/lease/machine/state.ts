import { decode, encode, type LogIndex, type Term } from '../../base/index.ts';
import { type Key, StorageFault, type StoreView } from '../../storage/index.ts';
import type { Configuration } from '../raft/index.ts';

/** What the host itself remembers about everything applied so far. Lives among the tables, so it is part of every snapshot. */
export interface MachineState {
  index: LogIndex;
  term: Term;
  /** The configuration as of `index`. */
  configuration: Configuration;
  epoch: number;
  /** Commands applied in this epoch and all before it. */
  commandCount: number;
  groupMs: number;
  wallMs: number;
  /** Machine version agreed on: no newer command may enter the log. */
  version: number;
  /** Of every write and refusal so far. */
  hash: number;
  /** Request ids of programs now remembered. */
  requestIdCount: number;
}

export function initialState(): MachineState {
  return {
    index: 0 as LogIndex,
    term: 0 as Term,
    configuration: { voters: [], outgoing: [], learners: [] },
    epoch: 1,
    commandCount: 0,
    groupMs: 0,
    wallMs: 0,
    version: 1,
    hash: 0,
    requestIdCount: 0,
  };
}

export function stateKey(space: Key): Key {
  return `${space}0/state/`;
}

/** @throws StorageFault `damaged` when what is stored is not a state. */
export function readState(store: StoreView, space: Key): MachineState {
  const bytes = store.get(stateKey(space));
  if (bytes === undefined) return initialState();
  const state = decode(bytes) as Partial<MachineState> | null;
  if (typeof state?.index !== 'number' || typeof state.commandCount !== 'number') {
    throw new StorageFault('damaged', 'the record of what was applied is malformed');
  }
  return state as MachineState;
}

export function encodeState(state: MachineState): Uint8Array {
  return encode(state);
}

const EPOCH_STEP = 2 ** 40;

/** @returns epoch x 2^40 + number of the command: the order of all commands for ever, also over a recovery. */
export function positionOf({ epoch, commandCount }: Pick<MachineState, 'epoch' | 'commandCount'>): number {
  return epoch * EPOCH_STEP + commandCount;
}
