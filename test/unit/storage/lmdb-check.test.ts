import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomInt, SeededRandom } from '../../../src/base/index.ts';
import { CheckedStore, isSealed, StorageFault, type Write } from '../../../src/storage/index.ts';
import { checkStoreFile } from '../../../src/storage/lmdb-check.ts';
import { openLmdbStore } from '../../../src/storage/lmdb-store.ts';

const ALL = { from: '\u0000', to: '\u00ff' };
const PAGE_BYTES = 4_096;
const isDamage = (error: unknown) => error instanceof StorageFault && error.kind === 'damaged';
const check = (path: string) => checkStoreFile(path, { isGenuine: isSealed });

describe('check of a store file', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'aspen-check-'));
    path = join(directory, 'store');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  async function write(batches: readonly (readonly Write[])[]): Promise<void> {
    await using store = new CheckedStore({ store: openLmdbStore(path) });
    for (const batch of batches) await store.write(batch);
  }
  async function read(): Promise<string> {
    await using store = new CheckedStore({ store: openLmdbStore(path) });
    return JSON.stringify(
      Array.from(store.range(ALL), ([key, value]) => [key, Buffer.from(value).toString('base64')]),
    );
  }
  const put = (key: string, bytes: number): Write => ({
    type: 'put',
    key,
    value: new Uint8Array(bytes).fill(key.length),
  });
  const rows = (count: number, prefix = 'k'): Write[] =>
    Array.from({ length: count }, (_, at) => put(`${prefix}/${String(at).padStart(6, '0')}`, 20 + (at % 90)));

  it('finds nothing to check where there is no store', () => {
    assert.equal(check(path), undefined);
    writeFileSync(path, '');
    assert.equal(check(path), undefined);
  });

  it('finds a store whole after any life: values of all sizes, deletes, used-again pages', async () => {
    for (const seed of [1, 2, 3]) {
      const random = new SeededRandom(seed);
      const draw = (to: number) => randomInt(random, { from: 0, to });
      for (let life = 0; life < 4; life += 1) {
        const batches = Array.from({ length: 25 }, () =>
          Array.from({ length: draw(120) }, (): Write => {
            const key = `k/${draw(1_500)}`;
            return draw(3) > 0
              ? put(key, draw(12) === 0 ? draw(20_000) : draw(200))
              : { type: 'delete', key };
          }),
        );
        await write(batches);
        assert.ok(check(path)?.isWhole);
      }
      rmSync(path);
    }
  });

  it('K1, K2, K3: notices a change of any byte, or it changes nothing that is read', async () => {
    await write([
      rows(400),
      [put('big', 9_000), put('k/000007', 30)],
      [{ type: 'delete', key: 'k/000100' }, put('zz', 1)],
    ]);
    const whole = readFileSync(path);
    const before = await read();
    assert.deepEqual(readFileSync(path), whole, 'a reading changes nothing');
    const random = new SeededRandom(7);
    let noticed = 0;
    const places = [
      ...Array.from({ length: 176 }, (_, at) => at),
      ...Array.from({ length: 176 }, (_, at) => PAGE_BYTES + at),
      ...Array.from({ length: 700 }, () => randomInt(random, { from: 2 * PAGE_BYTES, to: whole.length })),
    ];
    for (const at of places) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(at) ^ randomInt(random, { from: 1, to: 256 }), at);
      writeFileSync(path, damaged);
      try {
        check(path);
      } catch (error) {
        assert.ok(isDamage(error), String(error));
        noticed += 1;
        continue;
      }
      assert.equal(await read(), before, `byte ${at} was changed and nobody noticed`);
    }
    assert.ok(noticed > places.length / 3, `${noticed} of ${places.length} places mattered`);
  });

  it('notices a file that was cut short and pages that were exchanged', async () => {
    await write([rows(400)]);
    const whole = readFileSync(path);
    truncateSync(path, whole.length - 3 * PAGE_BYTES);
    assert.throws(() => check(path), isDamage);
    const swapped = Buffer.from(whole);
    whole.copy(swapped, 3 * PAGE_BYTES, 4 * PAGE_BYTES, 5 * PAGE_BYTES);
    whole.copy(swapped, 4 * PAGE_BYTES, 3 * PAGE_BYTES, 4 * PAGE_BYTES);
    writeFileSync(path, swapped);
    assert.throws(() => check(path), isDamage);
  });

  it('K3: notices that the newest transaction is gone', async () => {
    await write([rows(50), [put('a', 1)], [put('b', 1)], [put('c', 1)]]);
    const whole = readFileSync(path);
    const metas = [0, 1].map((page) => Number(whole.readBigUInt64LE(page * PAGE_BYTES + 152)));
    const newest = (metas[0] as number) > (metas[1] as number) ? 0 : 1;
    whole.writeBigUInt64LE(BigInt((metas[newest] as number) - 2), newest * PAGE_BYTES + 152);
    writeFileSync(path, whole);
    assert.throws(() => check(path), isDamage);
  });

  it('leaves the leaves of a very large file to its readers', async () => {
    await write([rows(400)]);
    const part = checkStoreFile(path, { isGenuine: isSealed, wholePagesLimit: 2 });
    assert.deepEqual([part?.isWhole, part?.entries], [false, 400]);
  });
});
