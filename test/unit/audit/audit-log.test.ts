import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type AuditFiles,
  AuditLog,
  type AuditLogOptions,
  MemoryAuditFiles,
} from '../../../src/audit/index.ts';
import { type Logger, silentLogger } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const crypto = new OsCrypto();

function openLog(files: AuditFiles, options: AuditLogOptions = {}): Promise<AuditLog> {
  return AuditLog.open({ files, clock: new ManualClock(), crypto, log: silentLogger }, options);
}

async function logOf(count: number, options: AuditLogOptions = {}) {
  const files = new MemoryAuditFiles();
  const log = await openLog(files, options);
  for (let at = 1; at <= count; at += 1) {
    log.record({ kind: 'act', number: at });
    if (at % 3 === 0) await log.flushed();
  }
  await log.flushed();
  return { files, log };
}

const noRoom = Object.assign(new Error('no space left'), { code: 'ENOSPC' });

const SMALL_FILES: AuditLogOptions = { fileBytesLimit: 1_000 };

function nameAt(files: MemoryAuditFiles, at: number): string {
  return [...files.files.keys()].sort().at(at) as string;
}

function edit(files: MemoryAuditFiles, name: string, change: (text: string) => string): void {
  const text = Buffer.from(files.files.get(name) as Uint8Array).toString('utf8');
  files.files.set(name, Buffer.from(change(text)));
}

describe('an audit log', () => {
  it('holds what was recorded, in order, over many files', async () => {
    const { files, log } = await logOf(40, SMALL_FILES);
    assert.ok(files.files.size > 5);
    const verified = await log.verify();
    assert.deepEqual([verified.ok, verified.lineCount, verified.lastSeq], [true, 40, 40]);
    const records = await log.tail({ limit: 5 });
    assert.deepEqual(
      records.map(({ seq, number }) => [seq, number]),
      [36, 37, 38, 39, 40].map((n) => [n, n]),
    );
  });

  it('goes on after a start where it was', async () => {
    const { files } = await logOf(10, SMALL_FILES);
    const next = await openLog(files, SMALL_FILES);
    next.record({ kind: 'act', number: 11 });
    assert.deepEqual((await next.verify()).lineCount, 11);
    assert.deepEqual(
      (await next.tail({ limit: 100, afterSeq: 9 })).map(({ seq }) => seq),
      [10, 11],
    );
    assert.deepEqual(await next.tail({ limit: 100, afterSeq: 11 }), []);
  });

  it('writes what comes within a moment together, without being asked', async () => {
    const files = new MemoryAuditFiles();
    const clock = new ManualClock();
    const log = await AuditLog.open({ files, clock, crypto, log: silentLogger });
    log.record({ kind: 'act' });
    log.record({ kind: 'act' });
    assert.equal(files.files.size, 0);
    await clock.advance(100);
    assert.equal((await log.verify()).lineCount, 2);
  });

  const tampered: readonly (readonly [string, (files: MemoryAuditFiles) => void, RegExp])[] = [
    [
      'a changed field',
      (files) => edit(files, nameAt(files, 1), (text) => text.replace('"act"', '"bad"')),
      /changed/,
    ],
    [
      'a line left out',
      (files) => edit(files, nameAt(files, 1), (text) => text.split('\n').toSpliced(1, 1).join('\n')),
      /missing or moved/,
    ],
    [
      'two lines that changed places',
      (files) =>
        edit(files, nameAt(files, 1), (text) => {
          const [first, second, ...rest] = text.split('\n');
          return [second, first, ...rest].join('\n');
        }),
      /missing or moved/,
    ],
    ['a file that is gone', (files) => files.files.delete(nameAt(files, 1)), /missing or moved/],
    ['a first file that is gone', (files) => files.files.delete(nameAt(files, 0)), /missing or moved/],
    ['a last file that is gone', (files) => files.files.delete(nameAt(files, -1)), /end is missing/],
    [
      'an end that is cut off',
      (files) => edit(files, nameAt(files, -1), (text) => text.slice(0, -10)),
      /breaks off/,
    ],
    [
      'a last line that is gone',
      (files) => edit(files, nameAt(files, -1), (text) => `${text.split('\n').slice(0, -2).join('\n')}\n`),
      /end is missing/,
    ],
  ];
  for (const [what, tamper, reason] of tampered) {
    it(`tells ${what}, and where`, async () => {
      const { files, log } = await logOf(20, SMALL_FILES);
      tamper(files);
      const verified = await log.verify();
      assert.equal(verified.ok, false);
      assert.match(verified.break?.reason ?? '', reason);
      const again = await (await openLog(files, SMALL_FILES)).verify();
      assert.equal(again.ok, false, 'a start does not cover it up');
    });
  }

  it('tells any byte that was changed, and names the line', async () => {
    const { files, log } = await logOf(12, SMALL_FILES);
    const names = await files.names();
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (pick, place, mask) => {
        const name = names[pick % names.length] as string;
        const whole = files.files.get(name) as Uint8Array;
        const at = place % whole.length;
        const changed = whole.slice();
        changed[at] = (whole[at] as number) ^ mask;
        files.files.set(name, changed);
        try {
          const verified = await log.verify();
          assert.equal(verified.ok, false);
          assert.equal(verified.break?.file, name);
          assert.equal(
            verified.break?.line,
            1 + Buffer.from(whole.subarray(0, at)).toString('latin1').split('\n').length - 1,
          );
        } finally {
          files.files.set(name, whole);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('tells a log that was written anew as a whole', async () => {
    const { files, log } = await logOf(6);
    const [name] = await files.names();
    const forged = new MemoryAuditFiles();
    const forger = await openLog(forged);
    for (let at = 1; at <= 6; at += 1) forger.record({ kind: 'forged' });
    await forger.flushed();
    files.files.set(name as string, forged.files.get(name as string) as Uint8Array);
    assert.equal((await log.verify()).ok, false);
  });

  it('is healed after a crash in the middle of a line, and says so', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2_000 }), async (cut) => {
        const { files } = await logOf(9, SMALL_FILES);
        const head = files.head;
        const before = await openLog(files, SMALL_FILES);
        const known = new Map(files.files);
        for (let at = 0; at < 9; at += 1) before.record({ kind: 'unacknowledged', at });
        await before.flushed();
        files.head = head; // the machine stopped before the head was written ...
        const last = [...files.files.keys()].sort().at(-1) as string;
        const bytes = files.files.get(last) as Uint8Array;
        const least = known.get(last)?.length ?? 0;
        const left = bytes.slice(0, Math.max(least, bytes.length - cut));
        files.files.set(last, left); // ... and in the middle of a write
        const after = await openLog(files, SMALL_FILES);
        after.record({ kind: 'act' });
        const verified = await after.verify();
        assert.equal(verified.ok, true, JSON.stringify(verified));
        const kinds = (await after.tail({ limit: 100 })).map(({ kind }) => kind);
        assert.deepEqual(
          kinds.slice(0, 9),
          Array(9).fill('act'),
          'nothing that was said to be written is missing',
        );
        assert.equal(kinds.includes('audit.healed'), left.length > 0 && left.at(-1) !== 0x0a);
      }),
      { numRuns: 60 },
    );
  });

  it('says when lines that were written are missing at its start', async () => {
    const { files } = await logOf(9);
    edit(files, nameAt(files, -1), (text) => text.slice(0, 200));
    const next = await openLog(files);
    assert.deepEqual(
      (await next.tail({ limit: 1 })).map(({ kind }) => kind),
      ['audit.missing'],
    );
    assert.equal((await next.verify()).ok, false);
  });

  it('sets a log without its head aside, and begins with saying so', async () => {
    const { files } = await logOf(9);
    files.head = undefined;
    const next = await openLog(files);
    const [first] = await next.tail({ limit: 10 });
    assert.deepEqual([first?.kind, first?.seq], ['audit.headLost', 1]);
    assert.ok([...files.files.keys()].some((name) => name.endsWith('.unverified')));
  });

  it('believes the first lines of a log that ended before they were noted', async () => {
    const files = new MemoryAuditFiles();
    const first = await openLog(files);
    const noted = files.head;
    first.record({ kind: 'act' });
    await first.flushed();
    files.head = noted;
    const next = await openLog(files);
    assert.deepEqual(
      (await next.tail({ limit: 10 })).map(({ kind }) => kind),
      ['act'],
    );
    assert.equal((await next.verify()).ok, true);
    assert.deepEqual(
      [...files.files.keys()].filter((name) => name.endsWith('.unverified')),
      [],
    );
  });

  it('keeps so many files, and knows what it follows on', async () => {
    const { files, log } = await logOf(60, { ...SMALL_FILES, filesLimit: 3 });
    assert.equal(files.files.size, 3);
    assert.equal((await log.verify()).ok, true);
    files.files.delete(nameAt(files, 0));
    assert.equal((await log.verify()).ok, false);
  });

  it('stops nobody when the disk is full, and counts what is missing', async () => {
    const { files, log } = await logOf(3);
    files.fault = noRoom;
    log.record({ kind: 'act' });
    log.record({ kind: 'act' });
    await log.flushed();
    files.fault = undefined;
    log.record({ kind: 'act', number: 6 });
    assert.deepEqual(
      (await log.tail({ limit: 2 })).map(({ kind, count }) => [kind, count]),
      [
        ['audit.lost', 2],
        ['act', undefined],
      ],
    );
    assert.equal((await log.verify()).ok, true);
  });

  it('counts nothing as missing where only the note of its end was refused, and finds it at the next start', async () => {
    const { files, log } = await logOf(3);
    files.headFault = noRoom;
    for (const number of [4, 5]) {
      log.record({ kind: 'act', number });
      await log.flushed();
    }
    files.headFault = undefined;
    const next = await openLog(files);
    for (const one of [log, next]) {
      const records = await one.tail({ limit: 2 });
      assert.deepEqual(
        records.map(({ kind, number }) => [kind, number]),
        [
          ['act', 4],
          ['act', 5],
        ],
      );
    }
    assert.equal((await next.verify()).lineCount, 5);
  });

  it('removes an old file only once it is noted that the log begins later', async () => {
    const options = { ...SMALL_FILES, filesLimit: 3 };
    const { files, log } = await logOf(60, options);
    const [first] = [...files.files.keys()].sort();
    files.headFault = noRoom;
    for (let number = 61; number <= 90; number += 1) {
      log.record({ kind: 'act', number });
      await log.flushed();
    }
    assert.ok(files.files.has(first as string));
    for (const one of [log, await openLog(files, options)]) {
      const { ok, lastSeq } = await one.verify();
      assert.deepEqual([ok, lastSeq], [true, 90], 'its end was not noted over several files');
    }
    files.headFault = undefined;
    for (let number = 91; number <= 120; number += 1) {
      log.record({ kind: 'act', number });
      await log.flushed();
    }
    assert.equal(files.files.size, 3);
    assert.equal((await log.verify()).ok, true);
    assert.equal((await (await openLog(files, options)).verify()).ok, true);
  });

  it('says once that the disk takes nothing, and once that it does again', async () => {
    const told: string[] = [];
    const tell = (_: object, message: string) => void told.push(message);
    const log: Logger = { ...silentLogger, warn: tell, info: tell };
    const files = new MemoryAuditFiles();
    const audit = await AuditLog.open({ files, clock: new ManualClock(), crypto, log });
    for (const fault of [noRoom, noRoom, undefined, undefined, noRoom]) {
      files.fault = fault;
      audit.record({ kind: 'act' });
      await audit.flushed();
    }
    const refused = 'audit lines are not written';
    assert.deepEqual(told, [refused, 'the audit log is written again', refused]);
  });

  it('takes no more lines than it has room for while the disk is slow', async () => {
    const files = new MemoryAuditFiles();
    const log = await openLog(files, { waitingLinesLimit: 10, batchLinesLimit: 1_000 });
    for (let at = 0; at < 25; at += 1) log.record({ kind: 'act' });
    const records = await log.tail({ limit: 100 });
    assert.deepEqual([records.length, records[0]?.['count']], [11, 15]);
  });

  it('cuts an event that is too long', async () => {
    const { log } = await logOf(0);
    log.record({ kind: 'act', text: 'x'.repeat(100_000) });
    assert.equal((await log.verify()).ok, true);
  });
});
