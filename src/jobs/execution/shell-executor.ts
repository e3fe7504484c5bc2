import { AspenError, type Clock } from '../../base/index.ts';
import type { ProcessExit, Runner } from '../../supervisor/index.ts';
import { CapturedOutput, type OutputFacts } from './captured-output.ts';
import {
  type AttemptContext,
  type ExecutionError,
  type ExecutionResult,
  type Executor,
  stoppedResult,
  stopReasonOf,
} from './executor.ts';
import { shellEnvironment } from './shell-environment.ts';
import { parseShellPayload, type ShellPayload } from './shell-payload.ts';

/** The result of a shell job, kept on failure, timeout and cancel too. */
export interface ShellResult extends OutputFacts {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly durationMs: number;
}

interface ShellComponents {
  readonly runner: Runner;
  readonly clock: Clock;
  /** The agent's own environment, of which an allow-list is passed on. */
  readonly agentEnv: Readonly<Record<string, string | undefined>>;
}

/** What shells answer when a program was found and may not be run, or was not found. */
const NOT_EXECUTABLE_EXIT = 126;
const NOT_FOUND_EXIT = 127;

/** Runs a command of the machine. */
export class ShellExecutor implements Executor {
  readonly type = 'shell';
  readonly #components: ShellComponents;

  constructor(components: ShellComponents) {
    this.#components = components;
  }

  async execute(attempt: AttemptContext): Promise<ExecutionResult> {
    const payload = parsed(attempt.payload);
    if (payload instanceof AspenError) {
      return {
        ok: false,
        error: { code: payload.code, message: payload.message, retryable: false },
        result: null,
      };
    }
    const early = stopReasonOf(attempt.signal);
    if (early !== null) return stoppedResult(early, null);
    return this.#run(attempt, payload);
  }

  async #run(attempt: AttemptContext, payload: ShellPayload): Promise<ExecutionResult> {
    const { runner, clock, agentEnv } = this.#components;
    const startedMs = clock.monotonicMs();
    const output = new CapturedOutput(payload, attempt.output);
    const child = runner.start({
      command: payload.command,
      args: payload.args,
      env: shellEnvironment(agentEnv, payload.env, attempt),
      shell: payload.shell,
      ...(payload.cwd === undefined ? {} : { cwd: payload.cwd }),
      ...(payload.stdin === undefined ? {} : { stdin: new TextEncoder().encode(payload.stdin) }),
    });
    let isHeld = false;
    child.onOutput((stream, bytes) => {
      output.add(stream, bytes);
      const room = isHeld ? undefined : output.whenRoom();
      if (room === undefined) return;
      isHeld = true;
      child.pause?.();
      void room.then(() => {
        isHeld = false;
        child.resume?.();
      });
    });
    let stopping: Promise<void> | null = null;
    const onAbort = () => {
      stopping = child.stop(graceMs(payload, attempt.signal));
    };
    attempt.signal.addEventListener('abort', onAbort, { once: true });
    const exit = await child.exited;
    attempt.signal.removeEventListener('abort', onAbort);
    await stopping;
    return verdict(
      payload,
      exit,
      {
        exitCode: exit.exitCode,
        signal: exit.signal,
        ...output.facts(),
        durationMs: Math.round(clock.monotonicMs() - startedMs),
      },
      stopping === null ? null : attempt.signal,
    );
  }
}

/** The job is about to run elsewhere when the hold was lost: there is no time to be polite. */
function graceMs(payload: ShellPayload, signal: AbortSignal): number {
  return stopReasonOf(signal) === 'lost' ? 0 : payload.graceMs;
}

/** @param stoppedBy the signal whose abort ended the process; null when it ended before anybody asked. */
function verdict(
  { command }: ShellPayload,
  { exitCode, signal, spawnError }: ProcessExit,
  result: ShellResult,
  stoppedBy: AbortSignal | null,
): ExecutionResult {
  const stop = stoppedBy === null ? null : stopReasonOf(stoppedBy);
  if (stop !== null) return stoppedResult(stop, result);
  if (spawnError !== undefined) {
    const error = spawnFailure(spawnError);
    return { ok: false, error, result: { ...result, exitCode: error.exitCode ?? null } };
  }
  if (exitCode === 0) return { ok: true, result };
  const error: ExecutionError =
    exitCode === null
      ? { code: 'SIGNAL', message: `${command} was ended by ${signal}`, retryable: true }
      : { code: 'EXIT_CODE', message: `${command} exited with ${exitCode}`, retryable: true, exitCode };
  return { ok: false, error, result };
}

/** What is missing or forbidden on a node stays so; what the system lacked for a moment (EAGAIN, EMFILE) may come back. */
function spawnFailure({ code, message }: { code: string; message: string }): ExecutionError {
  const isTransient = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(code);
  const exitCode = code === 'ENOENT' || code === 'ENOTDIR' ? NOT_FOUND_EXIT : NOT_EXECUTABLE_EXIT;
  return { code: 'SPAWN_FAILED', message, retryable: isTransient, exitCode };
}

function parsed(payload: unknown): ShellPayload | AspenError {
  try {
    return parseShellPayload(payload);
  } catch (error) {
    if (error instanceof AspenError) return error;
    throw error;
  }
}
