import {
  AspenError,
  type Clock,
  mayGoUnheard,
  type PeerId,
  type Random,
  randomShuffle,
  sleep,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { BlobId } from './blob-id.ts';
import type { HolderBook } from './holder-book.ts';
import { type Holding, METHODS, readHolding } from './wire.ts';

export interface HolderSearchParts {
  readonly self: PeerId;
  readonly id: BlobId;
  readonly messenger: Pick<Messenger, 'connected'>;
  readonly book: Pick<HolderBook, 'isAvoided'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends it all. */
  readonly signal: AbortSignal;
  /** Pause between looks. Unit: ms. */
  readonly lookEveryMs: number;
  readonly request: (peerId: PeerId, method: string, body: unknown) => Promise<unknown>;
  /** Links a member that is not linked. */
  readonly connect: ((peerId: PeerId, signal: AbortSignal) => Promise<void>) | undefined;
  /** A member says that it has the blob, or some of it. */
  readonly onHolding: (peerId: PeerId, holding: Holding) => void;
  readonly onSilence: (peerId: PeerId, error: unknown) => void;
  readonly onLie: (peerId: PeerId, error: unknown) => void;
}

/** Members asked at a time who has a blob, and in one look. */
const ASKED_AT_ONCE = 16;
const ASKED_PER_LOOK = 256;
/** A look ends when so many have answered that they have all of it. */
const ENOUGH_HOLDERS = 8;

/**
 * Finds out which members have one blob: hints are asked first, then those known to have it, then others in any order.
 *
 * - X3 Nobody waits for who is slow: each answer counts as it comes, and the next look asks the others again meanwhile.
 */
export class HolderSearch {
  readonly #parts: HolderSearchParts;
  readonly #known = new Map<PeerId, Holding>();
  /** A member is asked once at a time. */
  readonly #asking = new Map<PeerId, Promise<void>>();
  #hints: readonly PeerId[];

  constructor(parts: HolderSearchParts, hints: readonly PeerId[]) {
    this.#parts = parts;
    this.#hints = hints;
  }

  /** What members said last that they have. */
  get known(): ReadonlyMap<PeerId, Holding> {
    return this.#known;
  }

  hint(hints: readonly PeerId[]): void {
    this.#hints = [...new Set([...this.#hints, ...hints])].slice(0, ASKED_AT_ONCE);
  }

  forget(peerId: PeerId): void {
    this.#known.delete(peerId);
  }

  /** Asks until all have answered, or enough. @returns how many are asked. */
  async look(): Promise<number> {
    const wanted = this.#wanted();
    for (let at = 0; at < wanted.length; at += ASKED_AT_ONCE) {
      await Promise.all(wanted.slice(at, at + ASKED_AT_ONCE).map((peerId) => this.#askOnce(peerId)));
      const whole = [...this.#known.values()].filter(({ chunks }) => chunks.isFull);
      if (whole.length >= ENOUGH_HOLDERS || this.#parts.signal.aborted) break;
    }
    return wanted.length;
  }

  /** Looks again and again until the signal. @throws what no look may throw */
  async keepLooking(): Promise<void> {
    const { clock, lookEveryMs, signal } = this.#parts;
    const looks = new Set<Promise<unknown>>();
    for (;;) {
      try {
        await sleep(clock, lookEveryMs, signal);
      } catch {
        break; // it is over
      }
      const look = mayGoUnheard(this.look().then(() => void looks.delete(look)));
      looks.add(look);
    }
    await Promise.all(looks);
  }

  #wanted(): readonly PeerId[] {
    const { self, messenger, random, book } = this.#parts;
    const others = randomShuffle(random, [...messenger.connected()]);
    return [...new Set([...this.#hints, ...this.#known.keys(), ...others])]
      .filter((peerId) => peerId !== self && !book.isAvoided(peerId))
      .slice(0, ASKED_PER_LOOK);
  }

  #askOnce(peerId: PeerId): Promise<void> {
    const asking = this.#asking.get(peerId) ?? this.#ask(peerId).finally(() => this.#asking.delete(peerId));
    this.#asking.set(peerId, asking);
    return asking;
  }

  async #ask(peerId: PeerId): Promise<void> {
    const { request, id, onHolding, onSilence, onLie } = this.#parts;
    let body: unknown;
    try {
      await this.#link(peerId);
      body = await request(peerId, METHODS.have, [id]);
    } catch (error) {
      if (!(error instanceof AspenError) && !this.#parts.signal.aborted) throw error;
      this.#known.delete(peerId);
      onSilence(peerId, error);
      return;
    }
    let holding: Holding | null;
    try {
      holding = readHolding(body);
    } catch (error) {
      onLie(peerId, error);
      return;
    }
    if (holding === null) this.#known.delete(peerId);
    else {
      this.#known.set(peerId, holding);
      onHolding(peerId, holding);
    }
  }

  async #link(peerId: PeerId): Promise<void> {
    const { messenger, connect, signal } = this.#parts;
    if (connect !== undefined && !messenger.connected().includes(peerId)) await connect(peerId, signal);
  }
}
