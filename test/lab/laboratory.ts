import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, agreement, type Ticket } from '../e2e/harness/index.ts';
import { Ground } from './ground.ts';
import { runTool, say, shortened } from './tools.ts';

const FAKETIME_PATHS = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1',
];
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
    const library = FAKETIME_PATHS.find((path) => existsSync(path));
    const { lan, cluster } = ground;
    const clocks = lan.machines.map((_, number) => join(cluster.directory, `clock-${number}`));
    this.clockFiles = library === undefined ? undefined : clocks;
    this.agents = lan.machines.map((netns, number) => {
      const env = library === undefined ? {} : fakeClock(library, clocks[number] as string);
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

/** Only the wall clock is false: timers and deadlines stay with the monotonic one. */
function fakeClock(library: string, file: string): Record<string, string> {
  writeFileSync(file, '+0\n');
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_RESET: '1',
  };
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
