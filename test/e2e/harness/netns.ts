import { Namespaces } from './namespaces.ts';

/**
 * A LAN of network namespaces: each machine has one interface on a bridge that lives in a namespace of its own, so that
 * nothing is left on the machine's network, and nothing leaves it.
 */
export class Lan implements Disposable {
  readonly #namespaces = new Namespaces();
  readonly #machines: string[] = [];
  readonly #hub: string;

  constructor(machineCount: number) {
    this.#hub = this.#namespaces.build(() => this.#namespaces.add('hub'));
    this.#namespaces.build(() => {
      this.#namespaces.ip(this.#hub, 'link', 'add', 'br0', 'type', 'bridge');
      this.#namespaces.ip(this.#hub, 'addr', 'add', '10.77.0.254/24', 'dev', 'br0');
      this.#namespaces.ip(this.#hub, 'link', 'set', 'br0', 'up');
      for (let number = 1; number <= machineCount; number += 1) this.#addMachine(number);
    });
  }

  /** Names for `ip netns exec`, in order. */
  get machines(): readonly string[] {
    return this.#machines;
  }

  /** Pulls the machine's cable: its interface stays as it is, and nothing passes. */
  unplug(machine: string): void {
    this.#namespaces.ip(this.#hub, 'link', 'set', this.#port(machine), 'down');
  }

  plug(machine: string): void {
    this.#namespaces.ip(this.#hub, 'link', 'set', this.#port(machine), 'up');
  }

  /** Lets no more than this out of the machine, behind a long queue, as routers at the end of slow lines have. @param rate as `tc` reads it. */
  slow(machine: string, rate: string): void {
    const args = ['qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', 'rate', rate, 'burst', '4kb', 'limit', '2mb'];
    this.#namespaces.exec(machine, 'tc', ...args);
  }

  /** Gives the machine another address, as a router does that has forgotten it. */
  renumber(machine: string, host: number): void {
    this.#namespaces.ip(machine, 'addr', 'flush', 'dev', 'eth0');
    this.#namespaces.ip(machine, 'addr', 'add', `10.77.0.${host}/24`, 'dev', 'eth0');
    this.#namespaces.ip(machine, 'route', 'replace', 'default', 'via', '10.77.0.254');
  }

  [Symbol.dispose](): void {
    this.#namespaces[Symbol.dispose]();
  }

  #addMachine(number: number): void {
    const machine = this.#namespaces.add(`${number}`);
    this.#machines.push(machine);
    const port = this.#port(machine);
    this.#namespaces.join({ netns: this.#hub, device: port }, { netns: machine, device: 'eth0' });
    this.#namespaces.ip(this.#hub, 'link', 'set', port, 'master', 'br0', 'up');
    this.#namespaces.ip(machine, 'link', 'set', 'eth0', 'up');
    this.renumber(machine, number);
  }

  #port(machine: string): string {
    return `port${machine.split('-').at(-1)}`;
  }
}
