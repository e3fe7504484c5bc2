import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processesOf, type SeenProcess, type SupervisedEnd } from '../../../src/supervisor/index.ts';
import { OsBootClock } from '../../../src/supervisor/os-boot-clock.ts';
import { OsCensus } from '../../../src/supervisor/os-census.ts';
import { OsRunner } from '../../../src/supervisor/os-runner.ts';
import { OsSpool } from '../../../src/supervisor/os-spool.ts';
import type { Order, SupervisedAttempt } from '../../../src/supervisor/supervised-attempt.ts';
import { Supervision } from '../../../src/supervisor/supervision.ts';

const ENV = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
const KEY = 'job/1';
const NAME = `${createHash('sha256').update(KEY).digest('hex').slice(0, 32)}.out`;
const clock = new OsBootClock();
const census = new OsCensus();

describe('supervision of real processes', function () {
  this.timeout(30_000);
  let directory: string;
  let spool: OsSpool;
  let count = 0;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'aspen-supervision-'));
    spool = new OsSpool(join(directory, 'outputs'));
  });
  after(() => rmSync(directory, { recursive: true }));

  function begin(script: string, more: Partial<Order> = {}) {
    const ended = Promise.withResolvers<SupervisedEnd>();
    const grown = Promise.withResolvers<SupervisedAttempt>();
    const supervision = new Supervision({
      runner: new OsRunner(),
      spool,
      census,
      clock,
      journal: { begun: () => undefined, ended: () => undefined },
      drawMark: () => `test-${process.pid}-${++count}`,
    });
    supervision.listen({
      started: () => undefined,
      output: (attempt) => grown.resolve(attempt),
      ended: ({ end }) => ended.resolve(end as SupervisedEnd),
    });
    supervision.begin({
      name: 'job/1/1',
      note: null,
      outputKey: KEY,
      holdUntilBootMs: clock.bootMs() + 60_000,
      timeoutMs: null,
      graceMs: 200,
      maxOutputBytes: 64 * 1024 * 1024,
      captureStderr: true,
      command: script,
      args: [],
      env: ENV,
      shell: true,
      ...more,
    });
    const mark = `test-${process.pid}-${count}`;
    return { supervision, mark, ended: ended.promise, wrote: grown.promise };
  }

  const left = (mark: string) => (census.take() ?? []).filter((seen) => seen.marks.includes(mark));

  it('tells what it wrote, and keeps all of it in the order in which it came', async () => {
    const { ended } = begin('echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three');
    const { exit, endedBy, output, survivors } = await ended;
    assert.deepEqual([exit.exitCode, endedBy, survivors], [0, 'itself', []]);
    assert.deepEqual([output.stdout, output.stderr], ['one\nthree\n', 'two\n']);
    assert.equal(readFileSync(join(directory, 'outputs', NAME), 'utf8'), 'one\ntwo\nthree\n');
    const page = await spool.read(KEY, 2, 100);
    assert.deepEqual(
      page?.chunks.map(({ stream, offset, data }) => [stream, offset, Buffer.from(data).toString()]),
      [
        ['stdout', 2, 'e\n'],
        ['stderr', 4, 'two\n'],
        ['stdout', 8, 'three\n'],
      ],
    );
  });

  for (const [what, script] of [
    ['ignores SIGTERM', 'trap "" TERM; sleep 1000 & echo up; sleep 1000; true'],
    [
      'has a grandchild in a session of its own that ignores SIGTERM',
      "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' & echo up; sleep 1000",
    ],
    [
      'has a child that cleaned its environment and left the group',
      'env -i setsid sleep 1000 & echo up; sleep 1000; true',
    ],
  ] as const) {
    it(`that ${what} is gone, all of it, when it was stopped`, async () => {
      const { supervision, mark, ended, wrote } = begin(script);
      const pid = (await wrote).pid as number;
      const belonging = { mark, leaderPid: pid, isLeaderAlive: true, known: new Set<string>() };
      const family = () => processesOf(belonging, census.take() ?? []);
      while (family().length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
      const before = family();
      supervision.stop('job/1/1', 100);
      const { endedBy, survivors } = await ended;
      assert.deepEqual([endedBy, survivors, left(mark)], ['stop', [], []]);
      const still = new Set((census.take() ?? []).map(({ pid: one, startTicks }) => `${one}/${startTicks}`));
      assert.deepEqual(
        before.filter((seen) => still.has(`${seen.pid}/${seen.startTicks}`)),
        [],
      );
    });
  }

  it('lets those who left the group use the grace as well', async () => {
    const trace = join(directory, 'cleaned');
    const polite = `trap "sleep 0.1; touch ${trace}; exit 0" TERM; echo up; while :; do sleep 0.02; done`;
    const { supervision, ended, wrote } = begin(`setsid sh -c '${polite}' & exec sleep 1000`);
    await wrote;
    supervision.stop('job/1/1', 10_000);
    assert.deepEqual((await ended).survivors, []);
    assert.ok(existsSync(trace));
  });

  it('is ended when its hold has passed, without grace, and by nobody else', async () => {
    const { mark, ended } = begin('trap "" TERM; setsid sleep 1000 & sleep 1000', {
      holdUntilBootMs: clock.bootMs() + 200,
      graceMs: 600_000,
    });
    assert.equal((await ended).endedBy, 'hold');
    assert.deepEqual(left(mark), []);
  });

  it('is ended by its time limit, with its grace', async () => {
    const { ended } = begin('trap "echo bye; exit 3" TERM; while :; do sleep 0.02; done', {
      timeoutMs: 150,
      graceMs: 10_000,
    });
    const { endedBy, exit, output } = await ended;
    assert.deepEqual([endedBy, exit.exitCode, output.stdout], ['timeout', 3, 'bye\n']);
  });

  it('goes on while its hold is renewed', async () => {
    const { supervision, ended } = begin('sleep 0.5; echo done', { holdUntilBootMs: clock.bootMs() + 200 });
    supervision.renew('job/1/1', clock.bootMs() + 60_000);
    const { endedBy, output } = await ended;
    assert.deepEqual([endedBy, output.stdout], ['itself', 'done\n']);
  });

  it('that cannot be started says so', async () => {
    const { exit } = await begin('no-such-program', { shell: false }).ended;
    assert.equal(exit.spawnError?.code, 'ENOENT');
  });

  it('keeps the whole of a long output, with a limit, and true totals', async () => {
    const { output } = await begin('head -c 3000000 /dev/zero; head -c 1000 /dev/zero >&2', {
      maxOutputBytes: 2_000_000,
    }).ended;
    assert.deepEqual([output.stdoutBytes, output.stderrBytes, output.truncated], [3_000_000, 1_000, true]);
    assert.equal(readFileSync(join(directory, 'outputs', NAME)).length, 2_000_000);
  });
});

describe('the processes of an attempt', () => {
  const seen = (pid: number, more: Partial<SeenProcess> = {}): SeenProcess => ({
    pid,
    parentPid: 1,
    groupId: pid,
    sessionId: pid,
    startTicks: pid * 10,
    command: 'some',
    marks: [],
    ...more,
  });
  const belonging = { mark: 'm', leaderPid: 10, isLeaderAlive: true, known: new Set<string>() };
  const pidsOf = (own: Partial<typeof belonging>, ...all: SeenProcess[]) =>
    processesOf({ ...belonging, ...own }, all)
      .map(({ pid }) => pid)
      .sort((a, b) => a - b);

  it('are those with its mark, of its group and session, and their descendants', () => {
    const all = [
      seen(10),
      seen(11, { groupId: 10, sessionId: 10 }),
      seen(12, { marks: ['m'] }),
      seen(13, { parentPid: 12 }),
      seen(14, { parentPid: 13 }),
      seen(15, { marks: ['other'] }),
      seen(16),
    ];
    assert.deepEqual(pidsOf({}, ...all), [10, 11, 12, 13, 14]);
  });

  it('are not those of a group whose number was used again after its leader had gone', () => {
    assert.deepEqual(pidsOf({ isLeaderAlive: false }, seen(10), seen(11, { groupId: 10 })), []);
  });

  it('are not another process under a number that was seen before', () => {
    const known = new Set(['20/200']);
    assert.deepEqual(pidsOf({ isLeaderAlive: false, known }, seen(20)), [20]);
    assert.deepEqual(pidsOf({ isLeaderAlive: false, known }, seen(20, { startTicks: 7 })), []);
  });
});
