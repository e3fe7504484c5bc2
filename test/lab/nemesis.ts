import type { Agent } from '../e2e/harness/index.ts';
import type { Random } from './random.ts';

export interface NemesisContext {
  readonly agents: readonly Agent[];
  /** Namespaces, in the order of the agents. */
  readonly machines: readonly string[];
  readonly leader: Agent;
  readonly leaderNumber: number;
  readonly random: Random;
  /** Per agent, the file from which its wall clock takes its offset; undefined without libfaketime. */
  readonly clockFiles: readonly string[] | undefined;
  /** The agent whose data is on a small disk, and where that is mounted; undefined where none could be mounted. */
  readonly smallDisk: { readonly agent: Agent; readonly directory: string } | undefined;
  /** How long a fault lasts. Unit: ms. */
  readonly faultMs: number;
  pause(ms: number): Promise<void>;
  /** The fault takes the leadership away: how long until the next acknowledged write is measured from now. */
  markLoss(): void;
}

/** One kind of bad luck. It ends what it began, also when it fails. */
export interface Nemesis {
  readonly name: string;
  /** A healed isolated node may cause this many elections at most, after the fault ended; absent: only counted. */
  readonly electionsAfterHeal?: number;
  /** @returns what is missing on this machine; undefined when it can run. */
  needs?(context: Pick<NemesisContext, 'agents' | 'clockFiles' | 'smallDisk'>): string | undefined;
  run(context: NemesisContext): Promise<void>;
}
