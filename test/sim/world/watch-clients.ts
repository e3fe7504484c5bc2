import { AspenError, type Random, randomFloat } from '../../../src/base/index.ts';
import type { Change } from '../check/index.ts';
import type { SimConnection } from './sim-connection.ts';
import type { World } from './world.ts';

/** How long a client watches through one node at most. Unit: ms. */
const LONGEST_WATCH_MS = 6_000;
const LONGEST_PAUSE_MS = 600;
const LOOK_MS = 100;

interface Told {
  readonly events?: readonly Change[];
  readonly revision: number;
  readonly error?: { readonly data?: Readonly<Record<string, unknown>> };
}

/** Where a client goes on: after this revision; undefined: from whatever is now. */
interface Place {
  through: number | undefined;
}

/** Clients that watch all keys, now through one node, now through another, and go on from where they were. */
export class WatchClients {
  readonly #world: World;
  readonly #random: Random;

  constructor(components: { readonly world: World; readonly random: Random }) {
    this.#world = components.world;
    this.#random = components.random;
  }

  async run(client: string, untilMs: number): Promise<void> {
    const place: Place = { through: undefined };
    while (this.#world.nowMs < untilMs) {
      await this.#watch(client, place, untilMs);
      await this.#world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    }
  }

  async #watch(client: string, place: Place, untilMs: number): Promise<void> {
    const world = this.#world;
    const { through } = place;
    const from = through === undefined ? {} : { fromRevision: through + 1 };
    let [hasEnded, isGone] = [false, false];
    let connection: SimConnection | undefined;
    try {
      connection = world.pickNode(this.#random).connect({
        notified: (method, told) => {
          hasEnded ||= method === 'kv.watchEnd';
          if (!isGone) this.#hear(client, place, told as Told);
        },
      });
      const { revision } = await connection.call('kv.watch', { prefix: '', ...from });
      if (through === undefined) world.observe({ type: 'watches', client, after: revision });
      place.through = through ?? revision;
      const endMs = Math.min(untilMs, world.nowMs + randomFloat(this.#random) * LONGEST_WATCH_MS);
      while (!hasEnded && connection.isOpen && world.nowMs < endMs) await world.pause(LOOK_MS);
    } catch (error) {
      world.expectRefusal(error);
      if (error instanceof AspenError && error.code === 'COMPACTED')
        this.#beginAnew(client, place, error.details);
    } finally {
      isGone = true; // an agent that stands still hears of it later
      connection?.close();
    }
  }

  #hear(client: string, place: Place, { events = [], revision, error }: Told): void {
    if (place.through === undefined) this.#world.breach(`${client} is told before its question is answered`);
    const changes = events.map(({ key, revision: at, value }) => ({ key, revision: at, value }));
    this.#world.observe({ type: 'told', client, changes, through: revision });
    place.through = Math.max(place.through ?? 0, revision);
    if (error?.data?.['code'] === 'COMPACTED') this.#beginAnew(client, place, error.data);
  }

  /** What comes next is no longer kept: the agent says from where on it is, which must be later. */
  #beginAnew(client: string, place: Place, details: unknown): void {
    const { fromRevision, oldestRevision } = details as Readonly<Record<string, number>>;
    this.#world.note(`${client} is told that ${fromRevision} is compacted, the oldest is ${oldestRevision}`);
    if (!((fromRevision as number) < (oldestRevision as number)))
      this.#world.breach(`${client} may not watch from ${fromRevision}, although ${oldestRevision} is kept`);
    place.through = undefined;
  }
}
