import type { LogIndex, PeerId, Random } from '../base/index.ts';
import { StorageFault, type Store, WriteBuffer } from '../storage/index.ts';
import { putHardState, readHardState, readSpace, type Space } from './disk-layout.ts';
import { LogStore } from './log-store.ts';
import { Machine, type MachineModule } from './machine/index.ts';
import { type CommitRule, type Persist, Raft } from './raft/index.ts';

/** The leader of a group in which nothing happens speaks every third tick. */
const REST_TICKS = 3;

/** All that one run over the store holds in memory. Thrown away and opened again when the disk fell behind it. */
export interface ReplicaState {
  /** Log and hard state on their way to the disk: durable before anything is said. */
  readonly buffer: WriteBuffer;
  /** Applied tables on their way to the disk: later, since the log can lead to them again. */
  tables: WriteBuffer;
  readonly log: LogStore;
  readonly raft: Raft;
  space: Space;
  machine: Machine;
}

export interface OpenComponents {
  readonly self: PeerId;
  readonly store: Store;
  readonly random: Random;
  readonly modules: readonly MachineModule[];
  readonly commitRule?: CommitRule;
  /** Whether replicas can be compared by what they applied. */
  readonly isHashed: boolean;
  readonly tickMs: number;
  /** Counts sleep: what a leader's lease runs on. Unit: ms. */
  readonly leaseMs: () => number;
}

/** @throws StorageFault `damaged` when the log or the tables do not hold together. */
export function openReplicaState(components: OpenComponents): ReplicaState {
  const { self, store, random, modules, commitRule, isHashed, tickMs, leaseMs } = components;
  const buffer = new WriteBuffer(store);
  const log = new LogStore(buffer);
  const space = readSpace(buffer);
  const tables = new WriteBuffer(store, { isBehind: true });
  const machine = new Machine({ store: tables, space, modules, isHashed });
  requireTogether(log, {
    appliedIndex: machine.appliedIndex,
    commitIndex: readHardState(buffer).commitIndex,
  });
  const raft = new Raft(
    { self, tickMs, restTicks: REST_TICKS, commitNotice: 'when-asked' },
    { random, log, monotonicMs: leaseMs, ...(commitRule !== undefined && { commitRule }) },
    {
      hardState: readHardState(buffer),
      configuration: log.configuration,
      appliedIndex: machine.appliedIndex,
    },
  );
  return { buffer, tables, log, raft, space, machine };
}

/** L3: log, hard state and tables were written in this order; where one is ahead of another, the other has lost its end. */
function requireTogether(
  log: LogStore,
  { appliedIndex, commitIndex }: { readonly appliedIndex: LogIndex; readonly commitIndex: LogIndex },
): void {
  const first = log.firstIndex() - 1;
  const last = log.lastIndex();
  if (appliedIndex >= first && appliedIndex <= last && commitIndex <= last) return;
  throw new StorageFault(
    'damaged',
    `the log holds entries ${first + 1} to ${last}, but ${commitIndex} were committed and ${appliedIndex} applied`,
  );
}

/** Puts what raft wants durable into the buffer; the next flush carries it. */
export function stagePersist(
  { buffer, log }: ReplicaState,
  { hardState, truncateFrom, entries }: Persist,
): void {
  if (truncateFrom !== null) log.truncate(truncateFrom);
  log.append(entries);
  if (hardState !== null) putHardState(buffer, hardState);
}

/** Tables are taken to disk when so much was written to them; once a second otherwise. */
const TABLE_WRITES = 4_000;
const TABLE_BYTES = 4 * 2 ** 20;
/** Beyond so many times of it the log waits for the tables, so that memory stays bounded on a slow disk. */
const FAR_BEHIND = 8;

/** Whether the tables have waited long enough: what changes again soon is written once. */
export function areTablesDue({ tables, machine }: ReplicaState, times = 1): boolean {
  const { writes, bytes } = machine.behind;
  return tables.openCount + writes >= TABLE_WRITES * times || tables.openBytes + bytes >= TABLE_BYTES * times;
}

export function areTablesFarBehind(state: ReplicaState): boolean {
  return areTablesDue(state, FAR_BEHIND);
}

export interface CompactionOptions {
  /** Entries kept for followers that lag. @default 10_000 */
  readonly keepEntries?: number;
  /** Stored size that is kept. @default 64 MiB */
  readonly keepBytes?: number;
  /** Entries dropped at once, so that no batch grows long; fewer are not worth the write. @default 1_000 */
  readonly dropEntries?: number;
}

/** A follower that is catching up holds the log back until it is so many times as long as it should be; then it needs a snapshot. */
const HOLD_BACK = 8;

/**
 * @param durableIndex what the tables on disk stand for.
 * @param neededAfter entries after it are wanted by a follower that is catching up. @default no such follower
 * @returns the index up to which the log may be dropped now; undefined when there is nothing worth it.
 */
export function compactionTarget(
  log: LogStore,
  { durableIndex, neededAfter = durableIndex }: { durableIndex: LogIndex; neededAfter?: LogIndex },
  { keepEntries = 10_000, keepBytes = 64 * 2 ** 20, dropEntries = 1_000 }: CompactionOptions = {},
): LogIndex | undefined {
  const before = log.firstIndex() - 1;
  const isHeldBack = log.length < keepEntries * HOLD_BACK && log.bytes < keepBytes * HOLD_BACK;
  const limit = isHeldBack ? Math.min(durableIndex, neededAfter) : durableIndex;
  const byCount = log.lastIndex() - keepEntries;
  const overBytes = log.bytes - keepBytes;
  const byBytes = overBytes > keepBytes / 8 ? before + log.countForBytes(overBytes) : 0;
  const target = Math.min(Math.max(byCount, byBytes), limit);
  const isWorthIt = target - before >= dropEntries || (byBytes > 0 && target > before);
  return isWorthIt ? (Math.min(target, before + dropEntries) as LogIndex) : undefined;
}
