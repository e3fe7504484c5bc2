import { decode, encode, type LogIndex, type PeerId, type Term } from '../base/index.ts';
import { type Key, StorageFault, type StoreView } from '../storage/index.ts';
import { type Configuration, type HardState, parseConfiguration, type SnapshotMeta } from './raft/index.ts';

/** Entries of the log: this prefix, then the index in 8 bytes. */
export const LOG_PREFIX: Key = 'l/';
const HARD_STATE_KEY: Key = 'r/hard-state';
const LOG_BASE_KEY: Key = 'r/log-base';
const SPACE_KEY: Key = 'r/space';

/**
 * Applied tables live in one of two spaces. A snapshot is received into the other one, which then becomes the current one in the same
 * batch that ends the old log: a crash leaves either all of the old state or all of the new.
 */
export type Space = 't0/' | 't1/';
export const MACHINE_SPACES: readonly Space[] = ['t0/', 't1/'];

export function otherSpace(space: Space): Space {
  return space === 't0/' ? 't1/' : 't0/';
}

/** What stands before the first entry of the log. */
export interface LogBase extends SnapshotMeta {
  /** Checksum of the last entry that was dropped: the chain goes on from it. */
  readonly crc: number;
}

export const NO_CONFIGURATION: Configuration = { voters: [], outgoing: [], learners: [] };

export const EMPTY_BASE: LogBase = {
  index: 0 as LogIndex,
  term: 0 as Term,
  configuration: NO_CONFIGURATION,
  crc: 0,
};
export const FRESH_HARD_STATE: HardState = {
  term: 0 as Term,
  votedFor: null,
  commitIndex: 0 as LogIndex,
};

/** A write buffer, as far as the log and its surroundings need it. */
export interface DiskView extends StoreView {
  put(key: Key, value: Uint8Array): void;
  delete(key: Key): void;
  deleteRange(range: { readonly from: Key; readonly to: Key }): void;
}

export function readHardState(store: StoreView): HardState {
  const bytes = store.get(HARD_STATE_KEY);
  if (bytes === undefined) return FRESH_HARD_STATE;
  const [term, votedFor, commitIndex] = listOf(bytes, HARD_STATE_KEY);
  return { term: term as Term, votedFor: votedFor as PeerId | null, commitIndex: commitIndex as LogIndex };
}

export function putHardState(store: DiskView, { term, votedFor, commitIndex }: HardState): void {
  store.put(HARD_STATE_KEY, encode([term, votedFor, commitIndex]));
}

export function readLogBase(store: StoreView): LogBase {
  const bytes = store.get(LOG_BASE_KEY);
  if (bytes === undefined) return EMPTY_BASE;
  const [index, term, crc, configuration] = listOf(bytes, LOG_BASE_KEY);
  return {
    index: index as LogIndex,
    term: term as Term,
    crc: crc as number,
    configuration: readConfiguration(configuration),
  };
}

export function putLogBase(store: DiskView, { index, term, crc, configuration }: LogBase): void {
  store.put(LOG_BASE_KEY, encode([index, term, crc, configuration]));
}

export function readSpace(store: StoreView): Space {
  const bytes = store.get(SPACE_KEY);
  return bytes?.[0] === 1 ? 't1/' : 't0/';
}

export function putSpace(store: DiskView, space: Space): void {
  store.put(SPACE_KEY, Uint8Array.of(space === 't1/' ? 1 : 0));
}

/** @throws StorageFault `damaged`. A log that never had a configuration holds the empty one. */
export function readConfiguration(value: unknown): Configuration {
  const voters = (value as Partial<Configuration> | null)?.voters;
  if (Array.isArray(voters) && voters.length === 0) return NO_CONFIGURATION;
  const configuration = parseConfiguration(value);
  if (configuration === undefined) throw new StorageFault('damaged', 'a stored configuration is malformed');
  return configuration;
}

function listOf(bytes: Uint8Array, key: Key): readonly unknown[] {
  const value = decode(bytes);
  if (!Array.isArray(value)) throw new StorageFault('damaged', `the record ${key} is malformed`);
  return value;
}
