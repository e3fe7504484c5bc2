import { type Clock, every, Listeners, type Logger, type Startable } from '../base/index.ts';
import type { DiscoverySource } from '../discovery/index.ts';
import type { Connector } from './connector.ts';
import type { Reach } from './reach.ts';
import type { Transport } from './transport.ts';
import { judgeLooks, type MachineLook, type Upheaval } from './wake-rules.ts';

export interface RoamingComponents {
  readonly transport: Pick<Transport, 'verify' | 'links'>;
  readonly connector: Pick<Connector, 'anew'>;
  readonly reach: Pick<Reach, 'anew'>;
  readonly sources: readonly Pick<DiscoverySource, 'refresh'>[];
  /** Another text when addresses or default routes of the machine are others. @default nobody can tell */
  readonly networkMark?: () => string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The latest upheaval, and when it was noticed. */
export interface Noticed {
  readonly upheaval: Upheaval;
  /** Wall time. */
  readonly atMs: number;
}

const LOOK_EVERY_MS = 500;
/** With every so many looks at the clocks the networks are looked at. */
const LOOKS_PER_NETWORK = 2;

/**
 * Notices that this node slept or is in another network, and begins anew with all its paths.
 *
 * - Z3 No link is believed then before its peer was heard again: a dead one is ended within seconds.
 * - Z4 What was learnt of addresses before - rests, pauses, failures - no longer counts: everybody known is tried at once.
 */
export class Roaming implements Startable {
  readonly #components: RoamingComponents;
  readonly #log: Logger;
  readonly #upheavals = new Listeners<Noticed>();
  #looking: Disposable | undefined;
  #before: MachineLook;
  #looks = 0;
  #latest: Noticed | undefined;

  constructor(components: RoamingComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'roaming' });
    this.#before = this.#look();
  }

  async start(): Promise<void> {
    this.#before = this.#look();
    this.#looking = every(this.#components.clock, LOOK_EVERY_MS, () => this.#compare());
  }

  async stop(): Promise<void> {
    this.#looking?.[Symbol.dispose]();
  }

  /** Undefined when nothing has happened since the start. */
  get latest(): Noticed | undefined {
    return this.#latest;
  }

  /** Told after all links were asked and all peers are being tried. */
  onUpheaval(callback: (noticed: Noticed) => void): Disposable {
    return this.#upheavals.add(callback);
  }

  #look(networkMark = this.#components.networkMark?.() ?? ''): MachineLook {
    const { clock } = this.#components;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs(), networkMark };
  }

  /** Clocks cost nothing; what networks there are is asked of the system. */
  #compare(): void {
    this.#looks += 1;
    const now = this.#looks % LOOKS_PER_NETWORK === 0 ? this.#look() : this.#look(this.#before.networkMark);
    const upheaval = judgeLooks(this.#before, now, LOOK_EVERY_MS);
    this.#before = now;
    if (upheaval !== undefined) this.#beginAnew({ upheaval, atMs: now.wallMs });
  }

  #beginAnew(noticed: Noticed): void {
    const { transport, connector, reach, sources } = this.#components;
    this.#latest = noticed;
    this.#log.info(
      { ...noticed.upheaval, links: transport.links().length },
      noticed.upheaval.type === 'woke'
        ? 'this node stood still, begins anew'
        : 'network changed, begins anew',
    );
    transport.verify?.(); // Z3
    connector.anew(); // Z4
    reach.anew();
    for (const source of sources) source.refresh?.();
    this.#upheavals.emit(noticed);
  }
}
