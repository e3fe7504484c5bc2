import type { Agent } from '../e2e/harness/index.ts';
import type { Random } from './random.ts';

export interface WorkloadContext {
  readonly agents: readonly Agent[];
  /** Unique to the round: keys of different rounds never meet. */
  readonly prefix: string;
  readonly directory: string;
  readonly random: Random;
}

/** What one workload says after its round. */
export interface Checked {
  readonly workload: string;
  readonly acknowledged: number;
  readonly unknown: number;
  /** Acknowledged writes that are gone. */
  readonly lost: number;
  readonly stale: number;
  /** Attempts that were taken from a node and given to another; only where jobs run. */
  readonly lostAttempts?: number;
  /** Shortest time from the last sign of such an attempt to the beginning of the next one of its job; null where there was none. Unit: ms. */
  readonly leastGapMs?: number | null;
  readonly violations: readonly string[];
}

/** Clients that work while faults happen, and the check of what they were told. */
export interface Workload {
  /** Asks the clients to end, and waits for the last answers. */
  stop(): Promise<void>;
  /** Looks at the healed mesh and judges. */
  check(): Promise<Checked>;
  /** Instants of acknowledged writes: when each was called and answered. Unit: ms of `performance.now()`. */
  readonly writes: readonly { readonly calledMs: number; readonly atMs: number }[];
}

export type StartWorkload = (context: WorkloadContext) => Workload;
