import {
  AspenError,
  backoffMs,
  type Clock,
  Listeners,
  type Logger,
  type PeerId,
  type Random,
  Tasks,
  type Timer,
  withDeadline,
} from '../base/index.ts';
import { type NamedPlace, type NameLookup, parseDnsName, parsePlace, resolveDnsName } from './dnsaddr.ts';
import type { Candidate, DiscoverySource } from './source.ts';

export interface BootstrapSourceComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly lookup: NameLookup;
  /** How many links there are now. */
  readonly linkCount: () => number;
}

export interface BootstrapSourceOptions {
  /** `/dnsaddr/<name>`, or addresses that end with `/p2p/<peer id>`. */
  readonly addresses: readonly string[];
  readonly self: PeerId;
}

/** The whole of one resolution. Unit: ms. */
const RESOLVE_MS = 10_000;
/** Again after a failure, or while nobody is linked. Unit: ms. */
const AGAIN = { firstMs: 10_000, mostMs: 600_000 };
/** While somebody is linked nothing is asked; whether that is still so is looked at this often. Unit: ms. */
const LOOK_MS = 30_000;

/** The places that the owner names, in DNS or plainly. Whoever is there proves that it belongs to the mesh, like anybody. */
export class BootstrapSource implements DiscoverySource {
  readonly name = 'bootstrap';
  readonly #components: BootstrapSourceComponents;
  readonly #options: BootstrapSourceOptions;
  readonly #log: Logger;
  readonly #candidates = new Listeners<Candidate>();
  #tasks: Tasks | undefined;
  #timer: Timer | undefined;
  #rounds = 0;
  #failures: readonly string[] = [];

  constructor(components: BootstrapSourceComponents, options: BootstrapSourceOptions) {
    this.#components = components;
    this.#options = options;
    this.#log = components.log.child({ part: 'bootstrap' });
  }

  async start(): Promise<void> {
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'bootstrap failed in an unknown way'));
    this.#begin();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#tasks?.stop();
  }

  onCandidate(callback: (candidate: Candidate) => void): Disposable {
    return this.#candidates.add(callback);
  }

  problem(): string | undefined {
    return this.#failures[0];
  }

  #begin(): void {
    this.#tasks?.run(async (signal) => {
      const outcomes = await Promise.all(
        this.#options.addresses.map((address) => this.#resolve(address, signal)),
      );
      if (signal.aborted) return;
      this.#failures = outcomes.filter((failure) => failure !== undefined);
      this.#rounds += 1;
      this.#wait(backoffMs(this.#rounds, this.#components.random, AGAIN));
    });
  }

  #wait(afterMs: number): void {
    this.#timer = this.#components.clock.setTimer(afterMs, () => {
      if (this.#components.linkCount() === 0) {
        this.#begin();
        return;
      }
      this.#rounds = 0;
      this.#failures = [];
      this.#wait(LOOK_MS);
    });
  }

  /** @returns what is wrong, for people. */
  async #resolve(address: string, signal: AbortSignal): Promise<string | undefined> {
    const name = parseDnsName(address);
    const { clock, lookup } = this.#components;
    try {
      const places =
        name === undefined
          ? [parsePlace(address)].filter((place) => place !== undefined)
          : await withDeadline({ clock, timeoutMs: RESOLVE_MS, what: address, signal }, (over) =>
              resolveDnsName(lookup, name, over),
            );
      this.#tell(places);
      return places.length > 0 ? undefined : `bootstrap: ${address} names no member`;
    } catch (err) {
      if (signal.aborted) return undefined;
      this.#log.debug({ err, address }, 'a bootstrap name was not resolved');
      const why = err instanceof AspenError ? err.message : String(err);
      return `bootstrap: ${address} was not resolved: ${why}`;
    }
  }

  #tell(places: readonly NamedPlace[]): void {
    const byPeer = Map.groupBy(places, ({ peerId }) => peerId);
    for (const [peerId, all] of byPeer) {
      const addresses = all.map((place) => place.address);
      if (peerId !== this.#options.self) this.#candidates.emit({ peerId, addresses, source: 'bootstrap' });
    }
  }
}
