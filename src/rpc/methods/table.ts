import { z } from 'zod';
import { agentMethods } from './agent.ts';
import { auditMethods } from './audit.ts';
import { backupMethods } from './backup.ts';
import { blobMethods } from './blob.ts';
import { counterMethods } from './counter.ts';
import { dlqMethods } from './dlq.ts';
import { electionMethods } from './election.ts';
import { groupMethods } from './group.ts';
import { hookMethods } from './hook.ts';
import { jobMethods } from './job.ts';
import { kvMethods } from './kv.ts';
import { leaseMethods } from './lease.ts';
import { lockMethods } from './lock.ts';
import { meshMethods } from './mesh.ts';
import { metricsMethods } from './metrics.ts';
import { netMethods } from './net.ts';
import { nodeMethods } from './node.ts';
import { queueMethods } from './queue.ts';
import { exactObject, method } from './schema.ts';
import { secretMethods } from './secret.ts';
import { serviceMethods } from './service.ts';
import { workerMethods } from './worker.ts';

/** Every method of the socket: one row is its contract, its check, its types, and its entry in `rpc.discover`. */
export const METHODS = {
  ...agentMethods,
  ...auditMethods,
  ...backupMethods,
  ...blobMethods,
  ...meshMethods,
  ...metricsMethods,
  ...netMethods,
  ...jobMethods,
  ...queueMethods,
  ...dlqMethods,
  ...hookMethods,
  ...kvMethods,
  ...leaseMethods,
  ...lockMethods,
  ...electionMethods,
  ...counterMethods,
  ...secretMethods,
  ...serviceMethods,
  ...nodeMethods,
  ...workerMethods,
  ...groupMethods,
  'rpc.discover': method({
    params: exactObject({}),
    result: z.record(z.string(), z.unknown()),
    isMutating: false,
    summary: 'The OpenRPC document of this socket.',
  }),
} as const;

export type MethodName = keyof typeof METHODS;

/** What a handler is given: checked, with defaults filled in. */
export type Params<M extends MethodName> = z.output<(typeof METHODS)[M]['params']>;
/** What a caller writes. */
export type ParamsInput<M extends MethodName> = z.input<(typeof METHODS)[M]['params']>;
export type Result<M extends MethodName> = z.output<(typeof METHODS)[M]['result']>;

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name);
}
