import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { environmentOf } from './program.ts';
import { until } from './until.ts';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'connect-proxy-program.ts');

export interface ConnectProxyOptions {
  /** The namespace that it runs in. */
  readonly netns: string;
  readonly port: number;
  /** `user:password`, without which it lets nobody through. */
  readonly credentials: string;
  /** `host:port` of where it lets through to. */
  readonly places: readonly string[];
}

/** A CONNECT proxy in a process of its own. */
export class ConnectProxy implements AsyncDisposable {
  /** One for each request, e.g. `200 203.0.113.1:443`. */
  readonly requests: string[] = [];
  readonly #process: ChildProcess;
  #isListening = false;

  private constructor({ netns, port, credentials, places }: ConnectProxyOptions) {
    const args = ['netns', 'exec', netns, process.execPath, PROGRAM, String(port), credentials, ...places];
    this.#process = spawn('ip', args, { env: environmentOf(), stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#process.stdout === null) throw new Error('the proxy has no output');
    createInterface(this.#process.stdout).on('line', (line) => {
      if (line === 'listening') this.#isListening = true;
      else this.requests.push(line);
    });
  }

  static async start(options: ConnectProxyOptions): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(options);
    await until(() => proxy.#isListening, { what: 'the proxy to listen', everyMs: 10 });
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await ended;
  }
}
