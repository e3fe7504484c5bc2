import { numberKey } from '../../../src/storage/index.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';

/** Writes ever larger numbers from many callers at once, and tells each one that was acknowledged. */
const store = openLmdbStore(process.argv[2] as string);
const CALLERS = 20;
let next = Number(process.argv[3]);

async function writeOnAndOn(): Promise<void> {
  for (;;) {
    const number = next;
    next += 1;
    const value = Buffer.from(String(number));
    await store.write([
      { type: 'put', key: `a${numberKey(number)}`, value },
      { type: 'put', key: `b${numberKey(number)}`, value },
    ]);
    process.stdout.write(`${number}\n`);
  }
}

await Promise.all(Array.from({ length: CALLERS }, writeOnAndOn));
