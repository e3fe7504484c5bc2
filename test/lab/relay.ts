import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { addressOf } from './network-faults.ts';
import { runTool } from './tools.ts';

const PROGRAM = fileURLToPath(new URL('./relay.py', import.meta.url));
/** Narrower than the route of the LAN, so that it is taken before it. */
const ROUTE = '10.77.0.0/25';
/** Named to say which way packets go. */
const DEVICE = 'relay';

export interface RelayOptions {
  readonly seed: number;
  /** What each packet takes at least. Unit: ms. */
  readonly delayMs: number;
  /** What it takes more at most, drawn for each. Unit: ms. */
  readonly jitterMs: number;
}

/** @returns what is missing on this machine for a relay; undefined when nothing is. */
export function relayNeeds(): string | undefined {
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun';
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'python3';
  }
}

/**
 * As long as it is open, all packets between the machines pass a program that lets them take their time. The kernel's own discipline for it
 * (netem) is not in every kernel. Where the program ends, by itself or not, its devices end with it and packets take the straight way again.
 */
export class Relay implements AsyncDisposable {
  readonly #program: ChildProcess;

  private constructor(program: ChildProcess) {
    this.#program = program;
  }

  static async open(machines: readonly string[], { seed, delayMs, jitterMs }: RelayOptions): Promise<Relay> {
    const home = machines[0] as string;
    const names = machines.map((_, number) => `${DEVICE}${number}`);
    const devices = names.map((name, number) => `${name}=${addressOf(number)}`);
    const words = ['netns', 'exec', home, 'python3', PROGRAM, `${seed}`, `${delayMs}`, `${jitterMs}`];
    const program = spawn('ip', [...words, ...devices], { stdio: ['pipe', 'pipe', 'inherit'] });
    const relay = new Relay(program);
    try {
      await relay.#ready();
      for (const [number, machine] of machines.entries()) connect(home, machine, number);
      return relay;
    } catch (error) {
      await relay[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#program.exitCode !== null || this.#program.signalCode !== null) return;
    const ended = once(this.#program, 'exit');
    this.#program.stdin?.end();
    await ended;
  }

  async #ready(): Promise<void> {
    const lines = createInterface({ input: this.#program.stdout as NodeJS.ReadableStream });
    const [first] = (await Promise.race([once(lines, 'line'), once(this.#program, 'exit')])) as [unknown];
    if (first !== 'ready') throw new Error(`the relay ended with ${String(first)}`);
  }
}

/** Moves the device of one machine there, and sends what it has for the others through it. */
function connect(home: string, machine: string, number: number): void {
  const device = `${DEVICE}${number}`;
  if (machine !== home) runTool('ip', ['-n', home, 'link', 'set', device, 'netns', machine]);
  runTool('ip', ['-n', machine, 'link', 'set', device, 'up']);
  const source = ['src', addressOf(number)];
  runTool('ip', ['-n', machine, 'route', 'add', ROUTE, 'dev', device, ...source]);
}
