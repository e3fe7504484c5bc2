import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'; // Crockford's base 32, so that ids sort like the numbers they encode
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
/** By the code of a digit, the code of the next one; the last has none. */
const NEXT_CODES = new Map(Array.from(CODES, (code, at) => [code, CODES[at + 1]]));
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;

export type IdPrefix = 'job' | 'run' | 'sch' | 'wf' | 'tkt' | 'ses' | 'wrk' | 'sub' | 'lse' | 'bak' | 'hook';

/** @returns a time-ordered id such as `job_01k9z3...`: 48 bits of wall time, then 80 random bits. */
export function newId(prefix: IdPrefix, { clock, random }: { clock: Clock; random: Random }): string {
  return textOf([...headCodes(prefix, clock.wallMs()), ...randomCodes(random)]);
}

/**
 * Ids as {@link newId} makes them, in the order in which they are asked for: of those of one millisecond only the first is drawn, and the others
 * count on from it. What is stored under ids that grow lies side by side, and is put into an order by appending.
 */
export class IdSequence {
  readonly #prefix: IdPrefix;
  readonly #clock: Clock;
  readonly #random: Random;
  #wallMs = Number.NaN;
  /** Of the last id. */
  #codes: number[] = [];

  constructor(prefix: IdPrefix, { clock, random }: { clock: Clock; random: Random }) {
    this.#prefix = prefix;
    this.#clock = clock;
    this.#random = random;
  }

  /** @returns an id that is greater than those before it of the same millisecond. */
  next(): string {
    const wallMs = this.#clock.wallMs();
    if (wallMs !== this.#wallMs || !countUp(this.#codes)) this.#draw(wallMs);
    return textOf(this.#codes);
  }

  #draw(wallMs: number): void {
    this.#wallMs = wallMs;
    this.#codes = [...headCodes(this.#prefix, wallMs), ...randomCodes(this.#random)];
  }
}

function headCodes(prefix: IdPrefix, wallMs: number): number[] {
  const codes = Array.from(`${prefix}_`, (character) => character.charCodeAt(0));
  const start = codes.length;
  let rest = Math.max(0, Math.floor(wallMs));
  for (let position = start + TIME_CHARACTERS - 1; position >= start; position -= 1) {
    codes[position] = CODES[rest % 32] as number;
    rest = Math.floor(rest / 32);
  }
  return codes;
}

function randomCodes(random: Random): number[] {
  return Array.from(random.bytes(RANDOM_CHARACTERS), (byte) => CODES[byte & 31] as number);
}

/** @returns false where all random digits are the last one, so that there is no next number. */
function countUp(codes: number[]): boolean {
  for (let position = codes.length - 1; position >= codes.length - RANDOM_CHARACTERS; position -= 1) {
    const next = NEXT_CODES.get(codes[position] as number);
    codes[position] = next ?? (CODES[0] as number);
    if (next !== undefined) return true;
  }
  return false;
}

/** In one piece: text that was put together is copied when it is first looked up. */
function textOf(codes: readonly number[]): string {
  return String.fromCharCode(...codes);
}
