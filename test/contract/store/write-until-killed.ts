import { OsClock } from '../../../src/base/os-clock.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import { numberKey } from '../../../src/storage/index.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';
import { openStoreWithJournal } from '../../../src/storage/os-journaled-store.ts';

/** Writes ever larger numbers from many callers at once, and tells each one that was acknowledged. */
const [, , path = '', first, kind] = process.argv;
const store =
  kind === 'journal'
    ? await openStoreWithJournal(path, { clock: new OsClock(), random: new OsRandom() })
    : openLmdbStore(path);
const CALLERS = 20;
let next = Number(first);

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
