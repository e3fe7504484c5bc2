import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { environmentOf } from './program.ts';
import { until } from './until.ts';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'port-router-program.ts');

export interface PortRouterOptions {
  /** The namespace of the router. */
  readonly netns: string;
  readonly kind: 'pcp' | 'nat-pmp' | 'upnp';
  /** Its address on the internet. */
  readonly outside: string;
}

/** Lets a router open ports when it is asked. */
export class PortRouter implements AsyncDisposable {
  /** `+ PORT` for each that it opened, `-` when it closed them. */
  readonly lines: string[] = [];
  readonly #process: ChildProcess;

  private constructor({ netns, kind, outside }: PortRouterOptions) {
    const args = ['netns', 'exec', netns, process.execPath, PROGRAM, kind, outside];
    this.#process = spawn('ip', args, { env: environmentOf(), stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#process.stdout === null) throw new Error('the router has no output');
    createInterface(this.#process.stdout).on('line', (line) => this.lines.push(line));
  }

  static async start(options: PortRouterOptions): Promise<PortRouter> {
    const router = new PortRouter(options);
    await until(() => router.lines.includes('listening'), { what: 'the router to listen', everyMs: 10 });
    return router;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await ended;
  }
}
