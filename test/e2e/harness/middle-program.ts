import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { selfSigned } from '../../../src/mesh/libp2p-self-signed.ts';
import { environmentOf } from './program.ts';
import { until } from './until.ts';

export interface ConnectProxyOptions {
  /** The namespace that it runs in. */
  readonly netns: string;
  readonly port: number;
  /** `user:password`, without which it lets nobody through. */
  readonly credentials: string;
  /** `host:port` of where it lets through to. */
  readonly places: readonly string[];
}

export interface WebServerOptions {
  readonly netns: string;
  readonly port: number;
  /** Where it hands on to, on its own machine. */
  readonly onwardPort: number;
}

/** A program between members, in a process of its own. */
export class MiddleProgram implements AsyncDisposable {
  /** One for each request, e.g. `200 203.0.113.1:443` of a proxy and `/aspen 203.0.113.2` of a web server. */
  readonly requests: string[] = [];
  readonly #process: ChildProcess;
  #isListening = false;

  private constructor(netns: string, program: string, args: readonly string[]) {
    const path = join(dirname(fileURLToPath(import.meta.url)), program);
    const command = ['netns', 'exec', netns, process.execPath, path, ...args];
    this.#process = spawn('ip', command, { env: environmentOf(), stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#process.stdout === null) throw new Error(`${program} has no output`);
    createInterface(this.#process.stdout).on('line', (line) => {
      if (line === 'listening') this.#isListening = true;
      else this.requests.push(line);
    });
  }

  /** A proxy that lets through by CONNECT. */
  static connectProxy({ netns, port, credentials, places }: ConnectProxyOptions): Promise<MiddleProgram> {
    return MiddleProgram.#start(netns, 'connect-proxy-program.ts', [String(port), credentials, ...places]);
  }

  /** A web server that ends TLS before a member. */
  static webServer({ netns, port, onwardPort }: WebServerOptions): Promise<MiddleProgram> {
    const { certificate, key } = selfSigned(Date.now());
    const args = [String(port), certificate, key, String(onwardPort)];
    return MiddleProgram.#start(netns, 'web-server-program.ts', args);
  }

  static async #start(netns: string, program: string, args: readonly string[]): Promise<MiddleProgram> {
    const middle = new MiddleProgram(netns, program, args);
    await until(() => middle.#isListening, { what: `${program} to listen`, everyMs: 10 });
    return middle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await ended;
  }
}
