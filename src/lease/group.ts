import type { HistogramSample, LogIndex, PeerId, Term } from '../base/index.ts';
import type { Fact, QueryContext } from './machine/index.ts';
import type { Hurry } from './raft/index.ts';

/** Groups are addressed by name; nothing outside this folder may assume there is only one. */
export type GroupName = string;

export const MAIN_GROUP: GroupName = 'main';

export interface Proposal {
  readonly module: string;
  readonly kind: string;
  readonly body: unknown;
  /** A string unique to the calling program: the same id has its effect once and answers the same. */
  readonly requestId?: string;
}

export interface Query {
  readonly module: string;
  readonly kind: string;
  readonly body: unknown;
  /** `lease`: the leader answers by its lease, or refuses with CONFLICT. @default 'linearizable' */
  readonly consistency?: 'linearizable' | 'lease' | 'stale';
}

export interface CallOptions {
  readonly timeoutMs?: number;
  /** A question for which no leader was found for this long gives up before its timeout. @default that of the client */
  readonly leaderlessMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * How any node talks to the group: finds the leader, survives its change, and has one effect per proposal.
 * Rejects with the command's own refusal, NO_QUORUM (not applied), or DEADLINE_EXCEEDED / UNAVAILABLE (outcome unknown).
 */
export interface GroupClient {
  propose<R = unknown>(proposal: Proposal, options?: CallOptions): Promise<R>;
  query<R = unknown>(query: Query, options?: CallOptions): Promise<R>;
  /**
   * Asks the leader for something that only it does (see {@link Leadership.serve}). Safe to send again only when `method` is:
   * a lost answer is asked for again at whoever leads then.
   */
  askLeader<R = unknown>(method: string, body: unknown, options?: CallOptions): Promise<R>;
}

/** A question to the leader: who asked is authenticated, the body is foreign. */
export interface LeaderRequest {
  readonly from: PeerId;
  readonly body: unknown;
}

export type GroupRole = 'voter' | 'standby' | 'spare';

export interface GroupStatus {
  readonly role: GroupRole;
  readonly leader: PeerId | null;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly voters: readonly PeerId[];
  readonly standbys: readonly PeerId[];
  readonly hasQuorum: boolean;
}

/** A command on its way into the log; `body` as its module reads it. */
export interface Proposed {
  readonly module: string;
  readonly kind: string;
  readonly body: unknown;
}

/**
 * What the leader of the group offers to parts that act for it (dispatcher, roles, timers). They live from one leadership to
 * its end: `signal` aborts when this node no longer leads that term. A part that acts late is refused by the guards in `apply`.
 */
export interface Leadership {
  readonly term: Term;
  /** Machine version that is agreed on: newer words of a command are refused. */
  readonly version: number;
  readonly signal: AbortSignal;
  /** Group time now. Unit: ms. */
  groupMs(): number;
  propose<R = unknown>(proposal: Proposal): Promise<R>;
  /** Reads the leader's applied state (every entry of earlier terms is applied before a Leadership begins). */
  read<T>(reader: (context: { module(name: string): QueryContext }) => T): T;
  onFacts(callback: (facts: readonly Fact[]) => void): Disposable;
  /**
   * Tells of commands that were let in and are on their way into the log; what is proposed in the callback travels with them. A hint: they
   * may be refused still, or never be agreed.
   */
  onProposed(callback: (proposed: Proposed) => void): Disposable;
  /** Resolves when a quorum round begun after this call has confirmed that this node still leads. @default hurry `now` */
  confirm(hurry?: Hurry): Promise<void>;
  /** Answers {@link GroupClient.askLeader} for `method` as long as this leadership lasts. */
  serve(method: string, handler: (request: LeaderRequest) => unknown): Disposable;
}

/** What this node's replica has done since it was made. */
export interface GroupCounts {
  /** Commands that came here while this node led, and waited for the log or were turned away. */
  readonly proposalsAdmitted: number;
  readonly proposalsRefused: number;
  /** What the log holds now. */
  readonly logEntries: number;
  readonly logBytes: number;
  /** How long the disk took to make each flush of the log durable. Unit: s. */
  readonly logSyncs: HistogramSample;
}
