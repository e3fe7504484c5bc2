import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AspenError } from '../base/index.ts';
import { makeDataDirectory } from '../base/os-make-directory.ts';
import type { AgentStatus } from '../rpc/index.ts';
import { AspenClient } from '../sdk/index.ts';
import type { AgentStartOptions } from './agent-start.ts';
import { startArguments } from './start-flags.ts';

export const LOG_FILE = 'agent.log';
const OWNER_ONLY_FILE = 0o600;
const POLL_MS = 50;
const LOG_TAIL_LINES = 15;

export interface SpawnedAgent {
  readonly child: ChildProcess;
  readonly dataDir: string;
  /** Where its part of the log begins. Unit: bytes. */
  readonly logStart: number;
}

/** Starts an agent in a process of its own that outlives this one; its log goes to a file in the data directory. @throws CannotStart */
export function spawnAgent(
  self: readonly string[],
  options: Omit<AgentStartOptions, 'onReady'>,
): SpawnedAgent {
  const { dataDir } = options;
  makeDataDirectory(dataDir);
  const log = openLog(join(dataDir, LOG_FILE));
  const logStart = fstatSync(log).size;
  try {
    const [command = process.execPath, ...rest] = self;
    const child = spawn(command, [...rest, ...startArguments(options)], {
      detached: true,
      stdio: ['ignore', log, log],
    });
    return { child, dataDir, logStart };
  } finally {
    closeSync(log);
  }
}

/**
 * Waits until the agent answers. @returns its status.
 * @throws AspenError when it ended first (with the exit code it had) or does not answer in time.
 */
export async function whenAnswering(
  { child, dataDir, logStart }: SpawnedAgent,
  timeoutMs: number,
): Promise<AgentStatus> {
  const deadlineMs = performance.now() + timeoutMs;
  const stopWatching = new AbortController();
  const ended = once(child, 'exit', { signal: stopWatching.signal }).then(
    ([code]) => ({ code: code as number | null, error: undefined }),
    (error: unknown) => ({ code: null, error }),
  );
  try {
    for (;;) {
      const status = await statusOf(dataDir);
      if (status !== undefined) return status;
      if (performance.now() > deadlineMs) {
        throw new AspenError(
          'DEADLINE_EXCEEDED',
          `the agent does not answer after ${timeoutMs} ms; its log is ${join(dataDir, LOG_FILE)}`,
        );
      }
      const pause = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), POLL_MS));
      const end = await Promise.race([ended, pause]);
      if (end?.error !== undefined) throw end.error;
      if (end !== undefined) throw new EndedEarly(end.code ?? 1, logTail(dataDir, logStart));
    }
  } finally {
    stopWatching.abort();
  }
}

/** The agent ended before it answered: its own exit code and last words say why. */
export class EndedEarly extends Error {
  override readonly name = 'EndedEarly';
  readonly exitCode: number;

  constructor(exitCode: number, lastWords: string) {
    super(lastWords);
    this.exitCode = exitCode;
  }
}

async function statusOf(dataDir: string): Promise<AgentStatus | undefined> {
  try {
    using client = await AspenClient.connect({ dataDir, timeoutMs: 2_000 });
    return await client.call('agent.status', {});
  } catch (error) {
    if (error instanceof AspenError && ['UNAVAILABLE', 'DEADLINE_EXCEEDED'].includes(error.code))
      return undefined;
    throw error;
  }
}

/** @throws AspenError DENIED naming the file. */
function openLog(path: string): number {
  try {
    return openSync(path, 'a', OWNER_ONLY_FILE);
  } catch (cause) {
    const message = `cannot write the log ${path}: ${(cause as Error).message}; the data directory has to be this user's own`;
    throw new AspenError('DENIED', message, { cause });
  }
}

/** What this agent wrote last: lines of earlier ones would tell of failures that are over. */
function logTail(dataDir: string, logStart: number): string {
  const words = readFileSync(join(dataDir, LOG_FILE))
    .subarray(logStart)
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .slice(-LOG_TAIL_LINES)
    .join('\n');
  return words === ''
    ? `its log, ${join(dataDir, LOG_FILE)}, has no word of it: perhaps the disk is full`
    : words;
}
