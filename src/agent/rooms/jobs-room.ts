import type { AuditLog } from '../../audit/index.ts';
import type { MeshId } from '../../base/index.ts';
import {
  Dispatcher,
  type Executor,
  serveChanges,
  serveHookTargets,
  serveWaiters,
  WorkerHost,
} from '../../jobs/index.ts';
import type { LeadingPart } from '../../lease/index.ts';
import type { Store } from '../../storage/index.ts';
import type { WorkerHealth } from '../../workers/index.ts';
import { auditedExecutor } from '../audit-trail.ts';
import { builtIns } from '../built-ins.ts';
import type { AgentConfig } from '../config.ts';
import { placementLabels } from '../label-book.ts';
import { memberViews } from '../member-views.ts';
import type { NodeRooms } from './node-rooms.ts';

export interface WorkerRoomComponents {
  readonly store: Store;
  readonly meshId: MeshId;
  readonly config: AgentConfig;
  readonly health: WorkerHealth;
  /** Where executions are noted. */
  readonly audit: AuditLog | undefined;
  /** Whether this node's role lets it run jobs. */
  readonly mayWork: boolean;
  /** What this machine is, and how its workers do. */
  readonly machine: () => Readonly<Record<string, string>>;
  readonly onFatal: (error: unknown) => void;
}

/** What runs here of the jobs of the mesh. */
export function createNodeWorker(rooms: NodeRooms, components: WorkerRoomComponents): WorkerHost {
  const { self, platform, mesh, group, outputs, labels, drain, payloads, registry } = rooms;
  const { clock, random, logger } = platform;
  const { config, mayWork, machine, onFatal } = components;
  return new WorkerHost(
    {
      self,
      executors: mayWork ? executorsOf(rooms, components) : [],
      session: group.session,
      group: group.client,
      messenger: mesh.messenger,
      outputs,
      clock,
      random,
      log: logger.child({ part: 'worker' }),
      leader: () => group.status().leader,
      labels: () => placementLabels(labels.all(), machine()),
      isDrained: () => drain.isDraining,
      payloads,
      onProgress: (jobId, fencingToken, progress) => registry.publishProgress(jobId, fencingToken, progress),
      onFailure: onFatal,
    },
    mayWork ? { slots: config.slots, slotsMost: config.slotsMost } : { slots: 0 },
  );
}

function executorsOf(
  { platform, blobs, self, group, acquaintances }: NodeRooms,
  { store, meshId, config, health, audit }: WorkerRoomComponents,
): readonly Executor[] {
  const components = {
    ...{ platform, blobs, self, store, meshId },
    group: group.client,
    candidates: () => acquaintances.linkedWorkers(),
  };
  const options = { audit, crypto: platform.crypto, mode: config.audit };
  return builtIns(components, config).map((executor) =>
    auditedExecutor(executor.type === 'echo' ? executor : health.watch(executor), options),
  );
}

/** What this node does about jobs while it leads: places them, and answers those who wait for them. */
export function leadingJobs(
  { platform, mesh, gate, registry, acquaintances }: NodeRooms,
  { onFatal }: Pick<WorkerRoomComponents, 'onFatal'>,
): LeadingPart {
  const { clock, random, logger } = platform;
  return (leadership, { sessions }) => {
    serveWaiters(leadership, clock);
    serveHookTargets(leadership);
    serveChanges(leadership, clock);
    return new Dispatcher({
      leadership,
      sessions,
      messenger: mesh.messenger,
      clock,
      random,
      log: logger.child({ part: 'dispatcher' }),
      roleOf: (peerId) => acquaintances.roleOf(peerId),
      coordinateOf: (peerId) => registry.node(peerId)?.coordinate,
      blobsOf: (peerId) => new Set(registry.node(peerId)?.profile.blobs),
      knownNodes: () => memberViews(gate.members(), registry, clock.monotonicMs()),
      onFailure: onFatal,
    });
  };
}
