export { Agent, READY_POLL_MS, withFlags } from './agent.ts';
export { agreement, Cluster, isAgreed, leaderAndFollowers } from './cluster.ts';
export { Lan } from './netns.ts';
export { isAlive, processesWith, signalProcess } from './processes.ts';
export { PROGRAM, type Ran, runProgram } from './program.ts';
export { RpcClient, RpcError, type RpcNotification } from './rpc-client.ts';
export type { AgentStatus, Job, KvEntry, KvScan, ShellResult, Submitted, Ticket } from './shapes.ts';
export { until } from './until.ts';
export { Writer } from './writer.ts';
