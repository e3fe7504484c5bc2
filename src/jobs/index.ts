export type { ProcessRequest, Runner, RunningProcess } from '../supervisor/index.ts';
export { MemoryRunner } from '../supervisor/index.ts';
export {
  AttachedWorker,
  type AttachedWorkerOptions,
  type ExecuteRequest,
  type WorkerAnswer,
  type WorkerAttemptName,
  type WorkerLink,
} from './attached-worker.ts';
export {
  BLOB_PAYLOAD_BYTES_LIMIT,
  type BlobPayload,
  INLINE_PAYLOAD_LIMIT,
  isBlobPayload,
  isLongerThan,
  type PayloadSource,
} from './blob-payload.ts';
export type { TablesPage } from './check-tables.ts';
export { Dispatcher, type DispatcherComponents } from './dispatcher.ts';
export { EchoExecutor } from './execution/echo-executor.ts';
export {
  type AttemptContext,
  type ExecutionResult,
  type Executor,
  type OutputSink,
  type RecoveredAttempt,
  type StopReason,
  stoppedResult,
  stopReasonOf,
} from './execution/executor.ts';
export { followOutput } from './execution/output-follower.ts';
export {
  cutStreams,
  type OutputKeeper,
  RECORDED_BYTES,
  type WholeOutput,
} from './execution/output-keeper.ts';
export { serveOutput } from './execution/output-server.ts';
export { OutputStore } from './execution/output-store.ts';
export { endInherited, type ShellBounds, ShellExecutor } from './execution/shell-executor.ts';
export { requiredLayers } from './execution/shell-layers.ts';
export { parseShellPayload, type ShellPayload } from './execution/shell-payload.ts';
export { SECRET_NOT_GRANTED, type SecretSource } from './execution/shell-secrets.ts';
export type { HookView } from './hooks/commands.ts';
export { DELIVERY_TYPE, type DeliveryPayload, type HookEventBody } from './hooks/deliveries.ts';
export { HOOK_EVENTS, type HookEvent } from './hooks/hook.ts';
export { NO_NETWORK } from './hooks/sender-faults.ts';
export { HOOK_TARGET, type HookTarget, serveHookTargets } from './hooks/target.ts';
export {
  type ChangeFilter,
  type ChangesAnswer,
  type JobChange,
  serveChanges,
  WATCH_LIMIT_MS,
} from './job-changes.ts';
export { JobCounts } from './job-counts.ts';
export type { JobView } from './job-view.ts';
export { serveWaiters, WAIT_LIMIT_MS } from './job-waiters.ts';
export type { Progress } from './local-context.ts';
export { jobsModule } from './module.ts';
export { renewJobRows } from './old-rows.ts';
export { isFinal, type JobState } from './record.ts';
export { Slots } from './slots.ts';
export type { JobSpec } from './spec.ts';
export { type JobSpecInput, resolveJobSpec } from './spec-input.ts';
export { type SubmitResult, submitBody } from './submission.ts';
export { versionOfSubmit } from './submit.ts';
export { submitInParts } from './submit-parts.ts';
export { SLICE_JOBS, submitInSlices } from './submit-slices.ts';
export {
  WorkerHost,
  type WorkerHostComponents,
  type WorkerHostOptions,
} from './worker-host.ts';
