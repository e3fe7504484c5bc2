export { type AgentConfig, type ResolvedConfig, resolveConfig } from './config.ts';
export { Daemon, type DaemonComponents, type DaemonOptions, type JoinOutcome } from './daemon.ts';
export { createHandlers, type HandlerOptions } from './handlers/index.ts';
export { MeshNode } from './mesh-node.ts';
export type { Platform, TransportRequest } from './platform.ts';
