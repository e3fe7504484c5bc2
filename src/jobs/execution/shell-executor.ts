import { AspenError, type Clock } from '../../base/index.ts';
import type { AttemptSecrets } from '../../secrets/index.ts';
import {
  type AdoptedAttempt,
  type InterruptedAttempt,
  type OutputFacts,
  type ProcessExit,
  type StoppedBy,
  type SupervisedEnd,
  type SupervisedProcess,
  type Supervisor,
  SupervisorGone,
  type Survivor,
  UNREADABLE_SECRET,
} from '../../supervisor/index.ts';
import { AttemptGone } from '../outcome.ts';
import type { AttemptRef } from '../settlement.ts';
import {
  type AttemptContext,
  type ExecutionError,
  type ExecutionResult,
  type Executor,
  LIMIT_EXCEEDED,
  PROCESSES_LEFT,
  type RecoveredAttempt,
  stoppedResult,
  stopReasonOf,
} from './executor.ts';
import { cutStreams, type OutputKeeper, type WholeOutput } from './output-keeper.ts';
import { outputKeyOf } from './output-store.ts';
import { shellEnvironment } from './shell-environment.ts';
import { askOf, limitText } from './shell-layers.ts';
import { DEFAULT_MAX_OUTPUT_BYTES, parseShellPayload, type ShellPayload } from './shell-payload.ts';
import { namesOfSecrets, plainVariables, type SecretSource, sealedFor } from './shell-secrets.ts';

/** The result of a shell job, kept on failure, timeout and cancel too. */
export interface ShellResult extends OutputFacts, WholeOutput {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly durationMs: number;
  /** Processes of the attempt that could not be ended; absent where there are none. */
  readonly survivors?: readonly Survivor[];
}

/** What the owner of the machine bounds, beside what the supervisor holds. */
export interface ShellBounds {
  /** Of a job that names none; for both streams together. Unit: bytes. */
  readonly outputBytes: number;
  /** Of any job. */
  readonly mostOutputBytes: number;
  /** Of a job without a time limit; null for no limit. */
  readonly wallMs: number | null;
  /** Of any job; null for no limit. */
  readonly mostWallMs: number | null;
}

const USUAL_BOUNDS: ShellBounds = {
  outputBytes: DEFAULT_MAX_OUTPUT_BYTES,
  mostOutputBytes: Number.MAX_SAFE_INTEGER,
  wallMs: null,
  mostWallMs: null,
};

interface ShellComponents {
  readonly supervisor: Supervisor;
  readonly clock: Clock;
  /** The agent's own environment, of which an allow-list is passed on. */
  readonly agentEnv: Readonly<Record<string, string | undefined>>;
  /** Where output goes that a record has no room for. @default only the record's head and tail are kept */
  readonly outputs?: OutputKeeper;
  /** @default 64 MiB of output, and nothing else */
  readonly bounds?: ShellBounds;
  /** Where secrets come from, sealed. @default jobs that name one fail here */
  readonly secrets?: SecretSource;
}

/** What shells answer when a program was found and may not be run, or was not found. */
const NOT_EXECUTABLE_EXIT = 126;
const NOT_FOUND_EXIT = 127;

/** Runs a command of the machine, under a supervisor that outlives this agent. */
export class ShellExecutor implements Executor {
  readonly type = 'shell';
  readonly #components: ShellComponents;
  /** Those whose outcome was not told yet. */
  readonly #untold = new Map<string, SupervisedProcess>();

  constructor(components: ShellComponents) {
    this.#components = components;
  }

  async execute(attempt: AttemptContext): Promise<ExecutionResult> {
    const payload = parsed(attempt.payload);
    if (payload instanceof AspenError) return malformed(payload);
    const early = stopReasonOf(attempt.signal);
    if (early !== null) return stoppedResult(early, null);
    const names = namesOfSecrets(payload);
    if (names.length > 0) return this.#executeWithSecrets(attempt, payload, names);
    return this.#follow(attempt, payload, this.#start(attempt, payload));
  }

  /** V6 of the supervisor: they pass through here sealed. */
  async #executeWithSecrets(
    attempt: AttemptContext,
    payload: ShellPayload,
    names: readonly string[],
  ): Promise<ExecutionResult> {
    const { secrets: source } = this.#components;
    if (source === undefined)
      return malformed(new AspenError('UNAVAILABLE', 'this node is given no secrets'));
    const sealed = await sealedFor(payload, { names, node: attempt.node, source });
    if ('ok' in sealed) return sealed;
    const stop = stopReasonOf(attempt.signal);
    if (stop !== null) return stoppedResult(stop, null);
    return this.#follow(attempt, payload, this.#start(attempt, payload, sealed));
  }

  async recover(): Promise<readonly RecoveredAttempt[]> {
    const { adopted, interrupted } = await this.#components.supervisor.inherit();
    const gone = interrupted.flatMap((one) => interruptedAttempt(one, this.#components.clock) ?? []);
    return [...adopted.map((one) => this.#adoptedAttempt(one)), ...gone];
  }

  settled(ref: AttemptRef): void {
    if (this.#untold.size === 0) return;
    const name = nameOf(ref);
    this.#untold.get(name)?.forget();
    this.#untold.delete(name);
  }

  #start(attempt: AttemptContext, payload: ShellPayload, secrets?: AttemptSecrets): SupervisedProcess {
    const { supervisor, agentEnv, bounds = USUAL_BOUNDS } = this.#components;
    return supervisor.start({
      name: nameOf(refOf(attempt)),
      note: attempt.assignment ?? null,
      outputKey: outputKeyOf(attempt),
      holdUntilMs: attempt.hold?.untilMs ?? Number.MAX_SAFE_INTEGER,
      timeoutMs: timeLimitOf(attempt.timeoutMs ?? null, bounds),
      graceMs: payload.graceMs,
      maxOutputBytes: Math.min(payload.maxOutputBytes ?? bounds.outputBytes, bounds.mostOutputBytes),
      captureStderr: payload.captureStderr,
      command: payload.command,
      args: payload.args,
      env: shellEnvironment(agentEnv, plainVariables(payload.env), attempt),
      shell: payload.shell,
      ask: askOf(payload),
      ...(payload.cwd === undefined ? {} : { cwd: payload.cwd }),
      ...inputOf(payload),
      ...(secrets !== undefined && { secrets }),
    });
  }

  #adoptedAttempt({ note, holdUntilMs, timeoutLeftMs, process }: AdoptedAttempt): RecoveredAttempt {
    const resume = async (attempt: AttemptContext) => {
      const payload = parsed(attempt.payload);
      return payload instanceof AspenError ? malformed(payload) : this.#follow(attempt, payload, process);
    };
    return { assignment: note, holdUntilMs, timeoutLeftMs, resume };
  }

  /** @throws AttemptGone when nobody can say any more how it ended. */
  async #follow(
    attempt: AttemptContext,
    payload: ShellPayload,
    process: SupervisedProcess,
  ): Promise<ExecutionResult> {
    this.#untold.set(nameOf(refOf(attempt)), process);
    attempt.output.attach?.(process);
    using _ = attempt.hold?.onMove((untilMs) => process.renew(untilMs));
    const onAbort = () => process.stop(graceMs(payload, attempt.signal));
    attempt.signal.addEventListener('abort', onAbort, { once: true });
    if (attempt.signal.aborted) onAbort();
    try {
      const end = await process.ended;
      const isCut = end.output.truncated && end.endedBy !== 'hold';
      const whole = isCut ? await this.#keepWhole(attempt, end, process) : undefined;
      return verdict(payload, { ...end, whole }, attempt.signal);
    } catch (error) {
      if (error instanceof SupervisorGone) throw new AttemptGone(error.message);
      throw error;
    } finally {
      attempt.signal.removeEventListener('abort', onAbort);
    }
  }

  /** O5 @returns undefined where there is nothing to keep, or nobody who asks for it. */
  async #keepWhole(
    attempt: AttemptContext,
    { output }: SupervisedEnd,
    process: SupervisedProcess,
  ): Promise<WholeOutput | undefined> {
    const streams = cutStreams(output);
    if (streams.length === 0 || stopReasonOf(attempt.signal) === 'lost') return undefined;
    return this.#components.outputs?.keep(attempt, process, streams);
  }
}

/** On a node that runs no such jobs any more: ends what an earlier agent began, before the group hears that it is given up. */
export async function endInherited(supervisor: Supervisor): Promise<void> {
  const { adopted } = await supervisor.inherit();
  for (const { process } of adopted) process.stop(0);
  await Promise.allSettled(adopted.map(({ process }) => process.ended));
  for (const { process } of adopted) process.forget();
}

/** @returns the shortest that anybody says; the usual one only where the job says nothing. */
function timeLimitOf(askedMs: number | null, { wallMs, mostWallMs }: ShellBounds): number | null {
  const leastMs = Math.min(
    askedMs ?? wallMs ?? Number.POSITIVE_INFINITY,
    mostWallMs ?? Number.POSITIVE_INFINITY,
  );
  return Number.isFinite(leastMs) ? leastMs : null;
}

/** The job is about to run elsewhere when the hold was lost: there is no time to be polite. */
function graceMs(payload: ShellPayload, signal: AbortSignal): number {
  return stopReasonOf(signal) === 'lost' ? 0 : payload.graceMs;
}

/** @throws AttemptGone when its supervisor has ended it, since nobody held it any more. */
function verdict(
  { command }: ShellPayload,
  {
    exit: { exitCode, signal, spawnError, stoppedBy },
    endedBy,
    output,
    whole,
    durationMs,
    survivors,
  }: SupervisedEnd & { readonly whole: WholeOutput | undefined },
  asked: AbortSignal,
): ExecutionResult {
  const result: ShellResult = {
    exitCode,
    signal,
    ...output,
    ...whole,
    durationMs,
    ...(survivors.length > 0 && { survivors }),
  };
  if (survivors.length > 0) return { ok: false, error: leftError(survivors), result };
  const stop = stopReasonOf(asked);
  if (endedBy === 'stop' && stop !== null) return stoppedResult(stop, result);
  if (endedBy === 'timeout') return stoppedResult('timeout', result);
  if (endedBy === 'hold')
    throw new AttemptGone('its supervisor ended it: the leader was silent past the hold');
  if (spawnError !== undefined) {
    const error = spawnFailure(spawnError);
    return { ok: false, error, result: { ...result, exitCode: error.exitCode ?? null } };
  }
  if (stoppedBy !== undefined) return { ok: false, error: limitError(command, exitCode, stoppedBy), result };
  if (exitCode === 0) return { ok: true, result };
  return { ok: false, error: exitError(command, { exitCode, signal }), result };
}

function exitError(command: string, { exitCode, signal }: ProcessExit): ExecutionError {
  return exitCode === null
    ? { code: 'SIGNAL', message: `${command} was ended by ${signal}`, retryable: true }
    : { code: 'EXIT_CODE', message: `${command} exited with ${exitCode}`, retryable: true, exitCode };
}

/** What the machine does not give once it does not give the next time. */
function limitError(command: string, exitCode: number | null, stoppedBy: StoppedBy): ExecutionError {
  const message = `${command} met its limit, ${limitText(stoppedBy)}`;
  return { code: LIMIT_EXCEEDED, message, retryable: false, ...(exitCode !== null && { exitCode }) };
}

/** V2: what still runs must not run a second time beside itself. */
function leftError(survivors: readonly Survivor[]): ExecutionError {
  const names = survivors.slice(0, 10).map(({ pid, command }) => `${pid} (${command})`);
  const message = `${survivors.length} processes could not be ended: ${names.join(', ')}`;
  return { code: PROCESSES_LEFT, message, retryable: false };
}

function inputOf({ stdin, stdinBase64 }: ShellPayload): { readonly stdin?: Uint8Array } {
  if (stdinBase64 !== undefined) return { stdin: new Uint8Array(Buffer.from(stdinBase64, 'base64')) };
  return stdin === undefined ? {} : { stdin: new TextEncoder().encode(stdin) };
}

function malformed({ code, message }: AspenError): ExecutionResult {
  return { ok: false, error: { code, message, retryable: false }, result: null };
}

function refOf({ jobId, attempt, fencingToken, group }: AttemptContext): AttemptRef {
  return { jobId, attempt, fencingToken, rank: group?.rank };
}

/** Unlike that of any other attempt of this node: tokens never repeat. */
function nameOf({ jobId, attempt, fencingToken, rank }: AttemptRef): string {
  return [jobId, attempt, fencingToken, ...(rank === undefined ? [] : [rank])].join('/');
}

/** @returns undefined for a name that is not one of {@link nameOf}. */
function interruptedAttempt(
  { name, reason }: InterruptedAttempt,
  clock: Clock,
): RecoveredAttempt | undefined {
  const [, jobId, attempt, fencingToken, rank] = /^([^/]+)\/(\d+)\/(\d+)(?:\/(\d+))?$/.exec(name) ?? [];
  if (jobId === undefined) return undefined;
  return {
    assignment: {
      ...{ jobId, attempt: Number(attempt), fencingToken: Number(fencingToken) },
      ...(rank !== undefined && { rank: Number(rank) }),
      ...{ sessionId: '', type: 'shell', payload: null, timeoutMs: null, traceparent: null, holdMs: 0 },
    },
    holdUntilMs: clock.monotonicMs(),
    timeoutLeftMs: null,
    resume: () => Promise.reject(new AttemptGone(reason)),
  };
}

/** What is missing or forbidden on a node stays so; what the system lacked for a moment (EAGAIN, EMFILE) may come back. */
function spawnFailure({ code, message }: { code: string; message: string }): ExecutionError {
  if (code === UNREADABLE_SECRET) return { code, message, retryable: false };
  const isTransient = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(code);
  const exitCode = code === 'ENOENT' || code === 'ENOTDIR' ? NOT_FOUND_EXIT : NOT_EXECUTABLE_EXIT;
  return { code: code === 'DENIED' ? code : 'SPAWN_FAILED', message, retryable: isTransient, exitCode };
}

function parsed(payload: unknown): ShellPayload | AspenError {
  try {
    return parseShellPayload(payload);
  } catch (error) {
    if (error instanceof AspenError) return error;
    throw error;
  }
}
