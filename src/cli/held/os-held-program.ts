import { type ChildProcess, spawn } from 'node:child_process';
import type { HeldExit, HeldProgram } from './run-held.ts';

export interface HeldProgramRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the group gets between the request to end and the kill when this process dies. Unit: ms. */
  readonly graceMs: number;
}

/** Whole seconds only: what every `sleep` understands. */
const WATCHDOG = 'read -r _; kill -s TERM -- "-$1"; sleep "$2"; kill -s KILL -- "-$1"';

/**
 * Starts a program on the terminal of this process, as the leader of a group of its own, so that all that it starts can be ended with it.
 * When this process dies, a watchdog ends the group: its standard input is a pipe whose other end only this process holds.
 */
export function startHeldProgram({ command, args, env, graceMs }: HeldProgramRequest): HeldProgram {
  const isPosix = process.platform !== 'win32';
  const child = spawn(command, [...args], { env: { ...env }, stdio: 'inherit', detached: isPosix });
  const watchdog =
    isPosix && child.pid !== undefined ? startWatchdog(child.pid, Math.ceil(graceMs / 1_000)) : undefined;
  const exited = exitOf(child).then((exit) => {
    // What it left running in its group runs without the lock: it ends with its leader.
    if (child.pid !== undefined) signalGroup(child, 'SIGKILL');
    watchdog?.kill('SIGKILL');
    return exit;
  });
  return { exited, signal: (signal) => signalGroup(child, signal) };
}

function startWatchdog(pid: number, graceSeconds: number): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'sh', String(pid), String(graceSeconds)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', (error) => process.emitWarning(`no watchdog for the program: ${error.message}`));
  watchdog.stdin?.on('error', () => watchdog.stdin?.destroy()); // it ended first: nothing to tell it any more
  watchdog.unref();
  return watchdog;
}

function exitOf(child: ChildProcess): Promise<HeldExit> {
  return new Promise((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      resolve({
        exitCode: null,
        signal: null,
        spawnError: { code: error.code ?? 'UNKNOWN', message: error.message },
      });
    });
  });
}

/** Nobody left in the group is no failure: it has ended, which is what was wanted. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
