import assert from 'node:assert/strict';
import { AspenError, type PeerId } from '../../../../src/base/index.ts';
import { OsClock } from '../../../../src/base/os-clock.ts';
import type { OutputSource, StopReason } from '../../../../src/jobs/execution/executor.ts';
import type { OutputKeeper } from '../../../../src/jobs/execution/output-keeper.ts';
import { ShellExecutor, type ShellResult } from '../../../../src/jobs/execution/shell-executor.ts';
import { parseShellPayload } from '../../../../src/jobs/execution/shell-payload.ts';
import { MemorySupervisor } from '../../../../src/supervisor/index.ts';
import { OsRunner } from '../../../../src/supervisor/os-runner.ts';

const agentEnv = { PATH: process.env['PATH'], LC_ALL: 'C', SECRET: 'of the agent' };
const clock = new OsClock();
const supervisor = new MemorySupervisor({ runner: new OsRunner(), clock }).open(clock);
/** What was to be kept whole: streams, and how many bytes could be read. */
const asked: [readonly string[], number][] = [];
const outputs: OutputKeeper = {
  keep: async (_, source, streams) => {
    asked.push([streams, (await source.readOutput(0, 10_000_000)).nextOffset]);
    return { stdoutBlob: 'blob' };
  },
};
const executor = new ShellExecutor({ supervisor, clock, agentEnv, outputs });

let count = 0;

async function execute(payload: unknown, stopAtFirstOutput?: StopReason) {
  const stop = new AbortController();
  let source: OutputSource | undefined;
  count += 1;
  const outcome = await executor.execute({
    jobId: `job_${count}`,
    attempt: 2,
    fencingToken: 77,
    node: 'node-a' as PeerId,
    payload,
    traceparent: null,
    signal: stop.signal,
    output: {
      write: () => assert.fail('its supervisor keeps it'),
      attach: (given) => {
        source = given;
        given.onOutput(() => {
          if (stopAtFirstOutput !== undefined) stop.abort(stopAtFirstOutput);
        });
      },
    },
    progress: () => undefined,
  });
  const passedOn = { stdout: 0, stderr: 0 };
  for (const { stream, data } of (await source?.readOutput(0, 10_000_000))?.chunks ?? [])
    passedOn[stream] += data.length;
  return { outcome, passedOn, result: outcome.result as ShellResult };
}

const sh = (command: string, more: object = {}) => ({ command, shell: true, ...more });

describe('shell executor', () => {
  it('succeeds with what the command wrote', async () => {
    const { outcome, result } = await execute({ command: 'cat', stdin: 'grüße\n' });
    assert.equal(outcome.ok, true);
    const { durationMs, ...facts } = result;
    assert.ok(durationMs >= 0);
    assert.deepEqual(facts, {
      exitCode: 0,
      signal: null,
      stdout: 'grüße\n',
      stderr: '',
      stdoutBytes: 8,
      stderrBytes: 0,
      truncated: false,
    });
  });

  it('fails with the exit code and keeps the output', async () => {
    const { outcome, result } = await execute(sh('echo out; echo why >&2; exit 3'));
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.code, 'EXIT_CODE');
    assert.equal(outcome.error.exitCode, 3);
    assert.match(outcome.error.message, /exited with 3$/);
    assert.deepEqual([result.stdout, result.stderr], ['out\n', 'why\n']);
  });

  it('tells signals and programs that cannot be started apart', async () => {
    const ended = (await execute(sh('kill -9 $$'))).outcome;
    assert.ok(!ended.ok && ended.error.code === 'SIGNAL');
    const missing = (await execute({ command: 'no-such-program' })).outcome;
    assert.ok(!missing.ok);
    assert.deepEqual(
      [missing.error.code, missing.error.retryable, missing.error.exitCode],
      ['SPAWN_FAILED', false, 127],
    );
    const forbidden = (await execute({ command: '/etc/passwd' })).outcome;
    assert.ok(!forbidden.ok && forbidden.error.exitCode === 126);
  });

  for (const [reason, code] of [
    ['cancelled', 'CANCELLED'],
    ['timeout', 'TIMEOUT'],
    ['lost', 'LOST'],
    ['shutdown', 'LOST'],
  ] as const) {
    it(`ends the process when the attempt is stopped as ${reason}, and keeps the output`, async () => {
      const { outcome, result } = await execute(sh('echo begun; exec sleep 60'), reason);
      assert.ok(!outcome.ok);
      assert.equal(outcome.error.code, code);
      assert.deepEqual([result.stdout, result.signal], ['begun\n', 'SIGTERM']);
    });
  }

  it('kills at once what is lost, however long a grace the job asked for (X2)', async () => {
    const stubborn = sh('trap "" TERM; echo begun; while :; do sleep 0.05; done', { graceMs: 600_000 });
    const { outcome, result } = await execute(stubborn, 'lost');
    assert.ok(!outcome.ok && outcome.error.code === 'LOST');
    assert.equal(result.signal, 'SIGKILL');
  });

  it("passes on a part of the agent's environment, the job's, and what names the attempt", async () => {
    const { result } = await execute({ command: 'env', env: { MINE: '1', ASPEN_JOB_ID: 'forged' } });
    const lines = result.stdout.split('\n');
    for (const line of [
      'LC_ALL=C',
      'MINE=1',
      `ASPEN_JOB_ID=job_${count}`,
      'ASPEN_ATTEMPT=2',
      'ASPEN_FENCING_TOKEN=77',
      'ASPEN_NODE=node-a',
    ])
      assert.ok(lines.includes(line), line);
    assert.ok(!result.stdout.includes('SECRET'));
  });

  it('keeps head and tail of a long output, cut between characters', async () => {
    const { result, passedOn } = await execute(sh("yes 'äöü€😀' | head -c 1000000"));
    assert.equal(result.truncated, true);
    assert.equal(result.stdoutBytes, 1_000_000);
    assert.equal(passedOn.stdout, 1_000_000);
    assert.match(result.stdout, /\n\.\.\. \d+ bytes left out \.\.\.\n/);
    assert.ok(!result.stdout.slice(0, -8).includes('\uFFFD'));
    const leftOut = Number(/\.\.\. (\d+) bytes left out/.exec(result.stdout)?.[1]);
    const kept = Buffer.byteLength(
      result.stdout.replace(/\n\.\.\. \d+ bytes left out \.\.\.\n/, '').slice(0, -8),
    );
    assert.ok(Math.abs(1_000_000 - leftOut - kept) < 40);
  });

  it('names the blob that has all of a long output, also of a command that fails (O5)', async () => {
    asked.length = 0;
    const { outcome, result } = await execute(sh('head -c 200000 /dev/zero; echo no >&2; exit 1'));
    assert.equal(outcome.ok, false);
    assert.equal(result.stdoutBlob, 'blob');
    assert.deepEqual(asked, [[['stdout'], 200_003]]);
    assert.equal('stdoutBlob' in (await execute(sh('head -c 100000 /dev/zero'))).result, false);
    assert.equal(asked.length, 1);
  });

  it('counts what goes beyond the limit, and drops it', async () => {
    const { result, passedOn } = await execute(sh('head -c 5000 /dev/zero', { maxOutputBytes: 1_000 }));
    assert.deepEqual([result.stdoutBytes, passedOn.stdout, result.truncated], [5_000, 1_000, true]);
  });

  it('gives bytes that are no text to standard input as they are', async () => {
    const stdinBase64 = Buffer.from([0, 255, 10, 128]).toString('base64');
    const { result } = await execute({ command: 'od', args: ['-An', '-tx1'], stdinBase64 });
    assert.equal(result.stdout.trim(), '00 ff 0a 80');
  });

  it('refuses a payload by naming what does not fit', () => {
    const refusals: [unknown, string][] = [
      [null, 'payload'],
      [{}, 'payload.command'],
      [{ command: 'x', comand: 1 }, 'payload.comand'],
      [{ command: 'x', limits: { memory: 1 } }, 'payload.limits.memory'],
      [{ command: 'x', limits: { pids: 0 } }, 'payload.limits.pids'],
      [{ command: 'x', sandbox: 'jail' }, 'payload.sandbox'],
      [{ command: 'x', args: [1] }, 'payload.args.0'],
      [{ command: 'x', env: { 'A=B': '1' } }, 'payload.env.A=B'],
      [{ command: 'x\0' }, 'payload.command'],
      [{ command: 'x', stdinBase64: '?' }, 'payload.stdinBase64'],
      [{ command: 'x', stdin: 'a', stdinBase64: 'YQ==' }, 'payload.stdinBase64'],
    ];
    for (const [payload, path] of refusals) {
      assert.throws(
        () => parseShellPayload(payload),
        (error) => {
          assert.ok(error instanceof AspenError && error.code === 'INVALID_PARAMS');
          assert.deepEqual(
            error.details.issues?.map((issue) => issue.path),
            [path],
          );
          return true;
        },
      );
    }
  });
});
