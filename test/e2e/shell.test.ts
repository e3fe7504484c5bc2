import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, isAlive, type Job, PROGRAM, type ShellResult, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';
import { environmentOf } from './harness/program.ts';

describe('a shell job', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agent: Agent;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agent = cluster.add('a');
    await agent.up();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const shell = async (payload: object, spec: object = {}): Promise<string> =>
    (await agent.submit({ type: 'shell', payload, retry: { maxAttempts: 1 }, ...spec })).id;
  const script = (text: string, spec: object = {}): Promise<string> =>
    shell({ command: 'sh', args: ['-c', text] }, spec);
  const resultOf = (job: Job): ShellResult => job.result as ShellResult;

  it('keeps its output when it fails', async () => {
    const job = await agent.waitForJob(await script('echo out; echo err >&2; exit 9'));
    assert.equal(job.state, 'dead');
    const { exitCode, stdout, stderr } = resultOf(job);
    assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 9, stdout: 'out\n', stderr: 'err\n' });
  });

  it('is a program with arguments, not a line for a shell', async () => {
    const job = await agent.waitForJob(await shell({ command: 'echo', args: ['$HOME', '; exit 1', '*'] }));
    assert.equal(resultOf(job).stdout, '$HOME ; exit 1 *\n');
  });

  it('sees its own variables and those it was given, and not those of the agent', async () => {
    const job = await agent.waitForJob(await shell({ command: 'env', env: { COLOR: 'green' } }));
    const names = new Map(
      resultOf(job)
        .stdout.trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    assert.equal(names.get('COLOR'), 'green');
    assert.equal(names.get('ASPEN_JOB_ID'), job.id);
    assert.equal(names.get('ASPEN_ATTEMPT'), '1');
    assert.equal(names.get('ASPEN_NODE'), agent.peerId);
    assert.equal(names.get('ASPEN_FENCING_TOKEN'), String(job.fencingToken));
    for (const secret of ['E2E_SECRET', 'ASPEN_E2E_CLUSTER', 'ASPEN_LISTEN', 'ASPEN_DATA_DIR']) {
      assert.ok(!names.has(secret), `${secret} was inherited`);
    }
  });

  it('reads what it was given on standard input, and its end', async () => {
    const job = await agent.waitForJob(await shell({ command: 'wc', args: ['-c'], stdin: 'twelve bytes' }));
    assert.equal(resultOf(job).stdout.trim(), '12');
    const without = await agent.waitForJob(await shell({ command: 'cat' }));
    assert.deepEqual([without.state, resultOf(without).stdout], ['succeeded', '']);
  });

  it('runs in the directory it was given', async () => {
    const job = await agent.waitForJob(await shell({ command: 'pwd', cwd: '/usr' }));
    assert.equal(resultOf(job).stdout, '/usr\n');
  });

  it('that cannot be started fails with the name of the program', async () => {
    const job = await agent.waitForJob(await shell({ command: 'no-such-program-anywhere' }));
    assert.equal(job.state, 'dead');
    assert.match(JSON.stringify(job), /no-such-program-anywhere/);
    assert.ok(job.error !== null);
  });

  it('that runs too long is ended with all its descendants, and keeps its output', async () => {
    const pids = join(cluster.directory, 'timeout.pids');
    const id = await script(family(pids), { timeoutMs: 1_500 });
    const job = await agent.waitForJob(id);
    assert.equal(job.state, 'dead');
    assert.equal(resultOf(job).stdout, 'started\n');
    await allGone(pids);
  });

  it('that is cancelled is ended with all its descendants', async () => {
    const pids = join(cluster.directory, 'cancel.pids');
    const id = await script(family(pids));
    await until(() => pidsIn(pids).length === 3, { what: 'the family to be there' });
    const cancelled = await agent.cli(['job', 'cancel', id]);
    assert.equal(cancelled.code, 0, cancelled.stderr);
    assert.equal((await agent.waitForJob(id)).state, 'cancelled');
    await allGone(pids);
  });

  it('that ignores the polite signal is ended by the other one', async () => {
    const pids = join(cluster.directory, 'stubborn.pids');
    const text = `trap '' TERM; echo $$ > ${pids}; echo $$ >> ${pids}; echo $$ >> ${pids}; while :; do sleep 0.2; done`;
    const id = await shell({ command: 'sh', args: ['-c', text], graceMs: 500 });
    await until(() => pidsIn(pids).length === 3, { what: 'the stubborn one to be there' });
    await agent.call('job.cancel', { id, reason: 'enough' });
    assert.equal((await agent.waitForJob(id)).state, 'cancelled');
    await allGone(pids);
  });

  it('that is waiting for a slot or a time is cancelled before it ran', async () => {
    const id = await script('echo never', { delayMs: 600_000 });
    await agent.call('job.cancel', { id });
    const job = await agent.waitForJob(id);
    assert.deepEqual([job.state, job.startedAt ?? null], ['cancelled', null]);
  });

  it('ended by a signal gives run the exit code 128 and the number of the signal', async () => {
    const ran = await agent.cli(['run', '--', 'sh', '-c', 'echo last words; kill -TERM $$']);
    assert.deepEqual([ran.code, ran.stdout], [128 + 15, 'last words\n'], ran.stderr);
  });

  it('is cancelled when nobody reads its output any more, as a pipe would end it', async () => {
    const loop = 'while :; do echo y; sleep 0.1; done';
    const line = `set -o pipefail; "$0" run --data-dir "$1" -- sh -c '${loop}' 2>"$2" | head -1`;
    const told = join(cluster.directory, 'told');
    const { status, stdout } = spawnSync('bash', ['-c', line, PROGRAM, agent.dataDir, told], {
      env: environmentOf(),
      encoding: 'utf8',
    });
    assert.equal(stdout, 'y\n');
    assert.notEqual(status, 0);
    const [, id = ''] = /cancelling (job_\w+): nobody reads/.exec(readFileSync(told, 'utf8')) ?? [];
    assert.equal((await agent.waitForJob(id)).state, 'cancelled');
  });

  it('is cancelled likewise when nobody reads what is said of it either', async () => {
    const line = `"$0" run --data-dir "$1" -- sh -c 'while :; do echo y; sleep 0.1; done' 2>&1 | head -1`;
    spawnSync('bash', ['-c', line, PROGRAM, agent.dataDir], { env: environmentOf() });
    const { jobs } = await agent.call<{ jobs: Job[] }>('job.list', { limit: 1 });
    assert.equal((await agent.waitForJob((jobs[0] as Job).id)).state, 'cancelled');
  });

  it('runs once by default, and as often as it may with --retry', async () => {
    const runs = join(cluster.directory, 'runs');
    const text = `echo run >> ${runs}; [ $(wc -l < ${runs}) -ge 3 ] && echo third`;
    const once = await agent.cli(['run', '--', 'sh', '-c', text]);
    assert.equal(once.code, 1, once.stderr);
    const again = await agent.cli(['run', '--retry', '3', '--', 'sh', '-c', text]);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /third\n$/);
    assert.equal(readFileSync(runs, 'utf8'), 'run\nrun\nrun\n');
  });

  it('that fails is tried again until its attempts are used up, each with a greater fencing token', async () => {
    const tokens = join(cluster.directory, 'tokens');
    const id = await script(`echo $ASPEN_ATTEMPT $ASPEN_FENCING_TOKEN >> ${tokens}; exit 1`, {
      retry: { maxAttempts: 3, backoff: 'none' },
    });
    const job = await agent.waitForJob(id);
    assert.deepEqual([job.state, job.attempt], ['dead', 3]);
    const seen = readFileSync(tokens, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
    assert.deepEqual(
      seen.map(([attempt]) => attempt),
      [1, 2, 3],
    );
    const values = seen.map(([, token]) => token as number);
    assert.ok(
      values.every((token, index) => index === 0 || token > (values[index - 1] as number)),
      values.join(),
    );
  });

  it('with more output than a record holds keeps head and tail and says that it was cut', async () => {
    const job = await agent.waitForJob(await script('echo first; seq 1 400000; echo last'));
    assert.equal(job.state, 'succeeded');
    const { stdout, truncated } = resultOf(job);
    assert.equal(truncated, true);
    assert.match(stdout, /^first\n/);
    assert.match(stdout, /last\n$/);
  });

  it('is not held up by a grandchild that keeps its output open', async () => {
    const pids = join(cluster.directory, 'daemon.pids');
    const job = await agent.waitForJob(await script(`sleep 300 & echo $! > ${pids}; echo done`));
    assert.deepEqual([job.state, resultOf(job).stdout], ['succeeded', 'done\n']);
    await until(() => pidsIn(pids).every((pid) => !isAlive(pid)), { what: 'the grandchild to be gone' });
  });
});

/** A shell, its child and its grandchild, each of which writes its process id. */
function family(pids: string): string {
  const grandchild = `echo $$ >> ${pids}; exec sleep 300`;
  const child = `echo $$ >> ${pids}; sh -c '${grandchild}' & wait`;
  return `echo started; echo $$ > ${pids}; sh -c "${child.replaceAll('$$', '\\$\\$')}" & wait`;
}

function pidsIn(file: string): number[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map(Number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function allGone(pids: string): Promise<void> {
  assert.equal(pidsIn(pids).length, 3, 'the whole family was there');
  await until(() => pidsIn(pids).every((pid) => !isAlive(pid)), { what: 'the whole family to be gone' });
}
