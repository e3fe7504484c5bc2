import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'; // Crockford's base 32, so that ids sort like the numbers they encode
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;

export type IdPrefix = 'job' | 'run' | 'sch' | 'wf' | 'tkt' | 'ses' | 'wrk' | 'sub' | 'lse' | 'bak' | 'hook';

/** @returns a time-ordered id such as `job_01k9z3...`: 48 bits of wall time, then 80 random bits. */
export function newId(prefix: IdPrefix, { clock, random }: { clock: Clock; random: Random }): string {
  return `${prefix}_${timePart(clock.wallMs())}${randomPart(random)}`;
}

function timePart(wallMs: number): string {
  let rest = Math.max(0, Math.floor(wallMs));
  let text = '';
  for (let position = 0; position < TIME_CHARACTERS; position += 1) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function randomPart(random: Random): string {
  let text = '';
  for (const byte of random.bytes(RANDOM_CHARACTERS)) text += ALPHABET[byte & 31];
  return text;
}
