import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, type Job, type ShellResult, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly mend: string | null;
}

/** Unlike what any other test waits for. Unit: s. */
const NAP = '1018.5';

describe('what the owner of a node says about jobs', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agent: Agent;
  let work: string;
  let findings: readonly Finding[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    work = realpathSync(mkdtempSync('/var/tmp/aspen-e2e-work-'));
    symlinkSync('/etc', join(work, 'way-out'));
    agent = cluster.add('a');
    mkdirSync(agent.dataDir, { mode: 0o700 });
    writeFileSync(
      join(agent.dataDir, 'aspen.yaml'),
      [
        'shell:',
        '  commands: [sh, echo, sleep, truncate, head, tail]',
        `  directories: [${work}, /usr]`,
        'limits: {fileSize: 1GiB}',
        'maximums: {processes: 500}',
        `sandbox: {writable: [${work}]}`,
      ].join('\n'),
    );
    await agent.up();
    findings = (await agent.cliJson<{ findings: readonly Finding[] }>(['doctor'])).findings;
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    rmSync(work, { recursive: true });
  });

  const finding = (name: string) => findings.find((one) => one.name === name);
  /** The layer that doctor names; undefined where it says that there is none. */
  const holderOf = (limit: string) =>
    /^(cgroup|prlimit) holds it/.exec(finding(`limits.${limit}`)?.detail ?? '')?.[1];
  const hasSandbox = () => finding('sandbox.bwrap')?.status === 'ok';
  const submit = async (payload: object, spec: object = {}): Promise<string> =>
    (await agent.submit({ type: 'shell', payload, retry: { maxAttempts: 1 }, ...spec })).id;
  const ended = async (payload: object, spec: object = {}): Promise<Job> =>
    agent.waitForJob(await submit(payload, spec));
  const script = (text: string, more: object = {}) => ({ command: 'sh', args: ['-c', text], ...more });

  it('is shown with where it comes from, and by doctor', async () => {
    const { config } = await agent.cliJson<{ config: { key: string; value: unknown; origin: string }[] }>([
      ...['config', 'show', '--origin'],
    ]);
    const shown = Object.fromEntries(config.map(({ key, ...rest }) => [key, rest]));
    assert.deepEqual(shown['limits.fileSize'], { value: 2 ** 30, unit: 'bytes', origin: 'file' });
    assert.deepEqual(shown['limits.memory'], { value: 'none', unit: 'bytes', origin: 'default' });
    assert.ok(
      findings.every(({ name, status, detail }) => name && ['ok', 'warn', 'fail'].includes(status) && detail),
    );
    assert.equal(finding('limits.files')?.status, 'ok');
  });

  it('keeps an agent from starting when it makes no sense, by the path of the file and the key that was meant', async () => {
    const other = cluster.add('b');
    mkdirSync(other.dataDir, { mode: 0o700 });
    writeFileSync(join(other.dataDir, 'aspen.yaml'), 'limits: {memry: 1GiB}\n');
    const { code, stderr } = await other.cli(['up']);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /aspen\.yaml: unknown key limits\.memry; did you mean limits\.memory\?/);
  });

  const refusals: readonly (readonly [string, () => object, RegExp])[] = [
    [
      'a command that is not on the list',
      () => ({ command: 'cat', args: ['/etc/passwd'] }),
      /cat.* is not on .*shell\.commands/,
    ],
    [
      'a directory by way of ..',
      () => ({ command: 'sh', cwd: `${work}/../..` }),
      /^cwd: .*shell\.directories/,
    ],
    [
      'a directory by way of a link',
      () => ({ command: 'sh', cwd: join(work, 'way-out') }),
      /^cwd: .*which is \/etc/,
    ],
    [
      'a library to be loaded first',
      () => ({ command: 'echo', env: { LD_PRELOAD: '/tmp/x.so' } }),
      /^env: LD_PRELOAD/,
    ],
    [
      'more processes than any job may have',
      () => ({ command: 'echo', limits: { pids: 501 } }),
      /^limits\.pids: .*500/,
    ],
  ];
  for (const [what, payload, says] of refusals)
    it(`refuses ${what}, and tells in the record`, async () => {
      const job = await ended(payload());
      assert.deepEqual([job.state, job.error?.code], ['dead', 'DENIED'], JSON.stringify(job.error));
      assert.match(job.error?.message ?? '', says);
    });

  it('refuses a network for a sandbox, and tells in the record', async () => {
    if (!hasSandbox()) return; // no node fits such a job then, see below
    const job = await ended({ command: 'echo', sandbox: 'bwrap', network: true });
    assert.equal(job.error?.code, 'DENIED', JSON.stringify(job.error));
    assert.match(job.error?.message ?? '', /^network: .*sandbox\.network/);
  });

  it('stops a file of 1 TB, a hog of memory and a bomb of forks by the layer that doctor names, beside a job that goes on', async () => {
    const beside = await submit({ command: 'sleep', args: ['8'] });
    const big = await ended(script(`truncate -s 1T ${work}/big`));
    assert.equal(big.error?.code, 'LIMIT_EXCEEDED', JSON.stringify(big.error));
    assert.match(big.error?.message ?? '', new RegExp(`${holderOf('files')}: file size 1 GiB`));

    const hog = `head -c ${256 * 2 ** 20} /dev/zero | tail -c ${200 * 2 ** 20} >/dev/null`;
    const memory = await ended(script(hog, { limits: { memoryBytes: 64 * 2 ** 20 } }));
    assert.equal(memory.state, 'dead');
    if (holderOf('memory') === 'cgroup')
      assert.match(memory.error?.message ?? '', /sh met its limit, cgroup: memory 64 MiB/);

    if (holderOf('processes') !== undefined) {
      const bomb = await ended(script('bomb() { bomb | bomb & }; bomb; sleep 0.3', { limits: { pids: 32 } }));
      assert.equal(bomb.error?.code, 'LIMIT_EXCEEDED', JSON.stringify(bomb.error));
      assert.match(bomb.error?.message ?? '', new RegExp(`${holderOf('processes')}: 32 processes`));
    }
    assert.equal((await agent.waitForJob(beside)).state, 'succeeded');
    assert.equal(agent.isRunning, true);
  });

  it("gives a job in a sandbox nothing of the agent's own files", async () => {
    if (!hasSandbox()) return; // no node fits such a job then, see below
    const before = readdirSync(agent.dataDir).sort();
    const job = await ended(
      script(
        `ls -A ${agent.dataDir}; echo x >${agent.dataDir}/x; rm -rf ${agent.dataDir}/*; echo x >${work}/allowed`,
        { sandbox: 'bwrap' },
      ),
    );
    assert.deepEqual(
      [(job.result as ShellResult).stdout, job.state],
      ['', 'succeeded'],
      JSON.stringify(job.error),
    );
    assert.deepEqual(
      before.filter((name) => !existsSync(join(agent.dataDir, name))),
      [],
    );
    assert.equal(existsSync(join(agent.dataDir, 'x')), false);
    assert.equal(readFileSync(join(work, 'allowed'), 'utf8'), 'x\n');
  });

  it("gives a job outside of a sandbox nothing of the agent's own files where doctor says so, and none to start among", async () => {
    const { status, detail = '' } = finding('sandbox.data-directory') ?? {};
    if (status !== 'ok') return;
    assert.match(detail, /hides the agent's own files from jobs/);
    const before = readdirSync(agent.dataDir).sort();
    const job = await ended(script(`echo ${agent.dataDir}/*; echo x >${agent.dataDir}/x`));
    assert.equal((job.result as ShellResult).stdout, `${agent.dataDir}/*\n`);
    assert.match((job.result as ShellResult).stderr, /Read-only file system/);
    assert.equal(job.state, 'dead');
    assert.deepEqual(readdirSync(agent.dataDir).sort(), before);
  });

  it('says in explain what a job waits for that needs what no node has', async () => {
    const id = await submit(
      { command: 'echo', sandbox: 'bwrap' },
      { affinity: { avoid: { 'aspen/sandbox.bwrap': 'true' } } },
    );
    const { nodes } = await agent.cliJson<{ nodes: { reasons: string[] }[] }>(['job', 'explain', id]);
    assert.match(nodes[0]?.reasons.join() ?? '', /label aspen\/sandbox\.bwrap/);
    await agent.call('job.cancel', { id });
  });

  const sleepers = () =>
    readdirSync('/proc').filter((pid) => {
      const path = `/proc/${pid}/cmdline`;
      return /^\d+$/.test(pid) && existsSync(path) && textOf(path).includes(`sleep\0${NAP}`);
    });
  const stubborn = (more: object) =>
    script(`trap '' TERM; env -i setsid sh -c 'trap "" TERM; sleep ${NAP}' & echo up; sleep ${NAP}`, {
      graceMs: 200,
      ...more,
    });

  it('ends all of a tree that ignores SIGTERM and left its group, on timeout and on cancel', async () => {
    const sandboxed = hasSandbox() ? { sandbox: 'bwrap' } : {};
    for (let round = 0; round < 2; round += 1) {
      const late = await ended(stubborn(sandboxed), { timeoutMs: 1_000 });
      assert.equal(late.error?.code, 'TIMEOUT', JSON.stringify(late.error));
      assert.deepEqual(sleepers(), []);
      const id = await submit(stubborn(sandboxed));
      await until(() => sleepers().length >= 2, { what: 'the sleepers' });
      await agent.call('job.cancel', { id });
      assert.equal((await agent.waitForJob(id)).state, 'cancelled');
      assert.deepEqual(sleepers(), []);
    }
  });
});

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    assert.ok(error instanceof Error, 'it ended while it was looked at');
    return '';
  }
}
