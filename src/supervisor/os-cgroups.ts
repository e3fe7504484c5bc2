import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { kill } from 'node:process';
import type { CgroupBase, Layers, Limits, Plan } from './confinement.ts';

/** Groups of this program are recognized by it, whoever made them. */
const PREFIX = 'aspen-attempt-';
/** What the kernel can number; it refuses a greater bound, which would bound nothing. */
const PIDS_MOST = 2 ** 22;
const CONTROLLERS = ['memory', 'pids'] as const;
type Controller = (typeof CONTROLLERS)[number];

/** What was counted against the limits of one attempt. */
export interface CgroupEvents {
  /** Processes killed for want of memory. */
  readonly oomKills: number;
  /** Forks refused. */
  readonly refusedForks: number;
}

/** Control groups of one attempt: one directory where the system has one hierarchy, one for each controller where it has several. */
export class AttemptCgroup {
  readonly paths: readonly string[];
  readonly #memory: string | null;
  readonly #pids: string | null;

  /** @throws Error when the system refuses it. */
  constructor(name: string, { memory, pids }: Layers, { limits, holders }: Plan) {
    this.#memory = holders.memoryBytes === 'cgroup' && memory !== null ? make(memory, name) : null;
    this.#pids = holders.pids === 'cgroup' && pids !== null ? make(pids, name) : null;
    this.paths = [...new Set([this.#memory, this.#pids].filter((path) => path !== null))];
    if (this.#memory !== null && memory !== null) limitMemory(this.#memory, memory, limits);
    if (this.#pids !== null) writeFileSync(join(this.#pids, 'pids.max'), pidsMaxOf(limits.pids));
  }

  /** Numbers of the processes inside. */
  members(): ReadonlySet<number> {
    return new Set(this.paths.flatMap(membersOf));
  }

  events(): CgroupEvents {
    const pids = this.#pids === null ? '' : readOf(join(this.#pids, 'pids.events'));
    const memory =
      this.#memory === null
        ? ''
        : readOf(join(this.#memory, 'memory.events')) + readOf(join(this.#memory, 'memory.oom_control'));
    return { oomKills: countOf(memory, 'oom_kill'), refusedForks: countOf(pids, 'max') };
  }

  kill(): void {
    for (const path of this.paths) killMembers(path);
  }

  /** @returns whether it is gone: not while anybody is inside. */
  remove(): boolean {
    return this.paths.map(removeGroup).every((isGone) => isGone);
  }
}

/** @returns the name of a group that no other attempt has. @param mark of the attempt. */
export function cgroupNameOf(mark: string): string {
  return `${PREFIX}${mark}`;
}

/** Ends what groups of a supervisor that is gone still hold, and removes them. @param nonce begins the marks of its attempts. */
export function clearCgroups({ memory, pids }: Layers, nonce: string): void {
  for (const base of new Set([memory?.path, pids?.path])) {
    if (base === undefined) continue;
    for (const name of readdirSync(base)) {
      if (!name.startsWith(`${PREFIX}${nonce}-`)) continue;
      killMembers(join(base, name));
      removeGroup(join(base, name));
    }
  }
}

/** @returns where this process may make groups with a controller, found out by making one; null where it may not. */
export function probeCgroup(controller: Controller): CgroupBase | null {
  return candidates(controller).find((base) => isUsable(base, controller)) ?? null;
}

/** Own groups, those of one hierarchy first. A service whose processes live in a group `agent` of its own delegated group makes groups beside it. */
function candidates(controller: Controller): readonly CgroupBase[] {
  const own = readOf('/proc/self/cgroup').split('\n');
  return mountsOf().flatMap(({ path, version, controllers }): readonly CgroupBase[] => {
    if (version === 1 && !controllers.includes(controller)) return [];
    const wanted = version === 2 ? '' : controller;
    const line = own.map(partsOf).find(([, names]) => (names ?? '').split(',').includes(wanted));
    if (line === undefined) return [];
    const at = join(path, line[2] ?? '').replace(/(?<=.)\/$/, '');
    const bases = version === 2 && basename(at) === 'agent' ? [dirname(at), at] : [at];
    return bases.map((base) => ({ version, path: base }));
  });
}

/** A line `4:memory:/path`. */
function partsOf(line: string): readonly string[] {
  const [id = '', names = '', ...path] = line.split(':');
  return [id, names, path.join(':')];
}

function mountsOf() {
  return readOf('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, path = '', type, options = '']) => ({
      path,
      version: type === 'cgroup2' ? (2 as const) : (1 as const),
      controllers: options.split(','),
    }));
}

function isUsable(base: CgroupBase, controller: Controller): boolean {
  try {
    if (base.version === 2 && !isDelegated(base.path, controller)) return false;
    const path = make(base, `${PREFIX}probe-${process.pid}`);
    try {
      if (controller === 'pids') writeFileSync(join(path, 'pids.max'), '64');
      else limitMemory(path, base, { memoryBytes: 2 ** 24 });
      return true;
    } finally {
      removeGroup(path);
    }
  } catch (error) {
    // Whatever keeps a group from being made keeps it from being used: that is what is asked here.
    return !(error instanceof Error);
  }
}

/** Asks for the controller where it is offered and nobody has asked yet. */
function isDelegated(path: string, controller: Controller): boolean {
  const has = (file: string) => readOf(join(path, file)).trim().split(' ').includes(controller);
  if (!has('cgroup.controllers')) return false;
  if (!has('cgroup.subtree_control')) writeFileSync(join(path, 'cgroup.subtree_control'), `+${controller}`);
  return has('cgroup.subtree_control');
}

function make({ path }: CgroupBase, name: string): string {
  const made = join(path, name);
  mkdirSync(made, { recursive: true });
  return made;
}

function limitMemory(path: string, { version }: CgroupBase, { memoryBytes = 0 }: Limits): void {
  if (version === 2) {
    writeFileSync(join(path, 'memory.max'), String(memoryBytes));
    writeIfThere(join(path, 'memory.swap.max'), '0');
    writeIfThere(join(path, 'memory.oom.group'), '1');
  } else {
    writeFileSync(join(path, 'memory.limit_in_bytes'), String(memoryBytes));
    writeIfThere(join(path, 'memory.memsw.limit_in_bytes'), String(memoryBytes));
  }
}

/** Not every kernel has every file. */
function writeIfThere(path: string, text: string): void {
  if (existsSync(path)) writeFileSync(path, text);
}

function killMembers(path: string): void {
  const all = join(path, 'cgroup.kill');
  if (existsSync(all)) writeFileSync(all, '1');
  else for (const pid of membersOf(path)) killOne(pid);
}

function killOne(pid: number): void {
  try {
    kill(pid, 'SIGKILL');
  } catch (error) {
    // Gone already, or a program of another user that the attempt began: the look for what is left names it.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function membersOf(path: string): number[] {
  return readOf(join(path, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
}

function removeGroup(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY') return false;
    throw error;
  }
}

/** @returns the number behind a word at the beginning of a line; 0 where there is none. */
function countOf(text: string, word: string): number {
  return Number(new RegExp(`^${word} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

/** @returns empty where there is no such file, or not any more. */
function readOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** @returns what `pids.max` takes for a bound of so many processes. */
export function pidsMaxOf(pids: number | undefined): string {
  return pids === undefined || pids > PIDS_MOST ? 'max' : `${pids}`;
}
