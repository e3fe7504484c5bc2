import type { Command } from 'commander';
import { AspenError, exactDuration, exactSize, formatDuration } from '../../base/index.ts';
import type { AgentStatus, Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatFields, formatTable } from '../table.ts';

const STOP_TIMEOUT_MS = 120_000;
const POLL_MS = 25;

/** `status`, `down`, `leave`, `config show`. */
export function addAgentCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'status',
    summary: 'this node, its mesh, its group',
    examples: ['aspen-agent status', 'aspen-agent status -o json'],
    run: async ({ call }) => statusOutput(await call('agent.status', {})),
  });
  define(program, io, exit, {
    usage: 'down',
    summary: 'stop the agent; running jobs finish or are handed over',
    examples: ['aspen-agent down'],
    run: stopAgent,
  });
  define(program, io, exit, {
    usage: 'leave',
    summary: 'leave the mesh for good: hand over, drain, erase the membership',
    examples: ['aspen-agent leave'],
    run: leaveMesh,
  });
  const config = program.command('config').description('what the agent runs with');
  define(config, io, exit, {
    usage: 'show',
    summary: 'the settings of the agent; where none runs, those that one would start with',
    examples: ['aspen-agent config show --origin'],
    configure: (command) => command.option('--origin', 'also where each value comes from'),
    run: async (context) => configOutput(await settingsOf(context), context.options['origin'] === true),
  });
}

async function settingsOf({ call, io, flags, tell }: CommandContext): Promise<Result<'config.show'>> {
  try {
    return await call('config.show', {});
  } catch (error) {
    if (!(error instanceof AspenError) || error.details.socketPath === undefined) throw error;
    const settings = await io.readSettings(flags.dataDir);
    tell(`no agent runs in ${flags.dataDir}: this is what one would start with, from here`);
    return settings;
  }
}

function statusOutput(status: AgentStatus): Output {
  const { group, revoked } = status;
  const leader = group.leader === status.peerId ? `${group.leader} (this node)` : (group.leader ?? 'none');
  const lost = status.disk?.state === 'recovering' ? status.disk : undefined;
  return {
    schema: 'aspen.agent.status/v1',
    value: status,
    ids: [status.peerId],
    text: (isWide) =>
      formatFields([
        ['name', status.name],
        ['peer id', status.peerId],
        ['mesh', status.meshId],
        ['membership', revoked ? revokedText(revoked) : undefined],
        ['way out', revoked?.mend],
        ['version', `${status.version}, up ${formatDuration(status.uptimeMs)}`],
        [
          'work',
          status.isDraining ? 'DRAINING: takes no new jobs until: aspen-agent node undrain' : undefined,
        ],
        ['group', `${group.role}, ${quorumText(status)}, term ${group.term}`],
        ['leader', leader],
        ['voters', `${group.voters.length}`],
        ...(isWide ? group.voters.map((voter) => ['', voter] as const) : []),
        ['disks', disksText(group.disks)],
        ['log', isWide ? `commit ${group.commitIndex}, applied ${group.appliedIndex}` : undefined],
        ['disk', lost && `set aside: ${lost.reason}; kept in ${lost.quarantine ?? 'no place'}`],
        ['way out', lost && `${lost.mend}`],
        ['root key', rootText(status.root)],
        ['peers', peersText(status)],
        ['reached', reachText(status.connectivity)],
        ['woke or moved', upheavalText(status.connectivity)],
        ['lost session', lossText(status.session)],
        ...(status.connectivity.problems ?? []).map((problem) => ['problem', problem] as const),
      ]),
  };
}

function quorumText({ group, revoked }: AgentStatus): string {
  if (group.hasQuorum) return 'has quorum';
  return revoked ? 'NO QUORUM' : 'NO QUORUM (the way out: aspen-agent group status)';
}

function revokedText({ atMs }: NonNullable<AgentStatus['revoked']>): string {
  const since = atMs === null ? '' : ` ${new Date(atMs).toISOString()}`;
  return `REVOKED${since}: this node has no part in the mesh any more`;
}

/** A channel that may be dead is not counted, and is worth a word. */
function peersText({ peers, connectivity: { doubted = 0 } }: AgentStatus): string {
  return doubted === 0 ? `${peers}` : `${peers}; ${doubted} more do not answer: see aspen-agent peers`;
}

/** How others come to this node; on a network of its own that is not worth a line. */
function reachText({
  reachability,
  isRelay,
  circuitsCarried = 0,
}: AgentStatus['connectivity']): string | undefined {
  if (isRelay === true) return `${reachability}; carries ${circuitsCarried} circuits between members`;
  return reachability === 'public' ? 'public; carries no circuits' : undefined;
}

/** Said once it has happened. */
function upheavalText({ latestUpheaval }: AgentStatus['connectivity']): string | undefined {
  if (latestUpheaval === null || latestUpheaval === undefined) return undefined;
  const { type, stoodStillMs = 0, atMs } = latestUpheaval;
  const what = type === 'woke' ? `stood still for ${formatDuration(stoodStillMs)}` : 'in another network';
  return `${what}, noticed ${new Date(atMs).toISOString()}`;
}

function lossText(session: AgentStatus['session']): string | undefined {
  const loss = session?.latestLoss;
  if (loss === null || loss === undefined) return undefined;
  const why = loss.reason === 'slept' ? 'the machine slept' : 'the group knows another one, or none';
  return `${why}, ${new Date(loss.atMs).toISOString()}; what ran in it was stopped or given back`;
}

/** Said once the first key was replaced, or is about to be. */
function rootText(root: AgentStatus['root']): string | undefined {
  if (root === undefined || (root.number === 0 && root.isDue !== true)) return undefined;
  const since = root.since === null ? '' : ` since ${new Date(root.since).toISOString()}`;
  const list = root.hasList ? '' : ', the list of what stays valid is on its way';
  return `number ${root.number}${since}${list}${root.isDue === true ? ', to be replaced now: a member that had it was revoked' : ''}`;
}

/** What is agreed is as safe as the number of disks that hold it. */
function disksText(disks: number | null | undefined): string {
  if (disks === null || disks === undefined) return 'not known without a leader';
  return disks === 1 ? '1 holds what is agreed: losing it loses everything' : `${disks} hold what is agreed`;
}

function configOutput({ config }: Result<'config.show'>, hasOrigin: boolean): Output {
  const shown = hasOrigin ? config : config.map(({ origin, ...setting }) => setting);
  return {
    schema: 'aspen.config.show/v1',
    value: { config: shown },
    items: 'config',
    ids: config.map(({ key }) => key),
    text: (isWide) =>
      formatTable(
        ['setting', 'value', ...(hasOrigin || isWide ? ['origin'] : [])],
        config.map((setting) => [
          setting.key,
          shownValue(setting),
          ...(hasOrigin || isWide ? [setting.origin] : []),
        ]),
      ),
  };
}

/** As `aspen.yaml` takes it, with its unit. */
function shownValue({ value, unit }: Result<'config.show'>['config'][number]): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number' || unit === undefined) return JSON.stringify(value);
  return unit === 'ms' ? exactDuration(value) : exactSize(value);
}

async function stopAgent(context: CommandContext): Promise<Output | number> {
  const { call, connect, flags, tell } = context;
  const client = await connect();
  const { pid } = await call('agent.stop', {});
  const deadlineMs = performance.now() + (flags.timeoutMs ?? STOP_TIMEOUT_MS);
  tell('stopping; running jobs finish or are handed over');
  const hasEnded = await waitUntil(() => !isRunning(pid), deadlineMs);
  client.close();
  if (!hasEnded) {
    context.io.stderr.write(`aspen-agent: the agent (pid ${pid}) has not stopped yet\n`);
    return 8;
  }
  return {
    schema: 'aspen.agent.down/v1',
    value: { stopped: true },
    ids: [],
    text: () => '',
  };
}

async function leaveMesh({ call, flags, tell }: CommandContext): Promise<Output> {
  const timeoutMs = flags.timeoutMs ?? STOP_TIMEOUT_MS;
  const left = await call('mesh.leave', {}, { timeoutMs });
  tell(`left the mesh ${left.meshId}`);
  return { schema: 'aspen.mesh.leave/v1', value: left, ids: [left.meshId], text: () => '' };
}

async function waitUntil(isTrue: () => boolean, deadlineMs: number): Promise<boolean> {
  while (!isTrue()) {
    if (performance.now() > deadlineMs) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}

/** Signal 0 asks without sending. EPERM means that it is there and not ours. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
