import type { PeerId } from '../../base/brand.ts';
import { AspenError } from '../../base/errors.ts';

/** Time is counted in ticks; the driver decides how long one is. */
export interface RaftOptions {
  readonly self: PeerId;
  /** A follower that hears nothing for this long (up to twice, drawn anew for every election) campaigns. Unit: ticks. @default 10 */
  readonly electionTicks?: number;
  /** Pause between heartbeats; at most a third of `electionTicks`, so that two may be lost. Unit: ticks. @default 1 */
  readonly heartbeatTicks?: number;
  /** The same while nobody waits for anything; from `heartbeatTicks` to a third of `electionTicks`. Unit: ticks. @default `heartbeatTicks` */
  readonly restTicks?: number;
  /** Payload of one append message; a single larger entry still travels alone. @default 1 MiB */
  readonly appendBytesLimit?: number;
  /** Append messages on the way to one peer without an answer. @default 64 */
  readonly inflightAppendsLimit?: number;
  /** Payload of the appends on the way to one peer; the one that goes beyond it is the last. @default 8 MiB */
  readonly inflightBytesLimit?: number;
  /** A leader refuses proposals while more than this waits for its majority. @default 64 MiB */
  readonly uncommittedBytesLimit?: number;
  /** Payload of the committed entries that one Ready hands out. @default 16 MiB */
  readonly applyBytesLimit?: number;
  /** How long the driver lets a tick last, for a leader's lease. Unit: ms. @default 100 */
  readonly tickMs?: number;
  /**
   * How followers hear of a commit when no append is on its way: `at-once` by an append of its own, `when-asked` when the driver says so
   * ({@link Raft.tellCommit}), at the latest with a heartbeat. What is proposed meanwhile carries it for nothing. @default at-once
   */
  readonly commitNotice?: CommitNotice;
}

export type CommitNotice = 'at-once' | 'when-asked';

export type ResolvedRaftOptions = Required<RaftOptions>;

const KiB = 1024;
const MiB = 1024 * KiB;

/** @throws AspenError INVALID_PARAMS naming the option, the limit and the number. */
export function resolveRaftOptions(options: RaftOptions): ResolvedRaftOptions {
  const resolved: ResolvedRaftOptions = {
    self: options.self,
    electionTicks: options.electionTicks ?? 10,
    heartbeatTicks: options.heartbeatTicks ?? 1,
    restTicks: options.restTicks ?? options.heartbeatTicks ?? 1,
    appendBytesLimit: options.appendBytesLimit ?? MiB,
    inflightAppendsLimit: options.inflightAppendsLimit ?? 64,
    inflightBytesLimit: options.inflightBytesLimit ?? 8 * MiB,
    uncommittedBytesLimit: options.uncommittedBytesLimit ?? 64 * MiB,
    applyBytesLimit: options.applyBytesLimit ?? 16 * MiB,
    tickMs: options.tickMs ?? 100,
    commitNotice: options.commitNotice ?? 'at-once',
  };
  for (const [name, value] of Object.entries(resolved)) {
    if (typeof value === 'number') requirePositive(name, value);
  }
  const { heartbeatTicks, restTicks, electionTicks } = resolved;
  for (const [name, ticks] of Object.entries({ heartbeatTicks, restTicks })) {
    if (ticks * 3 <= electionTicks && ticks >= heartbeatTicks) continue;
    throw new AspenError(
      'INVALID_PARAMS',
      `${name} must be at least heartbeatTicks and at most electionTicks / 3, got ${ticks} for electionTicks ${electionTicks}`,
    );
  }
  return Object.freeze(resolved);
}

function requirePositive(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new AspenError('INVALID_PARAMS', `${name} must be a whole number above 0, got ${value}`);
}
