import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'; // Crockford's base 32, so that ids sort like the numbers they encode
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;

export type IdPrefix = 'job' | 'run' | 'sch' | 'wf' | 'tkt' | 'ses' | 'wrk' | 'sub' | 'lse' | 'bak' | 'hook';

/** @returns a time-ordered id such as `job_01k9z3...`: 48 bits of wall time, then 80 random bits. */
export function newId(prefix: IdPrefix, { clock, random }: { clock: Clock; random: Random }): string {
  const codes = new Array<number>(TIME_CHARACTERS);
  let rest = Math.max(0, Math.floor(clock.wallMs()));
  for (let position = TIME_CHARACTERS - 1; position >= 0; position -= 1) {
    codes[position] = CODES[rest % 32] as number;
    rest = Math.floor(rest / 32);
  }
  for (const byte of random.bytes(RANDOM_CHARACTERS)) codes.push(CODES[byte & 31] as number);
  return `${prefix}_${String.fromCharCode(...codes)}`;
}
