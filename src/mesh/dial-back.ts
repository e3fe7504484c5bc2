import {
  AspenError,
  type Clock,
  type Logger,
  type PeerId,
  type Random,
  randomShuffle,
  sleep,
  withDeadline,
} from '../base/index.ts';
import { AttemptBudget } from './attempt-budget.ts';
import { type DialBackOutcome, refusalToDialBack, thoseToAsk } from './dial-back-rules.ts';
import type { Messenger } from './messenger.ts';
import type { Transport } from './transport.ts';

export interface DialBackComponents {
  readonly transport: Pick<Transport, 'links' | 'addresses' | 'knocking'>;
  readonly messenger: Pick<Messenger, 'handle' | 'request'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const METHOD = 'reach/dial-back';
/** Unit: ms. */
const KNOCK_MS = 4_000;
const ASK_MS = 6_000;
/** Its knock and its answer come on different ways. Unit: ms. */
const GRACE_MS = 500;
const ASKED_LIMIT = 3;
/** A handshake for a message: somebody may want it now and then. */
const BUDGET = { attemptsPerPeer: 6, windowMs: 60_000, concurrentLimit: 4 };

/**
 * Asks members whether they reach an address of this node, before it is told to anybody, and dials others back when they ask.
 *
 * - E5 The word of whoever is asked does not count: only that it came, from elsewhere, after it was asked.
 */
export class DialBack implements Disposable {
  readonly #components: DialBackComponents;
  readonly #log: Logger;
  readonly #budget: AttemptBudget;
  readonly #handling: Disposable;

  constructor(components: DialBackComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'dial-back' });
    this.#budget = new AttemptBudget(components.clock, BUDGET);
    this.#handling = components.messenger.handle(METHOD, ({ from, body }) => this.#serve(from, body));
  }

  [Symbol.dispose](): void {
    this.#handling[Symbol.dispose]();
  }

  /** @param address of this node, as others should reach it. Rejects only when the signal aborts. */
  async confirm(address: string, signal: AbortSignal): Promise<DialBackOutcome> {
    const { transport, random } = this.#components;
    const far = thoseToAsk(transport.links(), [...transport.addresses(), address]);
    let outcome: DialBackOutcome = 'nobody-to-ask';
    for (const { peerId } of randomShuffle(random, far).slice(0, ASKED_LIMIT)) {
      const has = await this.#hasCome(peerId, address, signal);
      if (has === true) {
        transport.knocking?.markReached([address]);
        return 'reached';
      }
      if (has === false) outcome = 'not-reached';
    }
    return outcome;
  }

  /** @returns undefined when the member does not do that. */
  async #hasCome(peerId: PeerId, address: string, signal: AbortSignal): Promise<boolean | undefined> {
    const { messenger, transport, clock } = this.#components;
    const askedMs = clock.monotonicMs();
    const isHere = () => (transport.knocking?.knockedAtMs(peerId) ?? Number.NEGATIVE_INFINITY) >= askedMs; // E5
    try {
      await messenger.request(peerId, METHOD, address, { timeoutMs: ASK_MS, signal });
      if (!isHere()) await sleep(clock, GRACE_MS, signal);
      return isHere();
    } catch (err) {
      signal.throwIfAborted();
      if (!(err instanceof AspenError)) throw err;
      this.#log.debug({ err, peerId, address }, 'a member did not dial back');
      return isHere() || undefined;
    }
  }

  /** @returns whether this node was there: for people; whoever asked looks for itself. */
  async #serve(from: PeerId, address: unknown): Promise<boolean> {
    const { transport, clock } = this.#components;
    const { knocking } = transport;
    const link = transport.links().find(({ peerId }) => peerId === from);
    const refusal = knocking === undefined ? 'not possible here' : refusalToDialBack(link, address);
    if (knocking === undefined || refusal !== undefined)
      throw new AspenError('INVALID_PARAMS', `not dialed back: ${refusal}`);
    using attempt = this.#budget.take(from);
    if (attempt === undefined) {
      throw new AspenError('RESOURCE_EXHAUSTED', 'dialed back often enough', {
        details: { limit: 'BUDGET', retryAfterMs: BUDGET.windowMs },
      });
    }
    try {
      const what = `dialing ${from} back`;
      await withDeadline({ clock, timeoutMs: KNOCK_MS, what }, (over) =>
        knocking.knock(from, address as string, over),
      );
      return true;
    } catch (err) {
      this.#log.debug({ err, peerId: from, address }, 'a member is not reached where it wanted to know');
      return false;
    }
  }
}
