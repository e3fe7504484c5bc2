import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, isAlive, Lan, processesWith, signalProcess, until } from '../e2e/harness/index.ts';
import { isPresent, runTool } from './tools.ts';

/** Notes of labs that run, one a lab: what a later one removes if this one cannot. */
const NOTES = join(tmpdir(), 'aspen-lab');
const ENDING_CAP_MS = 5_000;

interface Note {
  readonly pid: number;
  /** Tells this process from a later one of the same id. Unit: clock ticks since boot. */
  readonly startedTicks: string;
  readonly namespaces: readonly string[];
  readonly directory: string;
}

/** Namespaces and a directory for agents, noted on disk so that the next lab removes what a killed one left. */
export class Ground implements AsyncDisposable {
  readonly lan: Lan;
  readonly cluster = new Cluster();
  readonly #note = join(NOTES, `${process.pid}.json`);

  constructor(machineCount: number) {
    this.lan = new Lan(machineCount);
    const [first = ''] = this.lan.machines;
    const note: Note = {
      pid: process.pid,
      startedTicks: startedTicks(process.pid) ?? '',
      namespaces: [...this.lan.machines, first.replace(/-\d+$/, '-hub')],
      directory: this.cluster.directory,
    };
    mkdirSync(NOTES, { recursive: true });
    writeFileSync(this.#note, JSON.stringify(note));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      unmountBelow(this.cluster.directory);
      await this.cluster[Symbol.asyncDispose]();
    } finally {
      this.lan[Symbol.dispose]();
      rmSync(this.#note, { force: true });
    }
  }
}

/** Ends the agents and removes the namespaces, mounts and files of labs that were killed. @returns how many labs. */
export async function removeLeftovers(): Promise<number> {
  let count = 0;
  for (const file of isPresent(NOTES) ? readdirSync(NOTES) : []) {
    const path = join(NOTES, file);
    const note = JSON.parse(readFileSync(path, 'utf8')) as Note;
    if (isAlive(note.pid) && startedTicks(note.pid) === note.startedTicks) continue;
    await removeGround(note);
    rmSync(path, { force: true });
    count += 1;
  }
  return count;
}

async function removeGround({ directory, namespaces }: Note): Promise<void> {
  const running = (): number[] => processesWith(`ASPEN_E2E_CLUSTER=${directory}`);
  for (const pid of running()) signalProcess(pid, 'SIGKILL');
  await until(() => running().length === 0, { what: 'left agents to end', timeoutMs: ENDING_CAP_MS });
  for (const namespace of namespaces)
    if (isPresent(`/run/netns/${namespace}`)) runTool('ip', ['netns', 'del', namespace]);
  unmountBelow(directory);
  rmSync(directory, { recursive: true, force: true });
}

/** Small disks that a lab put below its directory. */
function unmountBelow(directory: string): void {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const point = line.split(' ')[1] ?? '';
    if (point.startsWith(`${directory}/`)) runTool('umount', ['-l', point]);
  }
}

function startedTicks(pid: number): string | undefined {
  if (!isPresent(`/proc/${pid}/stat`)) return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
