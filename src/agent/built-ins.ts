import type { Blobs } from '../blobs/index.ts';
import { DELIVERY_TYPE, EchoExecutor, type Executor, ShellExecutor } from '../jobs/index.ts';
import type { GroupClient } from '../lease/index.ts';
import { addressPolicy, HookExecutor, HttpExecutor } from '../workers/index.ts';
import type { AgentConfig } from './config.ts';
import { OutputBlobs } from './output-blobs.ts';
import type { Platform } from './platform.ts';

/** Types of jobs that an agent runs by itself, unless its owner names fewer. */
export const BUILT_IN_TYPES = ['shell', 'echo', 'http', DELIVERY_TYPE] as const;

export interface BuiltInComponents {
  readonly platform: Platform;
  readonly blobs: Blobs;
  readonly group: GroupClient;
}

/** @returns the workers of this node that its owner wants, and for which the platform has what they need. */
export function builtIns(
  { platform, blobs, group }: BuiltInComponents,
  { jobTypes, httpAllow, outputRetentionMs }: AgentConfig,
): readonly Executor[] {
  const { clock, crypto, supervisor, environment, http, logger } = platform;
  const outputs = new OutputBlobs(
    { blobs, log: logger.child({ part: 'outputs' }) },
    { retentionMs: outputRetentionMs },
  );
  const policy = addressPolicy(httpAllow);
  const known: readonly Executor[] = [
    new EchoExecutor({ clock }),
    new ShellExecutor({ supervisor, clock, agentEnv: environment, outputs }),
    ...(http === undefined
      ? []
      : [
          new HttpExecutor({ client: http, policy, blobs, clock }),
          new HookExecutor({ client: http, policy, group, clock, crypto }),
        ]),
  ];
  return known.filter(({ type }) => jobTypes.includes(type));
}
