import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/**
 * A LAN of network namespaces: each machine has one interface on a bridge that lives in a namespace of its own, so that
 * nothing is left on the machine's network, and nothing leaves it.
 */
export class Lan implements Disposable {
  readonly #id = randomBytes(3).toString('hex');
  readonly #machines: string[] = [];
  readonly #hub = `asp-${this.#id}-hub`;

  constructor(machineCount: number) {
    try {
      ip('netns', 'add', this.#hub);
      inside(this.#hub, 'link', 'add', 'br0', 'type', 'bridge');
      inside(this.#hub, 'addr', 'add', '10.77.0.254/24', 'dev', 'br0');
      inside(this.#hub, 'link', 'set', 'br0', 'up');
      for (let number = 1; number <= machineCount; number += 1) this.#addMachine(number);
    } catch (error) {
      this[Symbol.dispose]();
      throw new Error(
        'these tests need network namespaces: run them as root with iproute2 installed (sudo npm run e2e)',
        { cause: error },
      );
    }
  }

  /** Names for `ip netns exec`, in order. */
  get machines(): readonly string[] {
    return this.#machines;
  }

  /** Pulls the machine's cable: its interface stays as it is, and nothing passes. */
  unplug(machine: string): void {
    inside(this.#hub, 'link', 'set', this.#port(machine), 'down');
  }

  plug(machine: string): void {
    inside(this.#hub, 'link', 'set', this.#port(machine), 'up');
  }

  /** Lets no more than this out of the machine, behind a long queue, as routers at the end of slow lines have. @param rate as `tc` reads it. */
  slow(machine: string, rate: string): void {
    const args = ['qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', 'rate', rate, 'burst', '4kb', 'limit', '2mb'];
    execFileSync('tc', ['-n', machine, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Gives the machine another address, as a router does that has forgotten it. */
  renumber(machine: string, host: number): void {
    inside(machine, 'addr', 'flush', 'dev', 'eth0');
    inside(machine, 'addr', 'add', `10.77.0.${host}/24`, 'dev', 'eth0');
    inside(machine, 'route', 'replace', 'default', 'via', '10.77.0.254');
  }

  [Symbol.dispose](): void {
    for (const namespace of [...this.#machines, this.#hub]) {
      try {
        ip('netns', 'del', namespace);
      } catch (error) {
        process.stderr.write(`could not remove the network namespace ${namespace}: ${String(error)}\n`);
      }
    }
  }

  #addMachine(number: number): void {
    const machine = `asp-${this.#id}-${number}`;
    ip('netns', 'add', machine);
    this.#machines.push(machine);
    const port = this.#port(machine);
    inside(this.#hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machine);
    inside(this.#hub, 'link', 'set', port, 'master', 'br0', 'up');
    inside(machine, 'link', 'set', 'lo', 'up');
    inside(machine, 'link', 'set', 'eth0', 'up');
    this.renumber(machine, number);
  }

  #port(machine: string): string {
    return `port${machine.split('-').at(-1)}`;
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function inside(namespace: string, ...args: string[]): void {
  ip('-n', namespace, ...args);
}
