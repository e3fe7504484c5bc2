export { AspenError } from '../base/index.ts';
export type {
  AgentStatus,
  Job,
  JobSpec,
  JobState,
  MeshPeer,
  MethodName,
  NodeEntry,
  ParamsInput,
  Result,
  WorkerSettled,
} from '../rpc/index.ts';
export {
  type AttemptControl,
  type AttemptProgress,
  AttemptStopped,
  type GroupPart,
  type StopReason,
  type WorkerJob,
  type WorkerSpec,
} from './attempt.ts';
export {
  AspenClient,
  type CallOptions,
  type ElectionChange,
  type LogsOptions,
} from './client.ts';
export type { ConnectOptions } from './connect-options.ts';
export { NonRetryableError } from './job-failure.ts';
export type { KvEvent, KvWatchOptions } from './kv-watch.ts';
export { endedWithConnection, type LogChunk } from './log-stream.ts';
export {
  type CloseOptions,
  defineWorker,
  type JobHandler,
  type Worker,
  type WorkerConnectOptions,
  type WorkerDefinition,
} from './worker.ts';
