import type { Observation, Observer } from './observers.ts';

/**
 * The rule: whoever is missed by enough others has 2 s to say that it lives, and does so within one; whoever was taken for silent is alive again with
 * the next sign of life, or with what the next neighbour to be linked knows of it. Loss makes it take a few rounds of gossip. Unit: ms.
 */
export const SHOWN_GONE_LIMIT_MS = 8_000;

/**
 * Whoever lives and is linked with a majority is not shown as gone, for longer than the rule says, by anybody else of whom the same is true: the two
 * majorities have a node in common, so what one says gets to the other.
 */
export class NobodyAliveIsGone implements Observer {
  readonly name = 'nobody alive is shown as gone';
  /** By who shows it and of whom: since when, while both stand well. Unit: ms. */
  readonly #goneSinceMs = new Map<string, number>();
  readonly #broken = new Map<string, string>();

  observe(event: Observation): void {
    if (event.type !== 'shown') return;
    const { atMs, by, of, isAlive, isStandingWell } = event;
    const pair = `${by} of ${of}`;
    if (isAlive || !isStandingWell) {
      this.#goneSinceMs.delete(pair);
      return;
    }
    const sinceMs = this.#goneSinceMs.get(pair) ?? atMs;
    this.#goneSinceMs.set(pair, sinceMs);
    if (atMs - sinceMs > SHOWN_GONE_LIMIT_MS && !this.#broken.has(pair))
      this.#broken.set(
        pair,
        `${by} has shown ${of} as gone since ${Math.round(sinceMs)} ms, and it lives and is linked`,
      );
  }

  check(): readonly string[] {
    return [...this.#broken.values()];
  }
}
