import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesWith, signalProcess } from './processes.ts';
import { type ProgramOptions, type Ran, type RunOptions, runProgram, startProgram } from './program.ts';
import { RpcClient } from './rpc-client.ts';
import type { AgentStatus, Job, Submitted } from './shapes.ts';
import { until } from './until.ts';

export interface AgentOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly netns?: string;
  /** Another user to run as. */
  readonly user?: ProgramOptions['user'];
  readonly env: Readonly<Record<string, string>>;
  /** How long a start may take. Unit: ms. @default as long as anything else that is waited for */
  readonly startCapMs?: number;
}

/** How long an agent may take to stop after it was asked to. Unit: ms. */
const STOP_CAP_MS = 30_000;
/** How often a starting agent is asked whether it is ready; what start times are exact to. */
export const READY_POLL_MS = 5;

/** One agent as a process of its own, with its data directory, its log, and the ways to treat it kindly or badly. */
export class Agent {
  readonly name: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly netns: string | undefined;
  readonly user: ProgramOptions['user'];
  readonly #env: Readonly<Record<string, string>>;
  readonly #startCapMs: number | undefined;
  #process: ChildProcess | undefined;
  #client: Promise<RpcClient> | undefined;
  #peerId: string | undefined;
  /** Peer ids whose jobs may have lost their agent by our own hand: what is left of them is ours to end. */
  readonly #killed = new Set<string>();

  constructor(options: AgentOptions) {
    this.name = options.name;
    this.dataDir = options.dataDir;
    this.logFile = options.logFile;
    this.netns = options.netns;
    this.user = options.user;
    this.#env = options.env;
    this.#startCapMs = options.startCapMs;
  }

  get socketPath(): string {
    return join(this.dataDir, 'agent.sock');
  }

  /** Known after the first start. */
  get peerId(): string {
    if (this.#peerId === undefined) throw new Error(`agent ${this.name} has not started yet`);
    return this.#peerId;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error(`agent ${this.name} does not run`);
    return pid;
  }

  get isRunning(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  up(...flags: string[]): Promise<void> {
    return this.#start(['up', '--foreground', '--name', this.name, ...flags]);
  }

  join(ticket: string, ...flags: string[]): Promise<void> {
    return this.#start(['join', ticket, '--foreground', '--name', this.name, ...flags]);
  }

  async #start(args: readonly string[]): Promise<void> {
    if (this.isRunning) throw new Error(`agent ${this.name} runs already`);
    const within = this.netns === undefined ? {} : { netns: this.netns };
    const options = { env: this.#env, user: this.user, ...within };
    const child = startProgram([...args, '--data-dir', this.dataDir], this.logFile, options);
    this.#process = child;
    await once(child, 'spawn');
    const status = await until(async () => (this.isRunning ? await this.status() : 'ended'), {
      what: `agent ${this.name} to answer`,
      everyMs: READY_POLL_MS,
      ...(this.#startCapMs !== undefined && { timeoutMs: this.#startCapMs }),
    });
    if (status === 'ended') {
      const how = child.exitCode ?? child.signalCode;
      throw new Error(`agent ${this.name} ended with ${how} before it was ready:\n${this.logTail()}`);
    }
    this.#peerId = status.peerId;
  }

  /** Calls a method over a connection that is opened again when the agent was restarted. */
  async call<R>(method: string, params: object = {}, timeoutMs?: number): Promise<R> {
    const client = await this.#connected();
    return await client.call<R>(method, params, timeoutMs);
  }

  /** One connection for all calls of the moment, a new one after the agent was gone. */
  async #connected(): Promise<RpcClient> {
    this.#client ??= this.connect();
    const current = this.#client;
    try {
      const client = await current;
      if (!client.isClosed) return client;
    } catch (error) {
      if (this.#client === current) this.#client = undefined;
      throw error;
    }
    if (this.#client === current) this.#client = this.connect();
    return await this.#connected();
  }

  connect(): Promise<RpcClient> {
    return RpcClient.connect(this.socketPath);
  }

  status(): Promise<AgentStatus> {
    return this.call<AgentStatus>('agent.status', {}, 10_000);
  }

  submit(spec: object): Promise<Submitted> {
    return this.call<Submitted>('job.submit', spec);
  }

  async waitForJob(id: string, timeoutMs = 60_000): Promise<Job> {
    return await this.call<Job>('job.wait', { id, timeoutMs }, timeoutMs + 5_000);
  }

  /** Runs the command line against this agent. */
  cli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return runProgram(withDataDir(args, this.dataDir), { user: this.user, ...options });
  }

  /** Runs the command line with `-o json`. @throws Error when it does not end with 0. */
  async cliJson<R>(args: readonly string[]): Promise<R> {
    const ran = await this.cli(withFlags(args, ['-o', 'json']));
    if (ran.code !== 0)
      throw new Error(`${args.join(' ')} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
    return JSON.parse(ran.stdout) as R;
  }

  signal(signal: NodeJS.Signals): void {
    signalProcess(this.pid, signal);
  }

  /** Pulls the plug. */
  async kill9(): Promise<void> {
    if (this.#peerId !== undefined) this.#killed.add(this.#peerId);
    await this.#end('SIGKILL');
  }

  /** Asks it to stop and waits for its end. @returns its exit code. @throws Error when it does not stop. */
  async stop(): Promise<number | null> {
    if (!this.isRunning) return this.#process?.exitCode ?? null;
    return await this.#end('SIGTERM');
  }

  /** Waits until the process has ended by itself. @returns its exit code. */
  async ended({ timeoutMs = STOP_CAP_MS } = {}): Promise<number | null> {
    const child = this.#process;
    this.#closeClient();
    await until(() => !this.isRunning, { what: `agent ${this.name} to end`, timeoutMs });
    return child?.exitCode ?? null;
  }

  /** Ends what a killed agent left behind: its jobs outlive it, since nobody was there to end them. */
  endOrphans(): void {
    for (const peerId of this.#killed) {
      if (this.isRunning) continue;
      for (const pid of processesWith(`ASPEN_NODE=${peerId}`)) signalProcess(pid, 'SIGKILL');
    }
  }

  /** Processes that this agent's jobs still have. */
  jobProcesses(): number[] {
    return this.#peerId === undefined ? [] : processesWith(`ASPEN_NODE=${this.#peerId}`);
  }

  logTail(lineCount = 25): string {
    if (!existsSync(this.logFile)) return '(never started)';
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lineCount).join('\n');
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || !this.isRunning) return null;
    this.#closeClient();
    signalProcess(this.pid, signal);
    try {
      await until(() => !this.isRunning, {
        what: `agent ${this.name} to end after ${signal}`,
        timeoutMs: STOP_CAP_MS,
        everyMs: 20,
      });
    } catch (cause) {
      signalProcess(this.pid, 'SIGKILL');
      throw new Error(`${(cause as Error).message}; it logged last:\n${this.logTail()}`, { cause });
    }
    return child.exitCode;
  }

  #closeClient(): void {
    this.#client?.then(
      (client) => client[Symbol.dispose](),
      () => undefined, // it never was a connection
    );
    this.#client = undefined;
  }
}

/** Flags go before `--`: what follows belongs to the job. */
export function withFlags(args: readonly string[], flags: readonly string[]): string[] {
  const at = args.indexOf('--');
  return at < 0 ? [...args, ...flags] : [...args.slice(0, at), ...flags, ...args.slice(at)];
}

function withDataDir(args: readonly string[], dataDir: string): string[] {
  return withFlags(args, ['--data-dir', dataDir]);
}
