import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, agreement, type Ticket, WallClock } from '../e2e/harness/index.ts';
import { Ground } from './ground.ts';
import { runTool, say, shortened } from './tools.ts';

/** A third of it is used by an empty store; it must still be small enough to fill in an instant. */
const SMALL_DISK_MIB = 96;

/** A mesh of agents in namespaces, ready for faults. */
export class Laboratory implements AsyncDisposable {
  readonly ground: Ground;
  readonly agents: readonly Agent[];
  readonly clockFiles: readonly string[] | undefined;
  readonly smallDisk: { readonly agent: Agent; readonly directory: string } | undefined;

  private constructor(ground: Ground) {
    this.ground = ground;
    const { lan, cluster } = ground;
    const clocks = lan.machines.map((_, number) => join(cluster.directory, `clock-${number}`));
    this.clockFiles = WallClock.isAvailable ? clocks : undefined;
    this.agents = lan.machines.map((netns, number) => {
      const env = WallClock.isAvailable ? new WallClock(clocks[number] as string).env : {};
      return cluster.add(`n${number}`, { netns, env });
    });
    this.smallDisk = smallDiskFor(this.agents.at(-1) as Agent);
  }

  static async open(agentCount: number): Promise<Laboratory> {
    const ground = new Ground(agentCount);
    try {
      const laboratory = new Laboratory(ground);
      await laboratory.#found();
      return laboratory;
    } catch (error) {
      say(shortened(ground.cluster.report()));
      await ground[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ground[Symbol.asyncDispose]();
  }

  async #found(): Promise<void> {
    const [founder, ...others] = this.agents as [Agent, ...Agent[]];
    await founder.up();
    const { ticket } = await founder.call<Ticket>('mesh.ticket', { uses: others.length });
    for (const agent of others) await agent.join(ticket);
    await agreement(this.agents);
  }
}

function smallDiskFor(agent: Agent): Laboratory['smallDisk'] {
  const directory = agent.dataDir;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    runTool('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK_MIB}m,mode=700`, 'aspen-lab', directory]);
    return { agent, directory };
  } catch (error) {
    say(`no small disk: ${String(error)}`);
    return undefined;
  }
}
