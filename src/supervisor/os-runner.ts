import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { hasLivingMember } from './os-census.ts';
import type { OutputStream, ProcessExit, ProcessRequest, Runner, RunningProcess } from './runner.ts';

/** How long the pipes may stay silent after the leader has exited before they are given up (R3). Unit: ms. */
const DRAIN_QUIET_MS = 100;
/** Longest wait for the pipes however much still comes, e.g. from a descendant that left the group (R3). Unit: ms. */
const DRAIN_MOST_MS = 2_000;
/** How often a group whose leader is gone is asked whether anybody is left. Unit: ms. */
const GROUP_POLL_MS = 20;

/** And at last. Unit: ms. */
const GROUP_POLL_MOST_MS = 160;

/** @param pid of the leader. */
export type AskToEnd = (pid: number) => void;

export interface OsRunnerOptions {
  /** What files of these processes are not open to, by default. @default that of this process */
  readonly umask?: number;
}

/** Starts processes of this machine. POSIX: each child is spawned detached, which makes it the leader of its own group. */
export class OsRunner implements Runner {
  readonly #umask: number | undefined;

  constructor({ umask }: OsRunnerOptions = {}) {
    this.#umask = umask;
  }

  /** @param askToEnd tells the processes of a group to end. @default SIGTERM to all of it */
  start(request: ProcessRequest, askToEnd: AskToEnd = terminateGroup): RunningProcess {
    let child: ChildProcess;
    try {
      child = withUmask(this.#umask, () => launch(request));
    } catch (error) {
      return neverStarted(spawnErrorOf(error, request));
    }
    return new OsProcess(child, request, askToEnd);
  }
}

/** A process is forked within the call: what it inherits is what is set for so long. */
function withUmask<T>(mask: number | undefined, start: () => T): T {
  if (mask === undefined) return start();
  const own = process.umask(mask);
  try {
    return start();
  } finally {
    process.umask(own);
  }
}

function launch({ command, args, env, cwd, stdin, shell }: ProcessRequest): ChildProcess {
  const [file, argv] = shell ? ['/bin/sh', ['-c', [command, ...args].join(' ')]] : [command, [...args]];
  return spawn(file, argv, {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    detached: true,
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    windowsHide: true,
  });
}

class OsProcess implements RunningProcess {
  readonly pid?: number;
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #askToEnd: AskToEnd;
  #listener: ((stream: OutputStream, bytes: Uint8Array) => void) | null = null;
  #kept: [OutputStream, Uint8Array][] = [];
  #chunkCount = 0;
  #isGone = false;
  /** Instant until which the group may end by itself; null while nobody asked it to end. */
  #graceUntilMs: number | null = null;

  constructor(child: ChildProcess, request: ProcessRequest, askToEnd: AskToEnd) {
    this.#child = child;
    this.#askToEnd = askToEnd;
    if (child.pid !== undefined) this.pid = child.pid;
    child.stdout?.on('data', (bytes: Uint8Array) => this.#deliver('stdout', bytes));
    child.stderr?.on('data', (bytes: Uint8Array) => this.#deliver('stderr', bytes));
    feed(child, request.stdin);
    this.exited = this.#follow(request);
  }

  onOutput(callback: (stream: OutputStream, bytes: Uint8Array) => void): void {
    this.#listener = callback;
    for (const [stream, bytes] of this.#kept) callback(stream, bytes);
    this.#kept = [];
  }

  async stop(graceMs: number): Promise<void> {
    const untilMs = performance.now() + graceMs;
    if (!this.#isGone && this.pid !== undefined) {
      if (this.#graceUntilMs === null) this.#askToEnd(this.pid);
      this.#graceUntilMs = Math.min(this.#graceUntilMs ?? untilMs, untilMs);
      const timer = setTimeout(() => this.#kill(), graceMs);
      await this.exited;
      clearTimeout(timer);
    }
    await this.exited;
  }

  pause(): void {
    if (this.#isGone) return;
    this.#child.stdout?.pause();
    this.#child.stderr?.pause();
  }

  resume(): void {
    this.#child.stdout?.resume();
    this.#child.stderr?.resume();
  }

  #kill(): void {
    if (!this.#isGone && this.pid !== undefined) signalGroup(this.pid, 'SIGKILL');
  }

  async #follow(request: ProcessRequest): Promise<ProcessExit> {
    const exit = await exitOf(this.#child, request);
    if (this.pid !== undefined) await this.#endGroup(this.pid);
    this.#isGone = true;
    this.resume();
    await this.#drain();
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    this.#child.stdin?.destroy();
    return exit;
  }

  /** R2. Members of a group that was asked to end keep the rest of their grace; others are killed with their leader. */
  async #endGroup(pid: number): Promise<void> {
    for (let pollMs = GROUP_POLL_MS; performance.now() < (this.#graceUntilMs ?? 0) && isGroupAlive(pid); ) {
      await pauseMs(pollMs);
      pollMs = Math.min(2 * pollMs, GROUP_POLL_MOST_MS);
    }
    signalGroup(pid, 'SIGKILL');
  }

  /** R3. A round ends with a turn of the event loop, so that a late timer never goes before bytes that wait to be read. */
  async #drain(): Promise<void> {
    const untilMs = performance.now() + DRAIN_MOST_MS;
    const isClosed = () => isEnded(this.#child.stdout) && isEnded(this.#child.stderr);
    let quietMs = 0;
    for (let seen = this.#chunkCount; !isClosed() && quietMs < DRAIN_QUIET_MS; seen = this.#chunkCount) {
      if (performance.now() > untilMs) return;
      await pauseMs(quietMs === 0 ? 1 : 10);
      await new Promise((resolve) => setImmediate(resolve));
      quietMs = seen === this.#chunkCount ? quietMs + 10 : 0;
    }
  }

  #deliver(stream: OutputStream, bytes: Uint8Array): void {
    this.#chunkCount += 1;
    if (this.#listener === null) this.#kept.push([stream, bytes]);
    else this.#listener(stream, bytes);
  }
}

function isEnded(stream: ChildProcess['stdout']): boolean {
  return stream === null || stream.destroyed || stream.readableEnded;
}

function feed(child: ChildProcess, stdin: Uint8Array | undefined): void {
  if (child.stdin === null) return;
  // A process may exit or close its input before it has read everything: its right, and no failure of the run.
  child.stdin.on('error', () => child.stdin?.destroy());
  child.stdin.end(stdin);
}

function exitOf(child: ChildProcess, request: ProcessRequest): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(spawnErrorOf(error, request));
    });
  });
}

function spawnErrorOf(error: unknown, { command, title = command, cwd }: ProcessRequest): ProcessExit {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  const message =
    cwd !== undefined && !isDirectory(cwd)
      ? `the working directory ${cwd} does not exist or is not a directory`
      : `${title} cannot be started: ${code === 'E2BIG' ? TOO_LONG : error instanceof Error ? error.message : String(error)}`;
  return { exitCode: null, signal: null, spawnError: { code, message } };
}

const TOO_LONG = 'its arguments and variables are longer than this system takes (E2BIG)';

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    // Whatever keeps it from being looked at keeps a process from starting there as well.
    return !(error instanceof Error);
  }
}

/** @returns a process that has never been. */
export function neverStarted(exit: ProcessExit): RunningProcess {
  return { onOutput: () => undefined, exited: Promise.resolve(exit), stop: async () => undefined };
}

/** What was stopped hears of it when it goes on. */
function terminateGroup(pid: number): void {
  signalGroup(pid, 'SIGTERM');
  signalGroup(pid, 'SIGCONT');
}

/** @returns false when nobody is left in the group, or nobody whom this user may signal. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))
      return false;
    throw error;
  }
}

/**
 * The dead whom nobody has buried count as members for the system: orphans in a container whose first process buries nobody would hold up the end of their
 * attempt until its grace is over.
 */
function isGroupAlive(groupId: number): boolean {
  return signalGroup(groupId, 0) && (process.platform !== 'linux' || hasLivingMember(groupId));
}

function pauseMs(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}
