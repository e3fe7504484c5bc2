import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import type { Entry } from './types.ts';

interface Envelope {
  readonly from: PeerId;
  readonly to: PeerId;
  /** The sender's term; for a pre-vote and its granting reply the term the asker would campaign in. */
  readonly term: Term;
}

/** `preVote` asks whether an election could be won, and changes nobody's term (dissertation, section 9.6). */
export interface VoteRequest extends Envelope {
  readonly type: 'preVote' | 'vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The leader itself asked for this election, so that its followers must not protect it. */
  readonly isTransfer: boolean;
}

export interface VoteReply extends Envelope {
  readonly type: 'preVoteReply' | 'voteReply';
  readonly isGranted: boolean;
}

export interface Append extends Envelope {
  readonly type: 'append';
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly entries: readonly Entry[];
  readonly commitIndex: LogIndex;
}

export interface AppendAccepted extends Envelope {
  readonly type: 'appendAccepted';
  /** Everything up to here equals the leader's log and is durable at the sender. */
  readonly matchIndex: LogIndex;
}

export interface AppendRejected extends Envelope {
  readonly type: 'appendRejected';
  /** `previousIndex` of the append that did not fit. */
  readonly rejectedIndex: LogIndex;
  /** Highest index at which the logs may agree, as far as the follower can tell, and the follower's term there. */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat';
  readonly commitIndex: LogIndex;
  /** Number of the leader's latest read round; echoed in the reply. */
  readonly round: number;
}

export interface HeartbeatReply extends Envelope {
  readonly type: 'heartbeatReply';
  readonly round: number;
}

/** The leader hands over: the receiver campaigns at once (dissertation, section 3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow';
}

export type Message =
  | VoteRequest
  | VoteReply
  | Append
  | AppendAccepted
  | AppendRejected
  | Heartbeat
  | HeartbeatReply
  | TimeoutNow;
