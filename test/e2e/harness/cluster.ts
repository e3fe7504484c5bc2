import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from './agent.ts';
import { processesWith, signalProcess } from './processes.ts';
import type { AgentStatus, Ticket } from './shapes.ts';
import { until } from './until.ts';

export interface AddOptions {
  readonly netns?: string;
  /** Another user to run as, whom its data directory belongs to then. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly env?: Readonly<Record<string, string>>;
  /** As for {@link Agent}. */
  readonly startCapMs?: number;
}

export interface MeshOptions {
  /** One namespace per agent, in the order of the names. */
  readonly netns?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Agents on one machine speak over loopback only and announce themselves to nobody. */
const LOOPBACK = { ASPEN_LISTEN: '/ip4/127.0.0.1/tcp/0', ASPEN_MDNS: 'off' };

const ENDING_CAP_MS = 5_000;

/** A handful of agents in one temporary directory, all ended and removed when it is disposed. */
export class Cluster implements AsyncDisposable {
  /** Short, since a Unix socket's path has at most 107 bytes. */
  readonly directory = mkdtempSync(join(tmpdir(), 'aspen-e2e-'));
  readonly agents: Agent[] = [];
  /** Every agent carries it, so that none can be forgotten. */
  readonly #mark = `ASPEN_E2E_CLUSTER=${this.directory}`;

  add(name: string, { netns, user, env, startCapMs }: AddOptions = {}): Agent {
    const dataDir = join(this.directory, name);
    if (user !== undefined) {
      chmodSync(this.directory, 0o711);
      mkdirSync(dataDir, { mode: 0o700 });
      chownSync(dataDir, user.uid, user.gid);
    }
    const agent = new Agent({
      name,
      dataDir,
      logFile: join(this.directory, `${name}.log`),
      ...(netns === undefined ? {} : { netns }),
      ...(startCapMs === undefined ? {} : { startCapMs }),
      user,
      env: {
        ...(user === undefined ? {} : { HOME: dataDir }),
        ...(netns === undefined ? LOOPBACK : {}),
        ASPEN_E2E_CLUSTER: this.directory,
        E2E_SECRET: 'not for jobs',
        ...env,
      },
    });
    this.agents.push(agent);
    return agent;
  }

  /** Founds a mesh with the first name, joins the others by one ticket, and waits until all agree on who votes. */
  async mesh(names: readonly string[], options: MeshOptions = {}): Promise<Agent[]> {
    const agents = names.map((name, index) => {
      const netns = options.netns?.[index];
      return this.add(name, {
        ...(netns === undefined ? {} : { netns }),
        ...(options.env === undefined ? {} : { env: options.env }),
      });
    });
    const [founder, ...others] = agents as [Agent, ...Agent[]];
    await founder.up();
    if (others.length > 0) {
      const { ticket } = await founder.call<Ticket>('mesh.ticket', { uses: others.length });
      await Promise.all(others.map((agent) => agent.join(ticket)));
    }
    await agreement(agents);
    return agents;
  }

  /** Ends and removes everything. @throws Error naming what did not stop when asked, or was left running. */
  async [Symbol.asyncDispose](): Promise<void> {
    const endings = await Promise.allSettled(this.agents.map((agent) => agent.stop()));
    for (const agent of this.agents) agent.endOrphans();
    const leaked = await this.#leaked();
    for (const pid of leaked) signalProcess(pid, 'SIGKILL');
    const failures = endings.filter((ending) => ending.status === 'rejected').map((ending) => ending.reason);
    if (leaked.length > 0) failures.push(new Error(`processes left running: ${leaked.join(', ')}`));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
  }

  /** Ending takes a moment; whatever is still there after {@link ENDING_CAP_MS} was left running. */
  async #leaked(): Promise<number[]> {
    const running = (): number[] => [
      ...new Set([...processesWith(this.#mark), ...this.agents.flatMap((agent) => agent.jobProcesses())]),
    ];
    try {
      await until(() => running().length === 0, { what: 'all processes to end', timeoutMs: ENDING_CAP_MS });
      return [];
    } catch {
      return running();
    }
  }

  /** What the agents logged last, for whoever reads a failure. */
  report(): string {
    return this.agents.map((agent) => `--- ${agent.name}\n${agent.logTail()}`).join('\n');
  }
}

/** Voters that the group wants once the mesh has as many eligible nodes. */
const VOTERS = 3;

/**
 * Waits until every agent names the same leader and the same voters: all of them while there are at least three.
 * @returns the statuses, in the order of the agents.
 */
export function agreement(
  agents: readonly Agent[],
  what = 'all to agree on leader and voters',
): Promise<AgentStatus[]> {
  return until(
    async () => {
      const statuses = await Promise.all(agents.map((agent) => agent.status()));
      return isAgreed(statuses, agents.length >= VOTERS ? VOTERS : 1) ? statuses : undefined;
    },
    { what, timeoutMs: 90_000 },
  );
}

export function isAgreed(statuses: readonly AgentStatus[], voterCount: number): boolean {
  const [first, ...others] = statuses.map(({ group }) => ({
    leader: group.leader,
    voters: [...group.voters].sort().join(),
    isReady: group.leader !== null && group.hasQuorum && group.voters.length === voterCount,
  }));
  if (first === undefined || !first.isReady) return false;
  return others.every(
    (other) => other.isReady && other.leader === first.leader && other.voters === first.voters,
  );
}

/** @returns the leader and the others. @throws Error when the agents do not agree by then. */
export async function leaderAndFollowers(
  agents: readonly Agent[],
): Promise<{ leader: Agent; followers: Agent[] }> {
  const [status] = await agreement(agents);
  const leader = agents.find((agent) => agent.peerId === status?.group.leader);
  if (leader === undefined) throw new Error(`the leader ${status?.group.leader} is none of ours`);
  return { leader, followers: agents.filter((agent) => agent !== leader) };
}
