import { type Clock, sleep } from '../base/index.ts';
import type { OutputStream, ProcessExit, ProcessRequest, Runner, RunningProcess } from './runner.ts';

export interface ProgramContext {
  readonly clock: Clock;
  emit(stream: OutputStream, bytes: Uint8Array | string): void;
  /** Aborted by `stop`. */
  readonly signal: AbortSignal;
}

/** A program of the simulated world. Rejecting with the signal's reason means that SIGTERM ended it. */
export type Program = (
  request: ProcessRequest,
  context: ProgramContext,
) => Promise<{ exitCode: number | null; signal: string | null }>;

const code = (exitCode: number) => ({ exitCode, signal: null });

/** What every simulated machine has installed. */
export const DEFAULT_PROGRAMS: Readonly<Record<string, Program>> = {
  true: async () => code(0),
  false: async () => code(1),
  exit: async ({ args }) => code(Number(args[0] ?? 0)),
  echo: async ({ args }, { emit }) => {
    emit('stdout', `${args.join(' ')}\n`);
    return code(0);
  },
  sleep: async ({ args }, { clock, signal }) => {
    await sleep(clock, Number(args[0] ?? 0) * 1_000, signal);
    return code(0);
  },
};

/** Processes of a simulated machine: programs are functions, time is the world's clock. */
export class MemoryRunner implements Runner {
  readonly #clock: Clock;
  readonly #programs: Readonly<Record<string, Program>>;

  constructor(
    components: { readonly clock: Clock },
    programs: Readonly<Record<string, Program>> = DEFAULT_PROGRAMS,
  ) {
    this.#clock = components.clock;
    this.#programs = programs;
  }

  start(request: ProcessRequest): RunningProcess {
    const actual = request.shell ? wordsOf(request) : request;
    const program = Object.hasOwn(this.#programs, actual.command)
      ? this.#programs[actual.command]
      : undefined;
    return new MemoryProcess(this.#clock, actual, program);
  }
}

/** The simulated shell knows words only. */
function wordsOf(request: ProcessRequest): ProcessRequest {
  const [command = '', ...args] = [request.command, ...request.args].join(' ').split(/\s+/);
  return { ...request, command, args };
}

class MemoryProcess implements RunningProcess {
  readonly exited: Promise<ProcessExit>;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #killed = Promise.withResolvers<ProcessExit>();
  #listener: ((stream: OutputStream, bytes: Uint8Array) => void) | null = null;
  #kept: [OutputStream, Uint8Array][] = [];
  #isGone = false;

  constructor(clock: Clock, request: ProcessRequest, program: Program | undefined) {
    this.#clock = clock;
    this.exited = Promise.race([this.#run(request, program), this.#killed.promise]).finally(() => {
      this.#isGone = true;
    });
  }

  onOutput(callback: (stream: OutputStream, bytes: Uint8Array) => void): void {
    this.#listener = callback;
    for (const [stream, bytes] of this.#kept) callback(stream, bytes);
    this.#kept = [];
  }

  async stop(graceMs: number): Promise<void> {
    if (!this.#isGone) this.#abort.abort(new Error('SIGTERM'));
    using _ = this.#clock.setTimer(graceMs, () =>
      this.#killed.resolve({ exitCode: null, signal: 'SIGKILL' }),
    );
    await this.exited;
  }

  async #run(request: ProcessRequest, program: Program | undefined): Promise<ProcessExit> {
    if (program === undefined) {
      const spawnError = { code: 'ENOENT', message: `${request.command} cannot be started: no such program` };
      return { exitCode: null, signal: null, spawnError };
    }
    const emit: ProgramContext['emit'] = (stream, bytes) => this.#deliver(stream, bytes);
    try {
      return await program(request, { clock: this.#clock, emit, signal: this.#abort.signal });
    } catch (reason) {
      if (this.#abort.signal.aborted) return { exitCode: null, signal: 'SIGTERM' };
      this.#deliver('stderr', `${String(reason)}\n`);
      return { exitCode: null, signal: 'SIGABRT' };
    }
  }

  #deliver(stream: OutputStream, given: Uint8Array | string): void {
    if (this.#isGone) return;
    const bytes = typeof given === 'string' ? new TextEncoder().encode(given) : given;
    if (this.#listener === null) this.#kept.push([stream, bytes]);
    else this.#listener(stream, bytes);
  }
}
