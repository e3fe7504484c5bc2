import { decode, encode, type LogIndex, type PeerId, type Term } from '../base/index.ts';
import { type Key, StorageFault, type StoreView } from '../storage/index.ts';

/**
 * One life of a group. A recovery begins the next one; nothing of an earlier one is ever merged into it.
 * `by` tells two recoveries apart that were begun at once where neither saw the other: one of them wins everywhere.
 */
export interface Epoch {
  readonly number: number;
  /** Who recovered; empty for the epoch that a group is founded in. */
  readonly by: string;
}

export const FIRST_EPOCH: Epoch = { number: 1, by: '' };

/** Terms of a later epoch are above all of an earlier one, so whoever compares terms alone is right too. */
const TERMS_PER_EPOCH = 1_000_000_000;
const EPOCH_KEY: Key = 'r/epoch';
const SUPERSEDED_KEY: Key = 'r/superseded';

/** @returns below 0 when `left` is the older one. */
export function compareEpochs(left: Epoch, right: Epoch): number {
  if (left.number !== right.number) return left.number - right.number;
  return left.by === right.by ? 0 : left.by < right.by ? -1 : 1;
}

export function firstTermOf(epoch: Epoch, lastTerm: Term): Term {
  return Math.max(lastTerm + 1, epoch.number * TERMS_PER_EPOCH + 1) as Term;
}

export type EpochWire = readonly [number: number, by: string];

export function epochToWire({ number, by }: Epoch): EpochWire {
  return [number, by];
}

/** @returns undefined for what is no epoch. */
export function epochFromWire(value: unknown): Epoch | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [number, by] = value as readonly unknown[];
  if (!Number.isSafeInteger(number) || (number as number) < 1 || (number as number) > 2 ** 12)
    return undefined;
  if (typeof by !== 'string' || by.length > 128) return undefined;
  return { number: number as number, by };
}

/** @throws StorageFault `damaged`. */
export function readEpoch(store: StoreView): Epoch {
  const bytes = store.get(EPOCH_KEY);
  if (bytes === undefined) return FIRST_EPOCH;
  const epoch = epochFromWire(decode(bytes));
  if (epoch === undefined) throw new StorageFault('damaged', `the record ${EPOCH_KEY} is malformed`);
  return epoch;
}

export function epochRecord(epoch: Epoch): { readonly key: Key; readonly value: Uint8Array } {
  return { key: EPOCH_KEY, value: encode(epochToWire(epoch)) };
}

/** What this node held of a life of the group that a recovery ended: given up, and never merged. */
export interface Superseded {
  readonly epoch: number;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly atWallMs: number;
  readonly newEpoch: number;
  readonly recoveredBy: PeerId;
}

export function supersededRecord(superseded: Superseded): { readonly key: Key; readonly value: Uint8Array } {
  return { key: SUPERSEDED_KEY, value: encode(superseded) };
}

export function readSuperseded(store: StoreView): Superseded | undefined {
  const bytes = store.get(SUPERSEDED_KEY);
  return bytes === undefined ? undefined : (decode(bytes) as Superseded);
}
