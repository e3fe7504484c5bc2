import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';
import {
  type Agent,
  Cluster,
  isAlive,
  type Job,
  processesWith,
  type ShellResult,
  signalProcess,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
}

/** Nobody that anything on a machine belongs to. */
const NOBODY = { uid: 65_534, gid: 65_534 };
const IS_ROOT = getuid?.() === 0;

describe('an agent that is not root', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agent: Agent;
  let findings: readonly Finding[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agent = cluster.add('a', IS_ROOT ? { user: NOBODY } : {});
    await agent.up();
    findings = (await agent.cliJson<{ findings: readonly Finding[] }>(['doctor'])).findings;
  });
  after(() => cluster[Symbol.asyncDispose]());

  const finding = (name: string) => findings.find((one) => one.name === name);
  const works = (name: string) => finding(name)?.status === 'ok';
  const submit = async (payload: object, spec: object = {}): Promise<string> =>
    (await agent.submit({ type: 'shell', payload, retry: { maxAttempts: 1 }, ...spec })).id;
  const ended = async (payload: object, spec: object = {}): Promise<Job> =>
    agent.waitForJob(await submit(payload, spec));
  const sh = (text: string, more: object = {}) => ({ command: 'sh', args: ['-c', text], ...more });
  const stdoutOf = ({ result }: Job) => (result as ShellResult).stdout.trim();

  it('runs jobs as who it is, and says in doctor what holds them', async () => {
    const job = await ended(sh('id -u; id -g; pwd'));
    const uid = IS_ROOT ? NOBODY.uid : getuid?.();
    assert.deepEqual(
      [job.state, stdoutOf(job).split('\n')[0]],
      ['succeeded', String(uid)],
      JSON.stringify(job),
    );
    for (const name of ['sandbox.bwrap', 'sandbox.data-directory', 'limits.memory', 'limits.processes'])
      assert.match(finding(name)?.detail ?? '', /\w/, name);
  });

  it('keeps its own files from jobs where doctor says so, also from one that wants to undo it', async () => {
    if (!works('sandbox.data-directory')) return;
    const before = readdirSync(agent.dataDir).sort();
    const dir = agent.dataDir;
    const tricks = `umount ${dir}; unshare -Urm umount ${dir}; ls -A /proc/${agent.pid}/cwd/ /proc/${agent.pid}/root${dir}`;
    const job = await ended(sh(`ls -A ${dir}; ${tricks}; echo x >${dir}/x; rm -rf ${dir}/*; ls -A ${dir}`));
    assert.equal(stdoutOf(job), '', JSON.stringify(job.result));
    assert.match((job.result as ShellResult).stderr, /Read-only file system/);
    assert.deepEqual(
      before.filter((name) => !existsSync(join(dir, name))),
      [],
    );
    assert.equal(existsSync(join(dir, 'x')), false);
  });

  it('ends whole trees that ignore SIGTERM and left their group, on timeout and on cancel', async () => {
    const stubborn = (more: object) =>
      sh("trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1017' & echo up; sleep 1017", {
        graceMs: 200,
        ...more,
      });
    for (const more of works('sandbox.bwrap') ? [{}, { sandbox: 'bwrap' }] : [{}]) {
      const late = await ended(stubborn(more), { timeoutMs: 1_000 });
      assert.equal(late.error?.code, 'TIMEOUT', JSON.stringify(late.error));
      assert.deepEqual(processesWith(`ASPEN_JOB_ID=${late.id}`), []);
      const id = await submit(stubborn(more));
      await until(() => processesWith(`ASPEN_JOB_ID=${id}`).length >= 3, { what: 'the tree' });
      await agent.call('job.cancel', { id });
      assert.equal((await agent.waitForJob(id)).state, 'cancelled');
      assert.deepEqual(processesWith(`ASPEN_JOB_ID=${id}`), []);
    }
  });

  it('ends what left its session, cleaned its environment and lost its parents, where it hides its own files from jobs', async () => {
    if (!works('sandbox.data-directory')) return;
    const lost = '(env -i setsid sh -c \'trap "" TERM; echo $$; sleep 1018; sleep 1018\' &)';
    const begun = async (spec: object = {}) => {
      const id = await submit(sh(`${lost}; exec sleep 1018`, { graceMs: 100 }), spec);
      let pid = 0;
      await until(
        async () => {
          pid = Number((await agent.cli(['job', 'logs', id])).stdout);
          return pid > 0;
        },
        { what: 'the process that is lost' },
      );
      return { id, pid };
    };
    const late = await begun({ timeoutMs: 5_000 });
    assert.equal((await agent.waitForJob(late.id)).error?.code, 'TIMEOUT');
    assert.equal(isAlive(late.pid), false);
    const cancelled = await begun();
    assert.ok(isAlive(cancelled.pid));
    await agent.call('job.cancel', { id: cancelled.id });
    assert.equal((await agent.waitForJob(cancelled.id)).state, 'cancelled');
    assert.equal(isAlive(cancelled.pid), false);
    const orphaned = await begun({ offline: { holdMs: 60_000 } });
    const [supervisorPid = 0] = processesWith(`ASPEN_JOB_ID=${orphaned.id}`).map(parentOf);
    signalProcess(supervisorPid, 'SIGKILL');
    await until(() => !isAlive(orphaned.pid), { what: 'the agent to end what its supervisor left' });
    await agent.call('job.cancel', { id: orphaned.id }); // it runs again
    assert.equal((await agent.waitForJob(orphaned.id)).state, 'cancelled');
  });

  it('stops what is over its limits by the layer that doctor names, and refuses what nothing holds', async () => {
    const file = `/tmp/aspen-unprivileged-${process.pid}`;
    const big = await ended({
      command: 'truncate',
      args: ['-s', '1T', file],
      limits: { fileBytes: 2 ** 20 },
    });
    rmSync(file, { force: true });
    assert.match(big.error?.message ?? '', /prlimit: file size 1 MiB/);
    const cpu = await ended(sh('while :; do :; done', { limits: { cpuSeconds: 1 } }));
    assert.equal(cpu.error?.code, 'LIMIT_EXCEEDED', JSON.stringify(cpu.error));
    const hog = await ended(
      sh('head -c 200M /dev/zero | tail -c 150M | wc -c', { limits: { memoryBytes: 64 * 2 ** 20 } }),
    );
    assert.notEqual(stdoutOf(hog), String(150 * 1024 * 1024));
    if (works('limits.processes') || !works('sandbox.bwrap')) return;
    const bomb = await ended(
      sh('bomb() { bomb | bomb & }; bomb; sleep 0.3', { sandbox: 'bwrap', limits: { pids: 32 } }),
    );
    assert.match(JSON.stringify(bomb), /LIMIT_EXCEEDED|fork/i);
  });

  it('goes on with its jobs when it is killed and started again', async () => {
    const file = join(cluster.directory, 'go');
    const id = await submit(sh(`echo begun; while [ ! -e ${file} ]; do sleep 0.1; done; echo done`), {
      offline: { holdMs: 60_000 },
    });
    await until(() => processesWith(`ASPEN_JOB_ID=${id}`).length > 0, { what: 'the job to run' });
    const [pid = 0] = processesWith(`ASPEN_JOB_ID=${id}`);
    await agent.kill9();
    await agent.up();
    assert.ok(isAlive(pid));
    writeFileSync(file, '');
    const job = await agent.waitForJob(id);
    assert.deepEqual([job.state, job.attempt, stdoutOf(job)], ['succeeded', 1, 'begun\ndone']);
  });

  it('gives secrets to jobs, as variable and as file, and keeps them from its own files', async () => {
    const set = await agent.cli(['secret', 'set', 'token'], { stdin: 'a-value-of-some-length' });
    assert.equal(set.code, 0, set.stderr);
    const payload = sh('printf %s "$T" | wc -c; wc -c <"$ASPEN_SECRETS_DIR/t"', {
      env: { T: 'secret://token' },
      secretFiles: { t: 'secret://token' },
    });
    for (const more of works('sandbox.bwrap') ? [{}, { sandbox: 'bwrap' }] : [{}]) {
      const job = await ended({ ...payload, ...more });
      assert.equal(stdoutOf(job).replaceAll(/\s+/g, ' '), '22 22', JSON.stringify(job));
    }
  });

  it('has nothing to say about another user: shell.user needs root', async () => {
    if (!IS_ROOT) return;
    const other = cluster.add('b', { user: NOBODY });
    writeFileSync(join(other.dataDir, 'aspen.yaml'), 'shell: {user: nobody}\n', { mode: 0o644 });
    await other.up();
    const { findings: told } = await other
      .cliJson<{ findings: readonly Finding[] }>(['doctor'])
      .catch(() => ({ findings: [] }));
    const { id } = await other.submit({
      type: 'shell',
      payload: { command: 'true' },
      retry: { maxAttempts: 1 },
    });
    const job = await other.waitForJob(id);
    assert.equal(job.error?.code, 'DENIED', JSON.stringify({ job, told }));
    assert.match(job.error?.message ?? '', /shell\.user: needs an agent that is root/);
  });
});

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
