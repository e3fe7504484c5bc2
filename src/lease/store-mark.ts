import { decode, encode, type LogIndex, type Term } from '../base/index.ts';
import { type Key, StorageFault, type StoreView } from '../storage/index.ts';
import { readHardState } from './disk-layout.ts';
import { compareEpochs, type Epoch, readEpoch } from './epoch.ts';
import type { Owner } from './peer-memory-rules.ts';

const OWNER_KEY: Key = 'r/owner';

/** How far a store has come by its own records; each part only grows while nobody puts an older copy in its place. */
export interface StoreMark {
  readonly owner: Owner;
  readonly epoch: Epoch;
  readonly term: Term;
  readonly commitIndex: LogIndex;
}

/** @returns who took part in the group with this store last; undefined where nobody did. @throws StorageFault `damaged`. */
export function readOwner(store: StoreView): Owner | undefined {
  const bytes = store.get(OWNER_KEY);
  if (bytes === undefined) return undefined;
  const value = decode(bytes);
  const [incarnation, bootCount] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  if (typeof incarnation !== 'string' || !Number.isSafeInteger(bootCount)) {
    throw new StorageFault('damaged', `the record ${OWNER_KEY} is malformed`);
  }
  return { incarnation, bootCount: bootCount as number };
}

export function ownerRecord({ incarnation, bootCount }: Owner): {
  readonly key: Key;
  readonly value: Uint8Array;
} {
  return { key: OWNER_KEY, value: encode([incarnation, bootCount]) };
}

/** @returns undefined for a store that never took part in a group. @throws StorageFault `damaged`. */
export function readMark(store: StoreView): StoreMark | undefined {
  const owner = readOwner(store);
  if (owner === undefined) return undefined;
  const { term, commitIndex } = readHardState(store);
  return { owner, epoch: readEpoch(store), term, commitIndex };
}

/**
 * W5 What was noted outside of the store was in it before, so a store that has less is an older copy.
 * @returns why the store does not count, in words that go on from "the store of this node"; null when it is as it should be.
 */
export function markObjection(now: StoreMark | undefined, noted: StoreMark): string | null {
  if (now === undefined)
    return 'has never taken part in the group, and this node has: another store was put in its place';
  const isSameLife = now.owner.incarnation === noted.owner.incarnation;
  if (isSameLife && now.owner.bootCount < noted.owner.bootCount) {
    return `is of start ${now.owner.bootCount}, and this node has taken part since start ${noted.owner.bootCount}: an older copy was put back`;
  }
  const order = compareEpochs(now.epoch, noted.epoch);
  if (order > 0) return null;
  if (order === 0 && now.term >= noted.term && now.commitIndex >= noted.commitIndex) return null;
  return `knows ${now.commitIndex} agreed entries in term ${now.term}, and has known ${noted.commitIndex} in term ${noted.term}: an older copy was put back`;
}
