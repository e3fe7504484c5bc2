import type { z } from 'zod';
import type { agentStatusSchema } from './methods/agent.ts';
import type { groupRecoverySchema, groupReportSchema } from './methods/group.ts';
import type { jobNotifications, jobSchema, jobStateSchema } from './methods/job.ts';
import type { peerSchema, ticketSchema } from './methods/mesh.ts';
import type { nodeSchema } from './methods/node.ts';
import type { workerMessages } from './methods/worker.ts';

export type AgentStatus = z.output<typeof agentStatusSchema>;
export type GroupRecovery = z.output<typeof groupRecoverySchema>;
export type GroupReport = z.output<typeof groupReportSchema>;
export type Job = z.output<typeof jobSchema>;
export type JobState = z.output<typeof jobStateSchema>;
export type MeshPeer = z.output<typeof peerSchema>;
export type MeshTicket = z.output<typeof ticketSchema>;
export type NodeEntry = z.output<typeof nodeSchema>;
/** Params of the notification `job.log`. */
export type JobLog = z.output<(typeof jobNotifications)['job.log']>;
/** Params of the notification `job.logEnd`. */
export type JobChange = z.output<(typeof jobNotifications)['job.change']>;
export type JobLogEnd = z.output<(typeof jobNotifications)['job.logEnd']>;
/** Params of the request `worker.execute`, which an agent sends to a worker. */
export type WorkerExecute = z.output<(typeof workerMessages)['worker.execute']>;
/** Params of the notification `worker.cancel`. */
export type WorkerCancel = z.output<(typeof workerMessages)['worker.cancel']>;
/** Params of the notification `worker.settled`. */
export type WorkerSettled = z.output<(typeof workerMessages)['worker.settled']>;
