import {
  AspenError,
  backoffMs,
  type Clock,
  every,
  type Logger,
  type Random,
  type Startable,
  Tasks,
  withDeadline,
} from '../../base/index.ts';
import { type DialBackOutcome, isPublicAddress } from '../../mesh/index.ts';
import type { Gateway } from './default-gateway.ts';
import type { Opened, PortOpener } from './gateway-client.ts';
import { type MappingState, type MappingWish, wishOf } from './port-mapping-rules.ts';

export interface PortMappingComponents {
  readonly opener: PortOpener;
  /** The router, where this machine has no public address of its own. */
  readonly gateway: () => Gateway | undefined;
  /** Where this node listens. */
  readonly listens: () => readonly string[];
  /** Asks others to come to an address. */
  readonly confirm: (address: string, signal: AbortSignal) => Promise<DialBackOutcome>;
  /** The addresses that others may be told from now on, beside those of the interfaces. */
  readonly tell: (addresses: readonly string[]) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const LOOK_EVERY_MS = 5_000;
/** How long a port is asked for; renewed when half of it is over. A machine that dies leaves it open no longer. Unit: s. */
const LEASE_S = 3_600;
/** After a router said no, or nothing. Unit: ms. */
const REFUSED = { firstMs: 60_000, mostMs: 3_600_000 };
/** While nobody came through, or nobody was there to ask. Unit: ms. */
const UNCONFIRMED = { firstMs: 10_000, mostMs: 600_000 };
/** Whether it is still so is looked at again. Unit: ms. */
const CONFIRM_AGAIN_MS = 600_000;
/** One who does not come may be at fault; so many in a row say that the port is shut. */
const FAILURES_TO_WITHDRAW = 2;
const CLOSE_MS = 1_500;

interface Mapping {
  readonly wish: MappingWish;
  readonly opened: Opened;
  readonly renewMs: number;
}

/**
 * Has a router open a port for this node, keeps it open, and gives it back.
 *
 * - O4 A port that a router says it opened is told to others only after somebody came through it, and no longer once nobody does.
 * - O5 A router is asked only where this machine has a private address on its network; whatever it answers, or does not, nothing waits for it.
 */
export class PortMapping implements Startable {
  readonly #components: PortMappingComponents;
  readonly #log: Logger;
  #tasks: Tasks | undefined;
  #looking: Disposable | undefined;
  #isBusy = false;
  #mapping: Mapping | undefined;
  #wish: MappingWish | undefined;
  #state: MappingState = { step: 'asking' };
  #refusals = 0;
  #failures = 0;
  #nextAskMs = 0;
  #nextConfirmMs = 0;

  constructor(components: PortMappingComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'port-mapping' });
  }

  get state(): MappingState {
    return this.#state;
  }

  async start(): Promise<void> {
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'asking for a port failed in an unknown way'));
    this.#looking = every(this.#components.clock, LOOK_EVERY_MS, () => this.#look());
    this.#look();
  }

  /** The port is given back, if the router answers soon. */
  async stop(): Promise<void> {
    this.#looking?.[Symbol.dispose]();
    await this.#tasks?.stop();
    if (this.#mapping !== undefined) await this.#giveBack(this.#mapping, new AbortController().signal);
    this.#mapping = undefined;
  }

  /** This node slept or is in another network: a port may be shut by now though its time seems not to be over, and a refusal is out of date. */
  anew(): void {
    this.#refusals = 0;
    this.#nextAskMs = 0;
    if (this.#mapping !== undefined) this.#mapping = { ...this.#mapping, renewMs: 0 };
  }

  #look(): void {
    if (this.#isBusy) return;
    const nowMs = this.#components.clock.monotonicMs();
    const wish = this.#currentWish();
    const mapping = this.#mapping;
    if (mapping !== undefined && keyOf(mapping.wish) !== keyOf(wish)) {
      this.#mapping = undefined;
      this.#tellNothing();
      this.#run((signal) => this.#giveBack(mapping, signal));
      return;
    }
    if (wish === undefined) return;
    if (mapping === undefined ? nowMs >= this.#nextAskMs : nowMs >= mapping.renewMs)
      this.#run((signal) => this.#open(wish, signal));
    else if (mapping !== undefined && nowMs >= this.#nextConfirmMs)
      this.#run((signal) => this.#confirm(mapping.opened, signal));
  }

  /** In another network everything begins anew. */
  #currentWish(): MappingWish | undefined {
    const gateway = this.#components.gateway();
    const wish = wishOf(gateway, this.#components.listens());
    if (keyOf(wish) === keyOf(this.#wish) && this.#wish !== undefined) return wish;
    this.#wish = wish;
    this.#refusals = 0;
    this.#nextAskMs = 0;
    if (wish === undefined) {
      const why = gateway === undefined ? 'no router, or a public address' : 'nothing listens on its network';
      this.#state = { step: 'needless', reason: why };
    } else this.#state = { step: 'asking' };
    return wish;
  }

  async #open(wish: MappingWish, signal: AbortSignal): Promise<void> {
    const { opener, clock, random } = this.#components;
    const before = this.#mapping?.opened;
    try {
      const asked = { ...wish, externalPort: before?.externalPort ?? wish.localPort, lifetimeS: LEASE_S };
      const opened = await opener.open(wish.gateway, asked, signal);
      const leaseMs = 1_000 * Math.min(LEASE_S, Math.max(120, opened.lifetimeS));
      this.#mapping = { wish, opened, renewMs: clock.monotonicMs() + leaseMs / 2 };
      this.#refusals = 0;
      if (before !== undefined && addressOf(before) === addressOf(opened)) return;
      this.#isOpened(opened);
    } catch (err) {
      signal.throwIfAborted();
      if (!(err instanceof AspenError)) throw err;
      this.#refusals += 1;
      this.#nextAskMs = clock.monotonicMs() + backoffMs(this.#refusals, random, REFUSED);
      this.#mapping = undefined;
      this.#tellNothing();
      this.#state = { step: 'refused', reason: err.message };
      this.#log.debug({ err, ...wish }, 'no port was opened');
    }
  }

  #isOpened(opened: Opened): void {
    const address = addressOf(opened);
    this.#tellNothing();
    this.#failures = 0;
    this.#nextConfirmMs = isPublicAddress(address) ? 0 : Number.POSITIVE_INFINITY;
    const step = isPublicAddress(address) ? 'opened' : 'not-outside';
    this.#state = { step, address, kind: opened.kind };
    this.#log.info({ address, kind: opened.kind }, 'the router opened a port');
  }

  /** O4 */
  async #confirm(opened: Opened, signal: AbortSignal): Promise<void> {
    const { confirm, tell, clock, random } = this.#components;
    const address = addressOf(opened);
    const outcome = await confirm(address, signal);
    const { kind } = opened;
    if (outcome === 'reached') {
      this.#failures = 0;
      this.#nextConfirmMs = clock.monotonicMs() + CONFIRM_AGAIN_MS;
      if (this.#state.step !== 'confirmed')
        this.#log.info({ address }, 'a member came through the open port');
      this.#state = { step: 'confirmed', address, kind };
      tell([address]);
      return;
    }
    this.#failures += 1;
    this.#nextConfirmMs = clock.monotonicMs() + backoffMs(this.#failures, random, UNCONFIRMED);
    if (outcome === 'nobody-to-ask') return;
    if (this.#state.step === 'confirmed' && this.#failures < FAILURES_TO_WITHDRAW) return;
    this.#tellNothing();
    this.#state = { step: 'not-reached', address, kind };
  }

  async #giveBack({ wish, opened }: Mapping, signal: AbortSignal): Promise<void> {
    const { opener, clock } = this.#components;
    try {
      const what = 'giving the port back';
      await withDeadline({ clock, timeoutMs: CLOSE_MS, what, signal }, (over) =>
        opener.close(
          wish.gateway,
          opened.kind,
          { ...wish, externalPort: opened.externalPort, lifetimeS: 0 },
          over,
        ),
      );
    } catch (err) {
      this.#log.debug({ err, ...wish }, 'the port was not given back; it ends by itself');
    }
  }

  #tellNothing(): void {
    this.#components.tell([]);
  }

  #run(task: (signal: AbortSignal) => Promise<void>): void {
    this.#isBusy = true;
    this.#tasks?.run(async (signal) => {
      try {
        await task(signal);
      } finally {
        this.#isBusy = false;
      }
    });
  }
}

function addressOf({ externalHost, externalPort }: Opened): string {
  return `/ip4/${externalHost}/tcp/${externalPort}`;
}

function keyOf(wish: MappingWish | undefined): string {
  return wish === undefined ? '' : `${wish.gateway} ${wish.localHost} ${wish.localPort}`;
}
