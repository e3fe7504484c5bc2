import { type Random, randomChance, randomFloat } from '../../../src/base/index.ts';

/** What the links of one run are like. */
export interface LinkProfile {
  /** Unit: ms. */
  readonly shortestMs: number;
  /** Most deliveries are near the shortest, some near this. Unit: ms. */
  readonly longestMs: number;
  /** Share of frames lost, 0 to 1. */
  readonly loss: number;
  /** Share of delivered frames that arrive twice, 0 to 1. */
  readonly duplication: number;
  /** Share of deliveries held back for up to four times `longestMs`, so that later ones overtake them, 0 to 1. */
  readonly reordering: number;
}

export const CALM_LINKS: LinkProfile = {
  shortestMs: 1,
  longestMs: 3,
  loss: 0,
  duplication: 0,
  reordering: 0,
};
const HELD_BACK_TIMES = 4;

/**
 * The policy of a memory network: what each link does to each frame. Directed links are blocked and opened by the steps of a plan.
 * Blocks are counted, so that two partitions that overlap heal one by one.
 */
export class LinkFaults {
  readonly #random: Random;
  readonly #blocks = new Map<string, number>();
  readonly #clogs = new Map<string, () => number>();
  #profile: LinkProfile;

  constructor(random: Random, profile: LinkProfile) {
    this.#random = random;
    this.#profile = profile;
  }

  /** @returns delays of each arrival, in ms; none when the frame is lost. */
  deliveries(from: string, to: string, _bytes: number): readonly number[] {
    // The draws are made in any case, so that what one link does to a frame never shifts the chance of others.
    const isLost = randomChance(this.#random, this.#profile.loss);
    const isDoubled = randomChance(this.#random, this.#profile.duplication);
    const delays = [this.#drawDelayMs(), this.#drawDelayMs()];
    if (isLost || !this.isReachable(from, to)) return [];
    const heldMs = this.#clogs.get(linkOf(from, to))?.() ?? 0;
    return (isDoubled ? delays : delays.slice(0, 1)).map((delayMs) => heldMs + delayMs);
  }

  isReachable(from: string, to: string): boolean {
    return !this.#blocks.has(linkOf(from, to));
  }

  /** Share of frames that is lost now where nothing is blocked. */
  get loss(): number {
    return this.#profile.loss;
  }

  /** Whether what is sent arrives now, but for what the profile loses. */
  isOpen(from: string, to: string): boolean {
    return this.isReachable(from, to) && !this.#clogs.has(linkOf(from, to));
  }

  /** Nothing gets from any of `from` to any of `to`. @returns what opens these links again. */
  block(from: readonly string[], to: readonly string[]): Disposable {
    const links = from.flatMap((sender) => to.map((receiver) => linkOf(sender, receiver)));
    for (const link of links) this.#blocks.set(link, (this.#blocks.get(link) ?? 0) + 1);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        for (const link of links) this.#unblock(link);
      },
    };
  }

  /** Whatever is sent from any of `from` to any of `to` waits and is released together. @param leftMs until then. */
  clog(from: readonly string[], to: readonly string[], leftMs: () => number): Disposable {
    const links = from.flatMap((sender) => to.map((receiver) => linkOf(sender, receiver)));
    for (const link of links) this.#clogs.set(link, leftMs);
    return {
      [Symbol.dispose]: () => {
        for (const link of links) if (this.#clogs.get(link) === leftMs) this.#clogs.delete(link);
      },
    };
  }

  setProfile(profile: LinkProfile): void {
    this.#profile = profile;
  }

  /** Faults stop: every link is open, quick and reliable. */
  calm(): void {
    this.#blocks.clear();
    this.#clogs.clear();
    this.#profile = CALM_LINKS;
  }

  #unblock(link: string): void {
    const count = (this.#blocks.get(link) ?? 1) - 1;
    if (count > 0) this.#blocks.set(link, count);
    else this.#blocks.delete(link);
  }

  #drawDelayMs(): number {
    const { shortestMs, longestMs, reordering } = this.#profile;
    const delayMs = shortestMs + randomFloat(this.#random) ** 3 * (longestMs - shortestMs);
    const isHeldBack = randomChance(this.#random, reordering);
    return isHeldBack ? delayMs + randomFloat(this.#random) * longestMs * HELD_BACK_TIMES : delayMs;
  }
}

function linkOf(from: string, to: string): string {
  return `${from}>${to}`;
}
