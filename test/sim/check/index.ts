export { OnceMeansOnce } from './begun-once.ts';
export type { Model, Operation } from './history.ts';
export { EveryAcceptedJobEnds, JobsEndOnce } from './job-ends.ts';
export {
  type BranchInput,
  checkKv,
  type KvInput,
  type KvOutput,
  type KvState,
  kvModel,
  kvPartitions,
  type TransactionInput,
} from './kv.ts';
export { LeaversActNoMore } from './leavers.ts';
export { checkLinearizable, type LinearizabilityOptions, type Verdict } from './linearizability.ts';
export { LocksExclude } from './locks.ts';
export {
  AcknowledgedWritesSurvive,
  AtMostOneLeaderATerm,
  allObservers,
  NoAttemptCompletesTwice,
  type Observation,
  type Observer,
  RegistriesConverge,
  ReplicasApplySame,
  TokensGrow,
} from './observers.ts';
export { AttemptsNeverOverlap } from './overlap.ts';
export {
  type RegisterInput,
  type RegisterOutput,
  type RegisterState,
  registerModel,
  registerPartition,
} from './register.ts';
export { SleepersCompleteNothing } from './sleepers.ts';
export { NobodyAliveIsGone, SHOWN_GONE_LIMIT_MS } from './standing.ts';
export { type Change, WatchesLeaveNothingOut } from './watches.ts';
