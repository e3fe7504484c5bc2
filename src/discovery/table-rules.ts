import type { PeerId } from '../base/index.ts';

/** How long the record of a member is good for others, by their own clocks. Unit: ms. */
export const RECORD_AGE_MS = 24 * 3_600_000;
/** How far ahead of theirs its clock may be. Unit: ms. */
export const RECORD_AHEAD_MS = 3_600_000;

/** A record is told again this often, less a random part. Unit: ms. */
export const PUBLISH_EVERY_MS = 3_600_000;
/** While nobody keeps it. Unit: ms. */
export const PUBLISH_RETRY_MS = 60_000;
/** After the addresses have changed, so that a network that comes and goes costs little. Unit: ms. */
export const PUBLISH_PAUSE_MS = 30_000;
/** In a mesh of many: with fewer links others are looked for. */
const LINKS_ENOUGH = 3;
const FIRST_SEARCH_MS = 10_000;
const LONGEST_SEARCH_MS = 600_000;

/** H3 @returns whether a record of this time counts now. */
export function isOfNow(issuedAtMs: number, nowMs: number): boolean {
  return issuedAtMs <= nowMs + RECORD_AHEAD_MS && issuedAtMs >= nowMs - RECORD_AGE_MS;
}

export interface Published {
  readonly addresses: string;
  readonly atMs: number;
  /** How long it is until it is told again. */
  readonly againMs: number;
}

/** @param last what was told; undefined when nothing was yet. @returns whether to tell now where this node is. */
export function isPublishingDue(addresses: string, last: Published | undefined, nowMs: number): boolean {
  if (addresses === '') return false;
  if (last === undefined) return true;
  const sinceMs = nowMs - last.atMs;
  return sinceMs >= last.againMs || (addresses !== last.addresses && sinceMs >= PUBLISH_PAUSE_MS);
}

/** @returns whether so few of the members that are known are linked that others should be looked for. */
export function isShortOfLinks(linkCount: number, knownCount: number): boolean {
  return linkCount < Math.min(LINKS_ENOUGH, knownCount);
}

/** @param searches since there were enough links. @returns the pause before the next one. */
export function searchPauseMs(searches: number): number {
  return Math.min(LONGEST_SEARCH_MS, FIRST_SEARCH_MS * 2 ** Math.min(searches, 10));
}

/** H5: so much within so much time, for everybody together or for each of them. */
export class Allowance {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #namesLimit: number;
  readonly #windows = new Map<string, { beganMs: number; count: number }>();

  constructor({
    limit,
    windowMs,
    namesLimit = 1_024,
  }: { limit: number; windowMs: number; namesLimit?: number }) {
    this.#limit = limit;
    this.#windowMs = windowMs;
    this.#namesLimit = namesLimit;
  }

  /** @returns whether there is one more for this name; it is counted then. */
  take(name: PeerId | 'all', nowMs: number): boolean {
    const window = this.#windows.get(name);
    if (window !== undefined && nowMs - window.beganMs < this.#windowMs) {
      if (window.count >= this.#limit) return false;
      window.count += 1;
      return true;
    }
    this.#windows.delete(name);
    const [oldest] = this.#windows.keys();
    if (oldest !== undefined && this.#windows.size >= this.#namesLimit) this.#windows.delete(oldest);
    this.#windows.set(name, { beganMs: nowMs, count: 1 });
    return true;
  }
}
