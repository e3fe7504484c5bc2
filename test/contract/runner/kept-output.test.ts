import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OsSpool } from '../../../src/supervisor/os-spool.ts';

const HOUR_MS = 3_600_000;

describe('output kept on disk', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'aspen-kept-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  async function keep(spool: OsSpool, key: string, bytes: number): Promise<void> {
    const writer = spool.create(key, () => undefined);
    writer.append('stdout', new Uint8Array(bytes));
    await writer.end();
  }

  it('goes when its time has passed, but not while its attempt runs', async () => {
    const spool = new OsSpool(directory, { ageLimitMs: HOUR_MS });
    await keep(spool, 'old', 10);
    await keep(spool, 'runs', 10);
    const passed = new Date(Date.now() - HOUR_MS - 1_000);
    for (const name of readdirSync(directory)) utimesSync(join(directory, name), passed, passed);
    await keep(spool, 'new', 10);
    assert.equal(await spool.prune(['runs']), 1);
    assert.equal(await spool.read('old', 0, 100), null);
    assert.equal((await spool.read('runs', 0, 100))?.nextOffset, 10);
    assert.equal((await spool.read('new', 0, 100))?.nextOffset, 10);
  });

  it('goes when it is the oldest of too many, or of too many bytes', async () => {
    const spool = new OsSpool(directory, { bytesLimit: 250, attemptsLimit: 3 });
    const isAged = new Set<string>();
    for (const [key, bytes, hours] of [
      ['a', 10, 4],
      ['b', 100, 3],
      ['c', 100, 2],
      ['d', 100, 1],
    ] as const) {
      await keep(spool, key, bytes);
      const at = new Date(Date.now() - hours * HOUR_MS);
      for (const name of readdirSync(directory).filter((one) => !isAged.has(one))) {
        utimesSync(join(directory, name), at, at);
        isAged.add(name);
      }
    }
    assert.equal(await spool.prune([]), 2);
    assert.equal(await spool.read('b', 0, 1), null);
    assert.equal((await spool.read('c', 0, 100))?.nextOffset, 100);
  });
});
