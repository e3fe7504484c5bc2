export { BackupSource, durableIndex } from './backup.ts';
export {
  BackupDecoder,
  BackupEncoder,
  type BackupFrame,
  type BackupHeader,
  type BackupRecord,
} from './backup-format.ts';
export {
  ClaimClient,
  type ClaimClientComponents,
  type ClaimRequest,
  type HeldClaim,
} from './claim-client.ts';
export { createGroup } from './create-group.ts';
export { MACHINE_SPACES } from './disk-layout.ts';
export type {
  CallOptions,
  GroupClient,
  GroupCounts,
  GroupName,
  GroupRole,
  GroupStatus,
  LeaderRequest,
  Leadership,
  Proposal,
  Proposed,
  Query,
} from './group.ts';
export { MAIN_GROUP } from './group.ts';
export type {
  AgreedRoots,
  Founding,
  Group,
  GroupComponents,
  GroupOptions,
  LeadingPart,
} from './group-node.ts';
export type { GroupHealthLine, GroupReport, ReportedMember } from './group-report.ts';
export { KvFeed } from './kv-feed.ts';
export { type KvChanges, type KvWatch, KvWatcher } from './kv-watcher.ts';
export { type LabelledRead, LabelledReads, type ReadLabel } from './labelled-reads.ts';
export { GRANTS_LIMIT, type KeyFilter, type KvEvent } from './machine/index.ts';
export type { MemberObservation, PeerTraits } from './member-observation.ts';
export { onceApplied } from './once-applied.ts';
export type { ProposalQueueOptions } from './proposal-queue.ts';
export { agreedIndex } from './readmission.ts';
export type { AppliedEvent, ReplicaOptions } from './replica/index.ts';
export type { CompactionOptions } from './replica-state.ts';
export { RestoredStore } from './restore.ts';
export { decideRoles, type RolesInput, type RolesOptions } from './roles.ts';
export { type LostSession, SessionHolder, type SessionHolderOptions } from './session-holder.ts';
export {
  type KeptSession,
  SessionKeeper,
  type SessionKeeperOptions,
  type SessionReporter,
} from './session-keeper.ts';
export { markObjection, readMark, type StoreMark } from './store-mark.ts';
export { type Asked, askedNow, validMs } from './validity.ts';
