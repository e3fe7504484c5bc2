import {
  backoffMs,
  type Clock,
  every,
  type Logger,
  type Random,
  type Startable,
  Tasks,
} from '../base/index.ts';
import type { DialBack } from './dial-back.ts';
import { isPublicAddress } from './public-address.ts';
import type { Reachability } from './reach-rules.ts';

export interface ReachProbeComponents {
  readonly dialBack: Pick<DialBack, 'confirm'>;
  readonly addresses: () => readonly string[];
  readonly reachability: () => Reachability;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const LOOK_EVERY_MS = 5_000;
/** Between tries that nobody came after. A new network is tried at once. */
const AGAIN = { firstMs: 15_000, mostMs: 1_800_000 };

/**
 * Asks others to come while this node has an address that could be reached from anywhere and nobody has come yet: without that a lone
 * public member would not know what it is, and carry no circuits, until somebody happens to dial it.
 */
export class ReachProbe implements Startable {
  readonly #components: ReachProbeComponents;
  readonly #log: Logger;
  #tasks: Tasks | undefined;
  #looking: Disposable | undefined;
  #asked = '';
  #failures = 0;
  #nextMs = 0;
  #isAsking = false;

  constructor(components: ReachProbeComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'reach-probe' });
  }

  async start(): Promise<void> {
    this.#tasks = new Tasks((err) =>
      this.#log.error({ err }, 'asking others to come failed in an unknown way'),
    );
    this.#looking = every(this.#components.clock, LOOK_EVERY_MS, () => this.#look());
  }

  async stop(): Promise<void> {
    this.#looking?.[Symbol.dispose]();
    await this.#tasks?.stop();
  }

  #look(): void {
    const { addresses, reachability, clock } = this.#components;
    if (this.#isAsking || reachability() !== 'unknown') return;
    const [address] = addresses().filter(isPublicAddress);
    if (address === undefined) return;
    if (address !== this.#asked) {
      this.#asked = address;
      this.#failures = 0;
      this.#nextMs = 0;
    }
    if (clock.monotonicMs() >= this.#nextMs) this.#ask(address);
  }

  #ask(address: string): void {
    const { dialBack, clock, random } = this.#components;
    this.#isAsking = true;
    this.#tasks?.run(async (signal) => {
      try {
        const outcome = await dialBack.confirm(address, signal);
        if (outcome === 'nobody-to-ask') return; // looks again soon: it costs nothing
        this.#failures += 1;
        this.#nextMs = clock.monotonicMs() + backoffMs(this.#failures, random, AGAIN);
        this.#log.info({ address, outcome }, 'asked a member to come');
      } finally {
        this.#isAsking = false;
      }
    });
  }
}
