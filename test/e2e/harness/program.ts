import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The program under test, started as a user starts it. */
export const PROGRAM = join(ROOT, 'bin/aspen-agent');

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Name of a network namespace to run in. */
  readonly netns?: string;
  /** Another user to run as; where the tests are root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
}

/** What every program of these tests sees: nothing of the caller's but the search path, so that a stray `ASPEN_*` changes nothing. */
export function environmentOf(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    PATH: [join(ROOT, 'node_modules/.bin'), process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'].join(
      delimiter,
    ),
    HOME: process.env['HOME'] ?? '/',
    LANG: 'C.UTF-8',
    NO_COLOR: '1',
    ...env,
  };
}

/** Each part of the line becomes the next, so that the pid of the child is the pid of the agent. */
function commandLine(args: readonly string[], { netns, user }: ProgramOptions): readonly [string, string[]] {
  const as =
    user === undefined
      ? []
      : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--'];
  const within = netns === undefined ? [] : ['ip', 'netns', 'exec', netns];
  const [program = PROGRAM, ...rest] = [...within, ...as, PROGRAM, ...args];
  return [program, rest];
}

/** Starts the program with its output going to a file; it stays until it is stopped. */
export function startProgram(args: readonly string[], logFile: string, options: ProgramOptions) {
  const { env } = options;
  const [command, commandArgs] = commandLine(args, options);
  const log = openSync(logFile, 'a');
  try {
    return spawn(command, commandArgs, { env: environmentOf(env), stdio: ['ignore', log, log], cwd: '/' });
  } finally {
    closeSync(log);
  }
}

export interface RunOptions extends ProgramOptions {
  readonly stdin?: string;
  /** A cap: the program is killed then, and `code` is null. @default 90_000 */
  readonly timeoutMs?: number;
  readonly onStdout?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program to its end. */
export function runProgram(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [command, commandArgs] = commandLine(args, options);
  const child = spawn(command, commandArgs, { env: environmentOf(options.env), cwd: '/' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    options.onStdout?.(stdout);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => child.stdin.destroy()); // it may end without reading
  child.stdin.end(options.stdin ?? '');
  const kill = () => void child.kill('SIGKILL');
  const timer = setTimeout(kill, options.timeoutMs ?? 90_000);
  options.signal?.addEventListener('abort', kill, { once: true });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', kill);
      resolve({ code, signal, stdout, stderr });
    });
  });
}
