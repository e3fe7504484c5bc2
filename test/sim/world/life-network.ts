import type { Clock } from '../../../src/base/index.ts';
import { MemoryNetwork, type MemoryTransport } from '../../../src/mesh/index.ts';
import type { SimProcess } from '../ground/index.ts';

type Route = Parameters<MemoryNetwork['carry']>[0];

/**
 * The wire as one life of a machine sees it: time is the machine's own, and after the crash nothing more is sent and no answer to it
 * arrives. What was on its way to others when it died still gets there.
 */
export class LifeNetwork extends MemoryNetwork {
  readonly #wire: MemoryNetwork;
  readonly #process: SimProcess;

  constructor(wire: MemoryNetwork, process: SimProcess, clock: Clock) {
    super({ clock, policy: wire.policy });
    this.#wire = wire;
    this.#process = process;
  }

  override nextId(): number {
    return this.#wire.nextId();
  }

  override listen(address: string, transport: MemoryTransport): void {
    if (this.#process.isAlive) this.#wire.listen(address, transport);
  }

  override unlisten(address: string): void {
    this.#wire.unlisten(address);
  }

  override at(address: string): MemoryTransport | undefined {
    return this.#wire.at(address);
  }

  override carry(route: Route, arrive: () => void): number {
    return this.#send(() => this.#wire.carry(route, arrive)) ?? 0;
  }

  override carryOnce(route: Route, arrive: () => void): boolean {
    return this.#send(() => this.#wire.carryOnce(route, arrive)) ?? false;
  }

  /** @returns undefined when the process was dead before it was sent. */
  #send<T>(carry: () => T): T | undefined {
    if (!this.#process.isAlive) return undefined;
    this.#process.reach('before send');
    if (!this.#process.isAlive) return undefined;
    const sent = carry();
    this.#process.reach('after send');
    return sent;
  }
}
