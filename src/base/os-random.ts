import { randomBytes } from 'node:crypto';
import type { Random } from './random.ts';

const POOL_BYTES = 4_096;

/** The operating system's source of chance, drawn in pools. */
export class OsRandom implements Random {
  #pool = Buffer.alloc(0);
  #at = 0;

  uint32(): number {
    return this.#take(4).readUInt32LE(0);
  }

  bytes(count: number): Uint8Array {
    return count > POOL_BYTES ? new Uint8Array(randomBytes(count)) : new Uint8Array(this.#take(count));
  }

  #take(count: number): Buffer {
    if (this.#at + count > this.#pool.length) {
      this.#pool = randomBytes(POOL_BYTES);
      this.#at = 0;
    }
    const taken = this.#pool.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }
}
