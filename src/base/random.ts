/** A source of chance. Simulations give a seeded one, so that the same seed makes the same choices. */
export interface Random {
  /** @returns a whole number, 0 <= n < 2^32. */
  uint32(): number;
  /** @returns `count` random bytes. Secrets are drawn here too: the real source is the operating system's. */
  bytes(count: number): Uint8Array;
}

/** @returns a whole number, `from` <= n < `to`. */
export function randomInt(random: Random, { from, to }: { from: number; to: number }): number {
  return from + Math.floor((random.uint32() / 2 ** 32) * (to - from));
}

/** @returns 0 <= x < 1. */
export function randomFloat(random: Random): number {
  return random.uint32() / 2 ** 32;
}

export function randomChance(random: Random, probability: number): boolean {
  return randomFloat(random) < probability;
}

/** @returns one of `items`; undefined when there is none. */
export function randomPick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[randomInt(random, { from: 0, to: items.length })];
}

/** @returns a shuffled copy (Fisher-Yates). */
export function randomShuffle<T>(random: Random, items: readonly T[]): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = randomInt(random, { from: 0, to: last + 1 });
    [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
  }
  return shuffled;
}

/** Repeatable chance for simulations and tests (sfc32, public domain, by Chris Doty-Humphrey). Never for secrets. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += 1) bytes[at] = this.uint32() & 0xff;
    return bytes;
  }

  /** An independent stream: what one part draws does not shift what another part sees. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32() * 2 ** 20 + (this.uint32() >>> 12));
  }
}
