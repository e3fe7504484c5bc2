import type { ShellBounds } from '../jobs/index.ts';
import type { Limits, WorkPolicy } from '../supervisor/index.ts';
import type { AgentConfig, ConfiguredLimits } from './config-settings.ts';

/** What the settings of a node mean to its supervisor. */
export function workPolicyOf(config: AgentConfig): WorkPolicy {
  return {
    commands: listOf(config.shellCommands),
    directories: listOf(config.shellDirectories),
    variables: listOf(config.shellVariables),
    user: config.shellUser === 'none' ? null : config.shellUser,
    sandbox: {
      layer: config.sandboxLayer,
      isRequired: config.isSandboxRequired,
      writable: config.sandboxWritable,
      isNetworked: config.isSandboxNetworked,
      isAgentHidden: config.isAgentHidden,
    },
    limits: limitsOf(config.limits),
    maximums: limitsOf(config.maximums),
  };
}

/** What of the limits is the agent's own to keep. */
export function shellBoundsOf({ limits, maximums }: AgentConfig): ShellBounds {
  return {
    outputBytes: limits.outputBytes,
    mostOutputBytes: maximums.outputBytes,
    wallMs: limits.wallMs === 'none' ? null : limits.wallMs,
    mostWallMs: maximums.wallMs === 'none' ? null : maximums.wallMs,
  };
}

function listOf(list: readonly string[] | 'any'): readonly string[] | null {
  return list === 'any' ? null : list;
}

function limitsOf({ memoryBytes, cpuSeconds, pids, fileBytes }: ConfiguredLimits): Limits {
  const all = Object.entries({ memoryBytes, cpuSeconds, pids, fileBytes });
  return Object.fromEntries(all.filter(([, value]) => value !== 'none'));
}
