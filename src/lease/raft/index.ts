export { type CommitInput, type CommitRule, commitByMajority } from './commit-rule.ts';
export type { RaftComponents, RaftInitial } from './components.ts';
export type { ConfigurationChange } from './membership.ts';
export { EMPTY_CONFIGURATION, isJoint, isVoter, membersOf } from './membership.ts';
export { parseConfiguration, parseMessage } from './message-schema.ts';
export type {
  Append,
  AppendAccepted,
  AppendRejected,
  Heartbeat,
  HeartbeatReply,
  Message,
  TimeoutNow,
  VoteReply,
  VoteRequest,
} from './messages.ts';
export type { RaftOptions } from './options.ts';
export type { ProgressMode } from './progress.ts';
export { isQuorum } from './quorum.ts';
export { Raft } from './raft.ts';
export type { ConfirmedRead, Hurry } from './read-index.ts';
export type {
  ConfigurationRefused,
  PeerProgress,
  Persist,
  Proposed,
  ProposeRefusal,
  ProposeRefused,
  RaftRole,
  RaftState,
  Ready,
} from './ready.ts';
export type { Configuration, Entry, EntryKind, HardState, LogReader, SnapshotMeta } from './types.ts';
