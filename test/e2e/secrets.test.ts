import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesWith, formsOf } from './harness/files.ts';
import { type Agent, Cluster, type Job, type ShellResult, until } from './harness/index.ts';
import { countInMemory } from './harness/memory-scan.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Listed {
  readonly name: string;
  readonly version: number;
  readonly grants: readonly { readonly peerId: string }[];
  readonly exposedTo: readonly string[];
}

describe('secrets', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let [first, reader, third]: [Agent, Agent, Agent] = [] as unknown as [Agent, Agent, Agent];
  reportFailures(() => cluster);

  const value = `v4lue-${randomBytes(12).toString('hex')}`;
  const fileValue = `-----BEGIN-----\nl1ne-${randomBytes(12).toString('hex')}\n-----END-----\n`;
  const fileLine = fileValue.split('\n')[1] as string;

  before(async () => {
    cluster = new Cluster();
    [first, reader, third] = (await cluster.mesh(['a', 'b', 'c'])) as [Agent, Agent, Agent];
  });
  after(() => cluster[Symbol.asyncDispose]());

  const shell = async (payload: object, spec: object = {}): Promise<Job> => {
    const { id } = await first.submit({ type: 'shell', payload, retry: { maxAttempts: 1 }, ...spec });
    return first.waitForJob(id);
  };
  const listed = async (name: string): Promise<Listed | undefined> =>
    (await third.cliJson<{ secrets: Listed[] }>(['secret', 'list'])).secrets.find((one) => one.name === name);
  const outputOf = (job: Job): string => (job.result as ShellResult).stdout;
  const hashOf = (variable: string) => `printf %s "$${variable}" | sha256sum | cut -d' ' -f1`;
  const sha256 = async (text: string) =>
    (await import('node:crypto')).createHash('sha256').update(text).digest('hex');

  it('are set on one machine for another, which alone may read them', async () => {
    await until(
      async () => {
        const { recipients } = await first.call<{ recipients: unknown[] }>('secret.recipients');
        return recipients.length === 3 || undefined;
      },
      { what: 'each node to know the keys of all' },
    );
    const set = await first.cli(['secret', 'set', 'db/password', '--grant', reader.peerId], {
      stdin: `${value}\n`,
    });
    assert.equal(set.code, 0, set.stderr);
    const file = join(cluster.directory, 'key.pem');
    writeFileSync(file, fileValue);
    assert.equal((await first.cli(['secret', 'set', 'tls-key', '--file', file, '--grant', 'b'])).code, 0);
    writeFileSync(file, '');
    assert.deepEqual(
      (await listed('db/password'))?.grants.map(({ peerId }) => peerId),
      [reader.peerId],
    );
  });

  it('reach a job as variable and as file, on a node that may read them, and are masked in its output', async () => {
    const script = `${hashOf('PASSWORD')}; cat $ASPEN_SECRETS_DIR/key.pem | sha256sum | cut -d' ' -f1
      echo "it is $PASSWORD"; cat $ASPEN_SECRETS_DIR/key.pem >&2; stat -c '%a %U' $ASPEN_SECRETS_DIR $ASPEN_SECRETS_DIR/key.pem
      echo $ASPEN_SECRETS_DIR`;
    const job = await shell({
      command: 'sh',
      args: ['-c', script],
      env: { PASSWORD: 'secret://db/password', PLAIN: 'x' },
      secretFiles: { 'key.pem': 'secret://tls-key' },
    });
    assert.deepEqual([job.state, job.node], ['succeeded', reader.peerId], JSON.stringify(job.error));
    const [hash, fileHash, said, directoryMode, fileMode, directory = ''] = outputOf(job).split('\n');
    assert.equal(hash, await sha256(value));
    assert.equal(fileHash, await sha256(fileValue));
    assert.equal(said, 'it is [secret]');
    assert.match(directoryMode ?? '', /^700 /);
    assert.match(fileMode ?? '', /^600 /);
    assert.ok(!(job.result as ShellResult).stderr.includes(fileLine));
    assert.throws(() => statSync(directory), /ENOENT/, 'the files are gone with the attempt');
  });

  it('are seen by explain, which names the nodes that may not read them', async () => {
    const { id } = await first.submit({
      type: 'shell',
      payload: { command: 'true', env: { A: 'secret://db/password' } },
      affinity: { node: { peerId: third.peerId, mode: 'require' } },
    });
    const { nodes } = await first.call<{ nodes: { peerId: string; reasons: string[] }[] }>('job.explain', {
      id,
    });
    const reasons = nodes.find(({ peerId }) => peerId === third.peerId)?.reasons ?? [];
    assert.ok(reasons.includes('may not read secret db/password'), reasons.join('; '));
    await first.call('job.cancel', { id });
  });

  it('that do not exist are refused when the job is submitted', async () => {
    const payload = { command: 'true', env: { A: 'secret://nobody-knows' } };
    await assert.rejects(shell(payload), /no secret "nobody-knows"/);
    await assert.rejects(shell({ command: 'true', env: { A: 'secret://../x' } }), /payload\.env\.A/);
  });

  it('are granted on by a machine that may read them, and by no other', async () => {
    const refused = await third.cli(['secret', 'grant', 'db/password', 'c']);
    assert.equal(refused.code, 7, refused.stderr);
    assert.match(refused.stderr, new RegExp(reader.peerId));
    assert.equal((await reader.cli(['secret', 'grant', 'db/password', 'a'])).code, 0);
    const job = await shell(
      { command: 'sh', args: ['-c', hashOf('P')], env: { P: 'secret://db/password' } },
      { affinity: { node: { peerId: first.peerId, mode: 'require' } } },
    );
    assert.equal(outputOf(job).trim(), await sha256(value));
  });

  it('are taken back, and named as known until they are changed', async () => {
    assert.equal((await third.cli(['secret', 'revoke', 'db/password', 'a'])).code, 0);
    assert.deepEqual((await listed('db/password'))?.exposedTo, [first.peerId]);
    assert.equal((await reader.cli(['secret', 'rotate', 'db/password', '--keep-value'])).code, 0);
    assert.deepEqual((await listed('db/password'))?.exposedTo, [first.peerId], 'it is the same value');
    const job = await shell({ command: 'sh', args: ['-c', hashOf('P')], env: { P: 'secret://db/password' } });
    assert.deepEqual([job.node, outputOf(job).trim()], [reader.peerId, await sha256(value)]);
  });

  it('are in clear in no file, no log, no backup, no command line and no memory of an agent', async () => {
    const marker = `m4rker-${randomBytes(12).toString('hex')}`;
    await first.call('kv.put', { key: 'marker', value: marker });
    const backup = join(cluster.directory, 'mesh.backup');
    assert.equal((await third.cli(['backup', backup])).code, 0);
    const { id } = await first.submit({
      type: 'shell',
      payload: { command: 'sh', args: ['-c', 'echo $P; sleep 600'], env: { P: 'secret://db/password' } },
    });
    await until(async () => (await first.call<Job>('job.get', { id })).state === 'running', {
      what: 'the job to run',
    });
    assert.deepEqual(filesWith([value, fileLine], cluster.directory), []);
    assert.ok(filesWith([marker], cluster.directory).length > 0, 'what is no secret is found');
    const texts = [value, fileLine].flatMap(formsOf);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const line = readProc(pid, 'cmdline');
      assert.ok(!texts.some((text) => line.includes(text)), `in the command line of ${pid}`);
    }
    for (const agent of [first, reader, third]) {
      const environment = readProc(String(agent.pid), 'environ');
      assert.ok(!texts.some((text) => environment.includes(text)), `in the environment of ${agent.name}`);
      assert.equal(countInMemory(agent.pid, texts), 0, `in the memory of ${agent.name}`);
    }
    assert.ok(countInMemory(first.pid, formsOf(marker)) > 0, 'a value that is no secret is found in memory');
    await first.call('job.cancel', { id });
    await first.waitForJob(id);
  });

  it('are gone when deleted', async () => {
    assert.equal((await third.cli(['secret', 'delete', 'tls-key'])).code, 0);
    assert.equal(await listed('tls-key'), undefined);
  });
});

/** Processes come and go. */
function readProc(pid: string, name: string): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return Buffer.alloc(0);
  }
}
