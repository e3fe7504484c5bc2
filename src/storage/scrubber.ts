import type { Clock, Timer } from '../base/index.ts';
import { type Key, StorageFault, type StoreView } from './store.ts';

/** A pass begins so long after the one before it has ended. Unit: ms. */
const REST_MS = 24 * 3_600_000;
/** The first one waits until a start has calmed down. Unit: ms. */
const FIRST_REST_MS = 10 * 60_000;
const STEP_EVERY_MS = 1_000;
/** Read at once, which holds the thread for about 2 ms; a gigabyte takes half an hour. Unit: bytes. */
const STEP_BYTES = 512 * 2 ** 10;
const STEP_RECORDS = 2_000;
const BEYOND_ALL_KEYS: Key = '\u00ff';

/**
 * Reads every value of a checked store once in a while, slowly: damage to what nobody asks for is found while others still have it whole.
 *
 * - C3 Between two rests every value that is there all the time is read once; a step reads a bounded part, in key order.
 *
 * Whoever made the store is told of damage by the store; the scrubber then reads no further.
 */
export class Scrubber implements Disposable {
  readonly #store: StoreView;
  readonly #clock: Clock;
  #timer: Timer;
  #from: Key = '';
  #passes = 0;

  constructor(store: StoreView, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#timer = clock.setTimer(FIRST_REST_MS, this.#step);
  }

  /** Whole ones. */
  get passes(): number {
    return this.#passes;
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
  }

  readonly #step = (): void => {
    let next: Key | undefined;
    try {
      next = readStep(this.#store, this.#from).next;
    } catch (error) {
      if (error instanceof StorageFault && error.kind === 'damaged') return; // the store has told of it
      throw error;
    }
    if (next === undefined) this.#passes += 1;
    this.#from = next ?? '';
    this.#timer = this.#clock.setTimer(next === undefined ? REST_MS : STEP_EVERY_MS, this.#step);
  };
}

export interface ReadStep {
  readonly records: number;
  readonly bytes: number;
  /** Where the next step begins; undefined at the end. */
  readonly next: Key | undefined;
}

/** Reads a bounded part of a store, in key order, so that a checked one looks at each value. @throws StorageFault `damaged` */
export function readStep(store: StoreView, from: Key): ReadStep {
  let bytes = 0;
  let records = 0;
  for (const [key, value] of store.range({ from, to: BEYOND_ALL_KEYS })) {
    bytes += key.length + value.length;
    records += 1;
    if (bytes >= STEP_BYTES || records >= STEP_RECORDS) return { records, bytes, next: `${key}\u0000` };
  }
  return { records, bytes, next: undefined };
}
