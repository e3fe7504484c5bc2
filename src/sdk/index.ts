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
} from '../rpc/index.ts';
export {
  AspenClient,
  type CallOptions,
  type ConnectOptions,
  type ElectionChange,
  type LogsOptions,
} from './client.ts';
export type { LogChunk } from './log-stream.ts';
