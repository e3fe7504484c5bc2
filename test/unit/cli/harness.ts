import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { silentLogger } from '../../../src/base/index.ts';
import { type AgentStartOptions, type CliIo, type Interrupt, runCli } from '../../../src/cli/index.ts';
import { createRpcServer } from '../../../src/rpc/index.ts';
import { OsSocketListener, socketPathOf } from '../../../src/rpc/os-socket.ts';
import { createFakeAgent, type FakeAgent } from '../rpc/fake-handlers.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** @default takes every text for a ticket */
  readonly checkTicket?: (text: string) => Promise<void>;
  readonly startAgent?: (options: AgentStartOptions) => Promise<number>;
  /** Called with each piece of standard output. */
  readonly onStdout?: (text: string) => void;
  /** Called with all that was written to standard error so far, after each piece. */
  readonly onStderr?: (text: string) => void;
}

/** A fake agent on a real socket, and the command line against it. */
export class CliWorld implements AsyncDisposable {
  readonly agent: FakeAgent = createFakeAgent();
  readonly dataDir: string;
  readonly #stop: () => Promise<void>;
  #interrupt: (signal?: Interrupt) => void = () => undefined;
  #loseOutput: () => void = () => undefined;

  private constructor(dataDir: string, stop: () => Promise<void>) {
    this.dataDir = dataDir;
    this.#stop = stop;
  }

  static async create(): Promise<CliWorld> {
    const dataDir = await mkdtemp(join(tmpdir(), 'aspen-cli-'));
    const world = new CliWorld(dataDir, () => server.stop());
    const server = createRpcServer(
      {
        listener: new OsSocketListener(socketPathOf(dataDir)),
        handlers: world.agent.handlers,
        logger: silentLogger,
      },
      { version: '0.1.0', checksResults: true },
    );
    await server.start();
    return world;
  }

  /** Runs one command line against the agent; its flags go before `--`. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<Ran> {
    return runCommandLine(args, {
      ...options,
      env: { ASPEN_DATA_DIR: this.dataDir, ...options.env },
      onInterrupt: (interrupt) => {
        this.#interrupt = interrupt;
      },
      onOutputLost: (lose) => {
        this.#loseOutput = lose;
      },
    });
  }

  /** Runs one command line that goes well. @returns what it answers in JSON. */
  async json(args: readonly string[], options?: CommandOptions): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.run([...args, '-o', 'json'], options);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Runs one command line. @returns its exit code. */
  async codeOf(...args: string[]): Promise<number> {
    return (await this.run(args)).code;
  }

  /** @returns what presses Ctrl-C at the command that listens for it now, however many are run after it. */
  interruptOf(): () => void {
    return this.#interrupt;
  }

  /** Presses Ctrl-C, or sends another signal. */
  interrupt(signal?: Interrupt): void {
    this.#interrupt(signal);
  }

  /** Takes the reader of standard output away. */
  loseOutput(): void {
    this.#loseOutput();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    this.agent[Symbol.dispose]();
    await rm(this.dataDir, { recursive: true });
  }
}

export async function runCommandLine(
  args: readonly string[],
  options: CommandOptions & {
    readonly onInterrupt?: (interrupt: (signal?: Interrupt) => void) => void;
    readonly onOutputLost?: (lose: () => void) => void;
  } = {},
): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  const io: CliIo = {
    stdout: {
      isTTY: false,
      write(text) {
        written.stdout += Buffer.from(text).toString();
        options.onStdout?.(written.stdout);
      },
    },
    stderr: {
      isTTY: false,
      write(text) {
        written.stderr += Buffer.from(text).toString();
        options.onStderr?.(written.stderr);
      },
    },
    stdin: Readable.from([options.stdin ?? '']),
    env: options.env ?? {},
    onInterrupt(callback) {
      options.onInterrupt?.((signal = 'SIGINT') => callback(signal));
      return { [Symbol.dispose]: () => undefined };
    },
    onOutputLost(callback) {
      options.onOutputLost?.(() => callback('nobody reads its output any more'));
      return { [Symbol.dispose]: () => undefined };
    },
    exitNow(code) {
      throw new Error(`ended at once with ${code}`);
    },
    restoreBackup: () => Promise.reject(new Error('nothing should be restored')),
    checkTicket: options.checkTicket ?? (async () => undefined),
    readSettings: async () => ({ config: [{ key: 'slots', value: 4, origin: 'file' }] }),
    startAgent: options.startAgent ?? (() => Promise.reject(new Error('no agent should be started'))),
    self: [process.execPath, '-e', 'process.exit(7)', '--'],
  };
  const code = await runCli(args, io, { version: '0.1.0' });
  return { code, ...written };
}
