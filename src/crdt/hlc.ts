import type { PeerId } from '../base/index.ts';

/**
 * A moment that respects cause and effect across machines whose wall clocks disagree: whatever a node stamps after it has seen another
 * stamp comes later. Source: Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014.
 */
export interface Hlc {
  /** Unit: ms since 1970, whole; at least the wall time of the node that stamped. */
  readonly wallMs: number;
  /** Tells apart stamps of one millisecond. */
  readonly counter: number;
  readonly peerId: PeerId;
}

/** The part of a stamp that is compared first. */
export type HlcTime = Pick<Hlc, 'wallMs' | 'counter'>;

/** Stamps further ahead of the own wall clock are refused: one wrong clock must not carry all others along. Unit: ms. */
export const AHEAD_LIMIT_MS = 60_000;

/** Most stamps of one millisecond; the next one borrows from the millisecond after. */
const COUNTER_LIMIT = 65_535;

/** A total order: time, then counter, then peer id. @returns below 0 when `left` is earlier. */
export function compareHlc(left: Hlc, right: Hlc): number {
  return compareTime(left, right) || (left.peerId < right.peerId ? -1 : left.peerId > right.peerId ? 1 : 0);
}

export function compareTime(left: HlcTime, right: HlcTime): number {
  return left.wallMs - right.wallMs || left.counter - right.counter;
}

/** @returns one line of text that sorts like the stamp; for people and programs outside. */
export function formatHlc({ wallMs, counter, peerId }: Hlc): string {
  return `${String(wallMs).padStart(16, '0')}.${String(counter).padStart(5, '0')}@${peerId}`;
}

/** @returns whether both are whole numbers of the size that clocks make. */
export function isHlcTime(wallMs: unknown, counter: unknown): boolean {
  return (
    Number.isSafeInteger(wallMs) &&
    (wallMs as number) >= 0 &&
    Number.isSafeInteger(counter) &&
    (counter as number) >= 0 &&
    (counter as number) <= COUNTER_LIMIT
  );
}

/** Why a stamp is not believed; undefined when it is. */
export function refusalOf({ wallMs }: HlcTime, nowWallMs: number): string | undefined {
  const aheadMs = wallMs - nowWallMs;
  return aheadMs > AHEAD_LIMIT_MS
    ? `its clock is ${aheadMs} ms ahead of ours, at most ${AHEAD_LIMIT_MS} is believed`
    : undefined;
}

/** What a promise about stamps to come follows from. Unit: ms. */
export interface ClockFacts {
  readonly wallMs: number;
  /** The latest stamp of somebody else that was believed. */
  readonly remoteMs: number;
  /** The latest stamp given or observed. */
  readonly lastMs: number;
}

/** Stamps are promised ahead by this much, so that the disk is written once in a while and not for each stamp. Unit: ms. */
export const CLOCK_RESERVE_MS = 20_000;
/** A promise further ahead of the wall clock would be refused by others after a restart. Unit: ms. */
const FLOOR_AHEAD_LIMIT_MS = AHEAD_LIMIT_MS - 10_000;

/**
 * A time below which a later run gives no stamp.
 *
 * - H4 However often a node is started again in a short time, what it stamps stays believed: a clock that is ahead because an earlier run
 *   promised it stands still until the wall clock gets there, so nothing more is promised on top of it.
 */
export function floorFor({ wallMs, remoteMs, lastMs }: ClockFacts): number {
  const soonMs = Math.max(wallMs, remoteMs) + CLOCK_RESERVE_MS;
  return Math.max(Math.ceil(Math.min(soonMs, wallMs + FLOOR_AHEAD_LIMIT_MS)), lastMs + 1);
}

export interface HybridClockOptions {
  /** A time that no stamp of an earlier run exceeded; kept on disk by the owner. @default none */
  readonly floor?: HlcTime;
}

/**
 * The clock of one node.
 *
 * - H1 Each stamp is later than every stamp given or observed before, also when the wall clock goes back, and after a restart.
 * - H2 A stamp more than {@link AHEAD_LIMIT_MS} ahead of the own wall clock changes nothing.
 * - H3 Exception to H1: a clock that only this node believed in. When the own wall clock had run ahead further than anybody accepts and was set
 *   right, the stamps made meanwhile were refused everywhere, and going on from them would be refused as well: stamps begin again at the wall clock.
 */
export class HybridClock {
  readonly #peerId: PeerId;
  readonly #wallMs: () => number;
  #last: HlcTime;
  /** The latest stamp of somebody else that was believed. */
  #remote: HlcTime = { wallMs: 0, counter: 0 };

  constructor(
    { peerId, wallMs }: { readonly peerId: PeerId; readonly wallMs: () => number },
    options: HybridClockOptions = {},
  ) {
    this.#peerId = peerId;
    this.#wallMs = wallMs;
    this.#last = options.floor ?? { wallMs: 0, counter: 0 };
  }

  now(): Hlc {
    const wallMs = Math.floor(this.#wallMs());
    if (this.#isOnItsOwn(wallMs)) this.#last = this.#remote; // H3
    this.#last = wallMs > this.#last.wallMs ? { wallMs, counter: 0 } : next(this.#last); // H1
    return { ...this.#last, peerId: this.#peerId };
  }

  /** Takes note of a stamp from elsewhere. @returns why it was refused; undefined when it was believed. */
  observe(stamp: Hlc): string | undefined {
    const refusal = refusalOf(stamp, this.#wallMs());
    if (refusal !== undefined) return refusal; // H2
    if (compareTime(stamp, this.#last) > 0) this.#last = { wallMs: stamp.wallMs, counter: stamp.counter };
    if (stamp.peerId !== this.#peerId && compareTime(stamp, this.#remote) > 0) {
      this.#remote = { wallMs: stamp.wallMs, counter: stamp.counter };
    }
    return undefined;
  }

  /** What to promise over a restart follows from these. */
  get facts(): ClockFacts {
    return { wallMs: this.#wallMs(), remoteMs: this.#remote.wallMs, lastMs: this.#last.wallMs };
  }

  /** The time that stamps would bear, without giving one. Unit: ms. */
  get timeMs(): number {
    return Math.max(this.#wallMs(), this.#last.wallMs);
  }

  #isOnItsOwn(wallMs: number): boolean {
    return (
      this.#last.wallMs - wallMs > AHEAD_LIMIT_MS && this.#last.wallMs - this.#remote.wallMs > AHEAD_LIMIT_MS
    );
  }
}

function next({ wallMs, counter }: HlcTime): HlcTime {
  return counter < COUNTER_LIMIT ? { wallMs, counter: counter + 1 } : { wallMs: wallMs + 1, counter: 0 };
}
