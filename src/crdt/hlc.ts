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

/** The time of the clock is noted on disk when it is so much later than the note: once in a while, and not for each stamp. Unit: ms. */
export const NOTE_EVERY_MS = 10_000;
/** What an earlier run stamped is, by its own wall clock, not later than its last note by more than this. Unit: ms. */
const NOTE_LAG_MS = 2 * NOTE_EVERY_MS;
/** A wall clock that was set back by less than this over a restart makes no stamp earlier than one before. Unit: ms. */
export const SET_BACK_LIMIT_MS = 8_000;

/**
 * Where the stamps of a run begin, from what the run before noted last. Earlier is mended soon, by whoever holds the later entries; further ahead than
 * others believe is not, before their wall clocks get there.
 *
 * - H4 However often and whenever nodes are started again, no stamp is further ahead than a wall clock once was, or than one that was set back a
 *   little: by {@link SET_BACK_LIMIT_MS}. Nothing is added to a time that came from others or from an earlier run, since they would do the same.
 */
export function floorAfter(notedMs: number, wallMs: number): number {
  const latestMs = Math.min(notedMs + NOTE_LAG_MS, wallMs + SET_BACK_LIMIT_MS);
  return Math.max(Math.ceil(latestMs), notedMs + 1);
}

export interface HybridClockOptions {
  /** Stamps begin above this; see {@link floorAfter}. @default none */
  readonly floor?: HlcTime;
}

/**
 * The clock of one node.
 *
 * - H1 Each stamp is later than every stamp given or observed before, also when the wall clock goes back; and than those given before a restart, unless
 *   others' clocks are ahead of the own one, or it was set back meanwhile, by more than {@link SET_BACK_LIMIT_MS}.
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
