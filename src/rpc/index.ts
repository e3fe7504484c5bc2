export { CallCounts } from './call-counts.ts';
export { checkJobSpec, checkParams, type Issue } from './check-params.ts';
export { LINE_BYTES_LIMIT, type LineEvent, LineSplitter } from './framing.ts';
export { resultOfLatest } from './latest-result.ts';
export type { LineDuplex, LineListener } from './line-duplex.ts';
export { createMemoryDuplexPair } from './memory-duplex.ts';
export { agentStatusSchema } from './methods/agent.ts';
export { jobNotifications, jobSchema, jobStateSchema, SUBMIT_MANY_LIMIT } from './methods/job.ts';
export { type JobSpec, jobSpecSchema } from './methods/job-spec.ts';
export type { MethodSpec } from './methods/schema.ts';
export {
  isMethodName,
  METHODS,
  type MethodName,
  type Params,
  type ParamsInput,
  type Result,
} from './methods/table.ts';
export { editDistance, nearestName } from './nearest-name.ts';
export { describeMethods } from './openrpc.ts';
export { fromRpcError, type RpcErrorObject, RpcFailure, toRpcError } from './rpc-error.ts';
export {
  type RpcAnswer,
  type RpcHandler,
  RpcPeer,
  type RpcPeerComponents,
  type RpcPeerOptions,
} from './rpc-peer.ts';
export {
  type Connection,
  createRpcServer,
  type Handler,
  type Handlers,
  type RpcServer,
  type RpcServerComponents,
  type RpcServerOptions,
} from './server.ts';
export type {
  AgentStatus,
  GroupRecovery,
  GroupReport,
  Job,
  JobChange,
  JobLog,
  JobLogEnd,
  JobState,
  MeshPeer,
  MeshTicket,
  NodeEntry,
  WorkerCancel,
  WorkerExecute,
  WorkerSettled,
} from './types.ts';
