import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gapsMs, overlaps, readLedger, type Stamp } from '../../lab/ledger.ts';

const life = (job: string, token: number, ...times: number[]): Stamp[] =>
  times.map((atSeconds) => ({ job, token, atSeconds }));

describe('the ledger of the lab', () => {
  it('holds nothing against attempts that follow each other', () => {
    const stamps = [...life('j', 1, 10, 10.1, 10.2), ...life('j', 7, 14.5, 14.6), ...life('k', 3, 10)];
    assert.deepEqual(overlaps(stamps), []);
    assert.deepEqual(gapsMs(stamps), [4_300]);
  });

  it('shows an attempt that lived on after the next had begun', () => {
    const stamps = [...life('j', 7, 14.5), ...life('j', 1, 10, 14.75), ...life('k', 8, 14.6)];
    assert.deepEqual(overlaps(stamps), ['j: token 1 was alive 250 ms after token 7 had begun']);
    assert.deepEqual(gapsMs(stamps), [-250]);
  });

  it('tells beginnings from later signs', () => {
    const directory = mkdtempSync(join(tmpdir(), 'aspen-ledger-'));
    try {
      const path = join(directory, 'ledger');
      writeFileSync(path, 'begin j 1 5 100.25\nbeat j 1 5 100.35\n');
      const { executions, stamps } = readLedger(path);
      assert.deepEqual(executions, [{ job: 'j', attempt: 1, token: 5 }]);
      assert.deepEqual(stamps, life('j', 5, 100.25, 100.35));
      assert.deepEqual(readLedger(join(directory, 'none')), { executions: [], stamps: [] });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
