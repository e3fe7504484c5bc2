import { chownSync, existsSync, readdirSync, realpathSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { MARK_VARIABLE } from './census.ts';
import {
  type Ask,
  type Layers,
  NO_LAYERS,
  OPEN_POLICY,
  type Plan,
  planOf,
  Refusal,
  type WorkPolicy,
} from './confinement.ts';
import { isWithin, type Launch, launchLine } from './launch-line.ts';
import { stoppedByOf } from './limit-verdict.ts';
import { signalInsiders } from './os-census.ts';
import { AttemptCgroup, cgroupNameOf } from './os-cgroups.ts';
import { selfUser } from './os-layers.ts';
import {
  checkCommand,
  checkDirectory,
  findProgram,
  realDirectory,
  type SystemUser,
  userOf,
} from './os-real-paths.ts';
import { neverStarted, OsRunner, type OsRunnerOptions } from './os-runner.ts';
import type { OutputStream, ProcessExit, ProcessRequest, Runner, RunningProcess } from './runner.ts';

const ASKS_NOTHING: Ask = { variables: [] };
/** How long the killed members of a group may take to go. Unit: ms. */
const DYING_MOST_MS = 2_000;
const LOOK_MS = 10;
/** Of a process that the owner or a layer does not let start. */
export const DENIED = 'DENIED';

/**
 * Starts processes as the owner of the machine wants them: refused, or held by the layers that the plan names. One that nobody holds is started as
 * {@link OsRunner} does.
 */
export class ConfinedRunner implements Runner {
  readonly #runner: OsRunner;
  readonly #hidden: string;
  readonly #self = selfUser();
  #policy: WorkPolicy = OPEN_POLICY;
  #layers: Layers = NO_LAYERS;

  /** @param hidden the agent's own directory. */
  constructor(hidden: string, options: OsRunnerOptions = {}) {
    this.#runner = new OsRunner(options);
    this.#hidden = realpathSync(hidden);
  }

  /** For all that is started from now on. */
  confine(policy: WorkPolicy, layers: Layers): void {
    this.#policy = policy;
    this.#layers = layers;
  }

  start(request: ProcessRequest): RunningProcess {
    try {
      const plan = planOf(request.ask ?? ASKS_NOTHING, this.#policy, this.#layers);
      if (this.#isPlain(plan)) return this.#runner.start(request);
      return this.#startHeld(request, plan);
    } catch (error) {
      if (error instanceof Refusal) return refused(DENIED, error.message);
      if (error instanceof Error && 'code' in error) return refused(String(error.code), error.message);
      throw error;
    }
  }

  #isPlain({ isSandboxed, isAgentHidden, limits }: Plan): boolean {
    const { commands, directories, user } = this.#policy;
    return (
      !isSandboxed &&
      !isAgentHidden &&
      commands === null &&
      directories === null &&
      user === null &&
      Object.keys(limits).length === 0
    );
  }

  #startHeld(request: ProcessRequest, plan: Plan): RunningProcess {
    const { user: userName, sandbox } = this.#policy;
    const layers = this.#layers;
    const launch = this.#launchOf(request);
    if ('code' in launch) return refused(launch.code, launch.message);
    const user = userName === null ? null : userOf(userName);
    if (user !== null && layers.setpriv === null)
      throw new Refusal(
        'shell.user: needs an agent that is root, and the program setpriv; see aspen-agent doctor',
      );
    const { ownDirectory } = request;
    if (user !== null && ownDirectory !== undefined) giveTo(user, ownDirectory);
    const cgroup = new AttemptCgroup(cgroupNameOf(request.env[MARK_VARIABLE] ?? ''), layers, plan);
    const [file = '', ...args] = launchLine(launch, plan, {
      layers,
      user,
      writable: sandbox.writable.flatMap((path) => realDirectory(path) ?? []),
      readable: ownDirectory === undefined ? [] : [ownDirectory],
      hidden: this.#hidden,
      cgroups: cgroup.paths,
      self: this.#self,
    });
    const inner = this.#runner.start(
      {
        ...{
          command: file,
          title: request.command,
          args,
          shell: false,
          env: user === null ? request.env : variablesOf(user, request),
        },
        ...(launch.cwd !== undefined && !plan.isSandboxed && { cwd: launch.cwd }),
        ...(request.stdin !== undefined && { stdin: request.stdin }),
      },
      plan.isSandboxed ? signalInsiders : undefined,
    );
    return new HeldProcess(inner, { cgroup, plan });
  }

  /** C3. @returns why there is nothing to start, as the system would say it. @throws Refusal */
  #launchOf({ command, args, cwd: asked, env, shell }: ProcessRequest): Launch | SpawnError {
    const { commands, directories } = this.#policy;
    const cwd = directories === null ? asked : checkDirectory(asked, directories);
    const real = cwd === undefined ? undefined : realDirectory(cwd);
    if (cwd !== undefined && real === undefined)
      return {
        code: 'ENOENT',
        message: `the working directory ${cwd} does not exist or is not a directory`,
      };
    if (real !== undefined && isWithin(real, this.#hidden))
      throw new Refusal(`cwd: ${real} belongs to the agent itself`);
    const [name, argv] = shell ? ['/bin/sh', ['-c', [command, ...args].join(' ')]] : [command, args];
    const file = findProgram(name, { path: env['PATH'], cwd: real });
    if (file === undefined) return notFound(name, real ?? '/');
    if (commands !== null) checkCommand(file, commands);
    // A program is told the name that it was asked for by, where no list names the very file.
    const called = commands === null && !name.startsWith('-') ? name : file;
    return { file: called, args: argv, ...(real !== undefined && { cwd: real }) };
  }
}

/** C4. A process that a layer holds: nothing of it is left when it has exited. */
class HeldProcess implements RunningProcess {
  readonly pid?: number;
  readonly exited: Promise<ProcessExit>;
  readonly #inner: RunningProcess;
  readonly #cgroup: AttemptCgroup;

  constructor(
    inner: RunningProcess,
    { cgroup, plan }: { readonly cgroup: AttemptCgroup; readonly plan: Plan },
  ) {
    this.#inner = inner;
    this.#cgroup = cgroup;
    if (inner.pid !== undefined) this.pid = inner.pid;
    this.exited = this.#follow(plan);
  }

  onOutput(callback: (stream: OutputStream, bytes: Uint8Array) => void): void {
    this.#inner.onOutput(callback);
  }

  stop(graceMs: number): Promise<void> {
    return this.#inner.stop(graceMs);
  }

  pause(): void {
    this.#inner.pause?.();
  }

  resume(): void {
    this.#inner.resume?.();
  }

  members(): ReadonlySet<number> {
    return this.#cgroup.members();
  }

  async #follow(plan: Plan): Promise<ProcessExit> {
    const exit = await this.#inner.exited;
    this.#cgroup.kill();
    const events = this.#cgroup.events();
    await this.#clear();
    const stoppedBy = stoppedByOf(exit, { plan, events });
    return stoppedBy === undefined ? exit : { ...exit, stoppedBy };
  }

  /** C4 */
  async #clear(): Promise<void> {
    const untilMs = performance.now() + DYING_MOST_MS;
    while (!this.#cgroup.remove() && performance.now() < untilMs) {
      this.#cgroup.kill();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

/** The agent's own home is not that of the user; what the job says itself stays. */
function variablesOf(
  { name, home }: SystemUser,
  { env, ask }: ProcessRequest,
): Readonly<Record<string, string>> {
  const own = Object.entries({ HOME: home, USER: name, LOGNAME: name });
  return { ...env, ...Object.fromEntries(own.filter(([key]) => ask?.variables.includes(key) !== true)) };
}

type SpawnError = NonNullable<ProcessExit['spawnError']>;

/** What is there and may not be run is told from what is not there. */
function notFound(name: string, cwd: string): SpawnError {
  if (name.includes('/') && existsSync(resolve(cwd, name)))
    return { code: 'EACCES', message: `${name} cannot be started: it is no program that may be run` };
  const where = name.includes('/') && !isAbsolute(name) ? ` in ${cwd} of the node that runs it` : '';
  return { code: 'ENOENT', message: `${name} cannot be started: no such program${where}` };
}

function giveTo({ uid, gid }: SystemUser, directory: string): void {
  for (const name of readdirSync(directory)) chownSync(join(directory, name), uid, gid);
  chownSync(directory, uid, gid);
}

function refused(code: string, message: string): RunningProcess {
  return neverStarted({ exitCode: null, signal: null, spawnError: { code, message } });
}
