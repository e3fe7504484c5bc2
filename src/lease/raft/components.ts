import type { LogIndex } from '../../base/brand.ts';
import type { Random } from '../../base/random.ts';
import type { CommitRule } from './commit-rule.ts';
import type { Configuration, HardState, LogReader } from './types.ts';

export interface RaftComponents {
  readonly random: Random;
  readonly log: LogReader;
  /** What a leader takes for committed. @default commitByMajority */
  readonly commitRule?: CommitRule;
  /**
   * The own clock, which never goes back and counts sleep: given, a leader holds a lease. All members of a group must agree on whether
   * leases are held, since each has to keep its word after a restart (R12). Unit: ms. @default no lease
   */
  readonly monotonicMs?: () => number;
}

export interface RaftInitial {
  readonly hardState: HardState;
  /** The latest one in the durable log, committed or not, else the snapshot's. */
  readonly configuration: Configuration;
  readonly appliedIndex: LogIndex;
}
