import type { CallCounts, Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { agentHandlers } from './agent.ts';
import { auditHandlers } from './audit.ts';
import { backupHandlers } from './backup.ts';
import { blobHandlers } from './blob.ts';
import { counterHandlers } from './counter.ts';
import { dlqHandlers } from './dlq.ts';
import { electionHandlers } from './election.ts';
import { groupHandlers } from './group.ts';
import { hookHandlers } from './hook.ts';
import { jobHandlers } from './job.ts';
import { jobWatchHandlers } from './job-watch.ts';
import { kvHandlers } from './kv.ts';
import { leaseHandlers } from './lease.ts';
import { lockHandlers } from './lock.ts';
import { meshHandlers } from './mesh.ts';
import { metricsHandlers } from './metrics.ts';
import { nodeHandlers } from './node.ts';
import { queueHandlers } from './queue.ts';
import { secretHandlers } from './secret.ts';
import { serviceHandlers } from './service.ts';
import { workerHandlers } from './worker.ts';

export interface HandlerOptions {
  readonly pid: number;
  /** The agent is asked to end; the answer is still on its way. */
  readonly onStop: () => void;
  /** Calls of the socket. @default they are not told in the metrics */
  readonly counts?: CallCounts;
}

/** Every method of the socket, on this agent. */
export function createHandlers(daemon: Daemon, { pid, onStop, counts }: HandlerOptions): Handlers {
  return {
    ...agentHandlers(daemon, { pid, onStop }),
    ...auditHandlers(daemon),
    ...backupHandlers(daemon),
    ...blobHandlers(daemon),
    ...meshHandlers(daemon, onStop),
    ...metricsHandlers(daemon, counts),
    ...nodeHandlers(daemon),
    ...groupHandlers(daemon),
    ...jobHandlers(daemon),
    ...jobWatchHandlers(daemon),
    ...queueHandlers(() => daemon.node.group.client),
    ...dlqHandlers(() => daemon.node.group.client),
    ...hookHandlers(daemon),
    ...kvHandlers(daemon),
    ...leaseHandlers(daemon),
    ...lockHandlers(daemon),
    ...electionHandlers(daemon),
    ...counterHandlers(() => daemon.node.group.client),
    ...secretHandlers(daemon),
    ...serviceHandlers(daemon),
    ...workerHandlers(daemon),
  };
}
