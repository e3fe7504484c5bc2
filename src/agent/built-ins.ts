import type { PeerId } from '../base/index.ts';
import type { Blobs } from '../blobs/index.ts';
import { EchoExecutor, type Executor, type SecretSource, ShellExecutor } from '../jobs/index.ts';
import type { GroupClient } from '../lease/index.ts';
import type { Store } from '../storage/index.ts';
import {
  addressPolicy,
  type BackupTaker,
  BlobExecutor,
  HookExecutor,
  HttpExecutor,
  MaintenanceExecutor,
  ReplicationExecutor,
} from '../workers/index.ts';
import { Backups } from './backups.ts';
import type { AgentConfig } from './config.ts';
import { OutputBlobs } from './output-blobs.ts';
import type { Platform } from './platform.ts';
import { rateLimited } from './rate-limited-executor.ts';
import { secretSource } from './secret-source.ts';
import { shellBoundsOf } from './work-policy.ts';

export interface BuiltInComponents {
  readonly platform: Platform;
  readonly blobs: Blobs;
  readonly group: GroupClient;
  readonly store: Store;
  readonly meshId: string;
  readonly self: PeerId;
  /** Linked nodes that may be asked for copies of blobs. */
  readonly candidates: () => readonly PeerId[];
}

/** @returns the workers of this node that its owner wants, and for which the platform has what they need. */
export function builtIns(components: BuiltInComponents, config: AgentConfig): readonly Executor[] {
  const { platform, blobs, group, store } = components;
  const { clock, supervisor, environment, logger } = platform;
  const outputs = new OutputBlobs(
    { blobs, log: logger.child({ part: 'outputs' }), candidates: components.candidates },
    { retentionMs: config.outputRetentionMs, replicas: config.outputReplicas },
  );
  const secrets = secretSource(group, components.self);
  const known: readonly Executor[] = [
    new EchoExecutor({ clock }),
    new ShellExecutor({
      ...{ supervisor, clock, agentEnv: environment, outputs },
      bounds: shellBoundsOf(config),
      secrets,
    }),
    new MaintenanceExecutor({
      ...{ blobs, store, group, clock, compactor: platform.compactor },
      pruneOutputs: () => supervisor.prune?.() ?? Promise.resolve(0),
    }),
    new ReplicationExecutor({ ...components, backups: backupsOf(components) }),
    ...webWorkers({ ...components, secrets }, config),
    ...(platform.codecs === undefined ? [] : [new BlobExecutor({ ...components, codecs: platform.codecs })]),
  ];
  const { refusedTypes = [] } = platform;
  return known
    .filter(({ type }) => config.jobTypes.includes(type) && !refusedTypes.includes(type))
    .map((executor) => rateLimited(executor, { clock, rates: config.rates }));
}

function webWorkers(
  { platform, blobs, group, self, secrets }: BuiltInComponents & { readonly secrets: SecretSource },
  { httpAllow }: AgentConfig,
): readonly Executor[] {
  const { http: client, clock, crypto, openSealed } = platform;
  if (client === undefined) return [];
  const policy = addressPolicy(httpAllow);
  const openSecret = async (name: string) => {
    const [sealed] = openSealed === undefined ? [] : await secrets.openings([name]);
    return sealed == null ? null : (openSealed?.(sealed, self) ?? null);
  };
  return [
    new HttpExecutor({ client, policy, blobs, clock }),
    new HookExecutor({ client, policy, group, clock, crypto, openSecret }),
  ];
}

function backupsOf({ platform, store, group, meshId, self }: BuiltInComponents): BackupTaker {
  const backups = new Backups(platform);
  return {
    begin: () => backups.begin({ store, client: group, meshId, peerId: self, allowStale: false }),
    read: (id) => backups.read(id),
    end: (id) => backups.end(id),
  };
}
