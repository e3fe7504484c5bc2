import { AspenError, type Clock, every, type Logger, type PeerId, Tasks } from '../base/index.ts';
import { isPeerId } from './identity.ts';
import type { Messenger } from './messenger.ts';
import type { Roots } from './roots.ts';
import { SUCCESSION_VOTERS_LIMIT } from './succession.ts';
import { nextWitnesses } from './witness-rules.ts';

export interface WitnessWatchComponents {
  readonly messenger: Messenger;
  readonly roots: Roots;
  readonly clock: Clock;
  readonly log: Logger;
  /** The voters of the configuration that this node's own replica holds; undefined where it is not part of the group. */
  readonly ownVoters: () => readonly PeerId[] | undefined;
  /** Who is said to vote: only a reason to ask. */
  readonly saidVoters: () => readonly PeerId[];
}

const METHOD = 'mesh.witnesses';
const LOOK_EVERY_MS = 2_000;
const TIMEOUT_MS = 2_000;

/** Keeps the witnesses of a node up to date: from its own replica, or as a majority of the present witnesses says (W1 in `witness-rules.ts`). */
export class WitnessWatch implements Disposable {
  readonly #components: WitnessWatchComponents;
  readonly #tasks: Tasks;
  readonly #subscriptions: readonly Disposable[];
  #isAsking = false;

  constructor(components: WitnessWatchComponents) {
    const { messenger, clock, log } = components;
    this.#components = components;
    this.#tasks = new Tasks((err) => log.error({ err }, 'asking for voters failed in an unknown way'));
    this.#subscriptions = [
      messenger.handle(METHOD, () => this.#voters()),
      every(clock, LOOK_EVERY_MS, () => this.#look()),
    ];
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#tasks
      .stop()
      .catch((err: unknown) => this.#components.log.error({ err }, 'asking for voters did not end well'));
  }

  #voters(): readonly PeerId[] {
    const own = this.#components.ownVoters() ?? [];
    return own.length > 0 ? own : this.#components.roots.witnesses;
  }

  #look(): void {
    const { roots, saidVoters, ownVoters, log } = this.#components;
    const own = ownVoters() ?? [];
    if (own.length > 0) {
      roots.setWitnesses(own);
      return;
    }
    const said = saidVoters();
    const { witnesses } = roots;
    const isSettled =
      said.length === 0 ||
      (said.length === witnesses.length && said.every((peer) => witnesses.includes(peer)));
    if (isSettled || this.#isAsking) return;
    this.#isAsking = true;
    this.#tasks.run(async (signal) => {
      try {
        await this.#ask(signal);
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        log.debug({ err }, 'the voters are not confirmed, will ask again');
      } finally {
        this.#isAsking = false;
      }
    });
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { messenger, roots } = this.#components;
    const { witnesses } = roots;
    const connected = messenger.connected();
    const asked =
      witnesses.length === 0 ? connected.slice(0, 1) : connected.filter((peer) => witnesses.includes(peer));
    const told = new Map<PeerId, readonly PeerId[]>();
    const options = { timeoutMs: TIMEOUT_MS, signal };
    const asking = asked.map(async (peer) => {
      const roster = readRoster(await messenger.request(peer, METHOD, null, options));
      if (roster !== undefined) told.set(peer, roster);
    });
    await Promise.allSettled(asking);
    if (!signal.aborted && roots.witnesses === witnesses) roots.setWitnesses(nextWitnesses(witnesses, told));
  }
}

function readRoster(body: unknown): readonly PeerId[] | undefined {
  if (!Array.isArray(body) || body.length > SUCCESSION_VOTERS_LIMIT || !body.every(isPeerId))
    return undefined;
  return body as PeerId[];
}
