import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Agent } from './agent.ts';
import { environmentOf } from './program.ts';
import { until } from './until.ts';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'worker-program.ts');

export interface WorkerEvent {
  readonly event: 'attached' | 'detached' | 'begun' | 'stopped' | 'settled';
  readonly jobId?: string;
  readonly attempt?: number;
  readonly accepted?: boolean;
  readonly reason?: string;
}

/** A process that is attached to an agent as a worker. */
export class AttachedProgram implements AsyncDisposable {
  readonly events: WorkerEvent[] = [];
  readonly #process: ChildProcess;
  #errors = '';

  private constructor(agent: Agent, concurrency: number, labels: readonly string[]) {
    const args = [PROGRAM, agent.dataDir, String(concurrency), ...labels];
    this.#process = spawn(process.execPath, args, { env: environmentOf(), stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#process;
    if (stdout === null || stderr === null) throw new Error('the worker has no output');
    createInterface(stdout).on('line', (line) => this.events.push(JSON.parse(line) as WorkerEvent));
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
  }

  static async start(agent: Agent, concurrency: number, ...labels: string[]): Promise<AttachedProgram> {
    const program = new AttachedProgram(agent, concurrency, labels);
    await program.happened('attached');
    return program;
  }

  count(event: WorkerEvent['event']): number {
    return this.events.filter((one) => one.event === event).length;
  }

  /** Waits until it has happened so often. */
  async happened(event: WorkerEvent['event'], times = 1): Promise<void> {
    await until(
      () => {
        if (this.#process.exitCode !== null) throw new Error(`the worker ended: ${this.#errors}`);
        return this.count(event) >= times;
      },
      { what: `${times} times ${event} in an attached worker`, everyMs: 5 },
    );
  }

  async kill9(): Promise<void> {
    await this.#end(() => this.#process.kill('SIGKILL'));
  }

  /** As users stop it: it finishes what it has. @returns its exit code. */
  async close(): Promise<number | null> {
    await this.#end(() => this.#process.stdin?.end());
    return this.#process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill9();
  }

  async #end(how: () => void): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    how();
    await ended;
  }
}
