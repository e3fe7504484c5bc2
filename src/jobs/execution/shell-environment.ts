import type { AttemptContext, GroupPart } from './executor.ts';

const INHERITED: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'TERM',
]);

/**
 * The environment of a command: an allow-list of the agent's own (so that its secrets stay its own), then what the job asks
 * for, then what names the attempt, which a job cannot override.
 */
export function shellEnvironment(
  agentEnv: Readonly<Record<string, string | undefined>>,
  jobEnv: Readonly<Record<string, string>>,
  attempt: Pick<AttemptContext, 'jobId' | 'attempt' | 'fencingToken' | 'node' | 'traceparent' | 'group'>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(agentEnv)) {
    if (value !== undefined && (INHERITED.has(name) || name.startsWith('LC_'))) env[name] = value;
  }
  return {
    ...env,
    ...jobEnv,
    ASPEN_JOB_ID: attempt.jobId,
    ASPEN_ATTEMPT: String(attempt.attempt),
    ASPEN_FENCING_TOKEN: String(attempt.fencingToken),
    ASPEN_NODE: attempt.node,
    ...(attempt.group !== undefined && groupEnvironment(attempt.group)),
    ...(attempt.traceparent === null ? {} : { TRACEPARENT: attempt.traceparent }),
  };
}

function groupEnvironment({ rank, size, peers }: GroupPart): Record<string, string> {
  return {
    ASPEN_GROUP_RANK: String(rank),
    ASPEN_GROUP_SIZE: String(size),
    ASPEN_GROUP_PEERS: peers.join(','),
  };
}
