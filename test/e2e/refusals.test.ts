import assert from 'node:assert/strict';
import { type Agent, Cluster, type Job, RpcClient, RpcError, runProgram } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';
import { RawSocket } from './harness/raw-socket.ts';

const MEBIBYTE = 2 ** 20;
const IDLE_CONNECTIONS = 200;

describe('an agent refuses', function () {
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
  afterEach('and serves on', async () => {
    await agent.call('kv.put', { key: 'alive', value: 'yes' });
  });

  it('a second agent on its data directory', async () => {
    const second = await agent.cli(['up', '--foreground']);
    assert.equal(second.code, 4, second.stderr);
    assert.ok(second.stderr.includes(agent.dataDir), second.stderr);
    assert.equal((await agent.status()).peerId, agent.peerId);
  });

  const wrongSpecs: readonly { spec: object; path: string; says: RegExp }[] = [
    { spec: { type: 'echo', priorty: 3 }, path: 'priorty', says: /priority/ },
    { spec: { type: 'echo', retry: { maxAttempt: 3 } }, path: 'retry.maxAttempt', says: /maxAttempts/ },
    { spec: { type: 'echo', retry: { maxAttempts: 'three' } }, path: 'retry.maxAttempts', says: /number/ },
    { spec: { type: 'echo', timeoutMs: '10s' }, path: 'timeoutMs', says: /number/ },
    { spec: { type: 7 }, path: 'type', says: /string/ },
    {
      spec: { type: 'echo', affinity: { require: { zone: 1 } } },
      path: 'affinity.require.zone',
      says: /string/,
    },
    { spec: {}, path: 'type', says: /./ },
    { spec: { type: 'echo', delayMs: -1 }, path: 'delayMs', says: /./ },
    { spec: { type: 'echo', runAt: 'yesterday' }, path: 'runAt', says: /./ },
    { spec: { type: 'echo', runAt: -1 }, path: 'runAt', says: /./ },
    { spec: { type: 'echo', deadlineAt: '9999999-01-01' }, path: 'deadlineAt', says: /./ },
    { spec: { type: 'echo', deadlineAt: 1_000 }, path: 'deadlineAt', says: /./ },
    { spec: { type: 'echo', dependsOn: ['job_unknown'] }, path: 'dependsOn[0]', says: /job_unknown/ },
    { spec: { type: 'echo', id: 'job_self', dependsOn: ['job_self'] }, path: 'dependsOn', says: /itself/ },
    { spec: { type: 'echo', group: { nodes: 1 } }, path: 'group.nodes', says: /./ },
    { spec: { type: 'echo', heartbeatTimeoutMs: 0 }, path: 'heartbeatTimeoutMs', says: /./ },
  ];
  for (const { spec, path, says } of wrongSpecs) {
    it(`a job spec ${JSON.stringify(spec)}, naming ${path}`, async () => {
      const error = await refused(agent.call('job.submit', spec));
      assert.deepEqual([error.rpcCode, error.data.outcome], [-32602, 'not-applied']);
      const issue = error.data.issues?.find((candidate) => pathOf(candidate.path) === path);
      assert.ok(issue !== undefined, JSON.stringify(error.data));
      assert.match(issue.message, says);
    });
  }

  it('a worker that claims what only the node tells of itself', async () => {
    const worker = { types: ['paint'], concurrency: 1, labels: { 'aspen/os': 'plan9' } };
    const error = await refused(agent.call('worker.attach', worker));
    assert.equal(error.rpcCode, -32602);
    assert.match(error.message, /aspen\/os/);
  });

  it('to wait longer than it was asked to, and says that this changed nothing', async () => {
    const { id } = await agent.submit({ type: 'of nobody' });
    const error = await refused(agent.call('job.wait', { id, timeoutMs: 100 }));
    assert.deepEqual([error.data.code, error.data.outcome], ['DEADLINE_EXCEEDED', 'not-applied']);
    assert.match(error.message, new RegExp(`${id} is queued after 100ms`));
    await agent.call('job.cancel', { id });
  });

  it('one wrong item of many, and takes the others', async () => {
    const { results } = await agent.call<{ results: { id?: string; error?: { code: number } }[] }>(
      'job.submitMany',
      {
        jobs: [
          { type: 'echo', payload: 1 },
          { type: 'echo', priorty: 1 },
          { type: 'echo', payload: 3 },
        ],
      },
    );
    assert.deepEqual(
      results.map(({ id, error }) => error?.code ?? typeof id),
      ['string', -32602, 'string'],
    );
    const job = await agent.waitForJob(results[2]?.id as string);
    assert.equal(job.state, 'succeeded');
  });

  it('a method that does not exist', async () => {
    assert.equal((await refused(agent.call('job.submitt', {}))).rpcCode, -32601);
  });

  it('a line of 17 MiB with an error, then closes', async () => {
    using socket = await RawSocket.connect(agent.socketPath);
    const head = '{"jsonrpc":"2.0","id":1,"method":"kv.put","params":{"key":"big","value":"';
    const pieces = Array.from({ length: 17 }, () => Buffer.alloc(MEBIBYTE, 'x'));
    await socket.writeUntilAnswered([head, ...pieces, '"}}\n']);
    const [answer] = await socket.answered(1);
    assert.equal(answer?.error?.code, -32700);
    assert.equal(await agent.call('kv.get', { key: 'big' }), null);
  });

  it('a line that is not JSON, and a value that is no request', async () => {
    using broken = await RawSocket.connect(agent.socketPath);
    broken.write('{"jsonrpc":"2.0","id":1,"method":\n');
    assert.equal((await broken.answered(1))[0]?.error?.code, -32700);
    using odd = await RawSocket.connect(agent.socketPath);
    odd.write('{"hello":"world"}\n');
    assert.equal((await odd.answered(1))[0]?.error?.code, -32600);
    using binary = await RawSocket.connect(agent.socketPath);
    binary.write(new Uint8Array([0, 255, 254, 10, 10, 195, 10]));
    assert.equal((await binary.answered(1))[0]?.error?.code, -32700);
  });

  it('half a line by doing nothing', async () => {
    const half = await RawSocket.connect(agent.socketPath);
    half.write('{"jsonrpc":"2.0","id":1,"method":"kv.put","params":{"key":"half","value":"x"}}');
    half[Symbol.dispose]();
    await agent.status();
    assert.equal(await agent.call('kv.get', { key: 'half' }), null);
  });

  it('nothing of a batch that is right', async () => {
    using socket = await RawSocket.connect(agent.socketPath);
    const request = (id: number, method: string) => ({ jsonrpc: '2.0', id, method, params: {} });
    socket.write(
      `${JSON.stringify([request(1, 'agent.status'), request(2, 'no.such'), request(3, 'mesh.peers')])}\n`,
    );
    const [batch] = await socket.answered(1);
    const answers = batch as unknown as { id: number; result?: unknown }[];
    assert.deepEqual(answers.map(({ id, result }) => [id, result !== undefined]).sort(), [
      [1, true],
      [2, false],
      [3, true],
    ]);
  });

  it(`nobody because ${IDLE_CONNECTIONS} others are connected and idle`, async () => {
    const idle = await Promise.all(
      Array.from({ length: IDLE_CONNECTIONS }, () => RpcClient.connect(agent.socketPath)),
    );
    try {
      const { id } = await agent.submit({ type: 'echo', payload: 'busy' });
      assert.equal((await agent.waitForJob(id)).state, 'succeeded');
      assert.equal((await agent.cli(['status'])).code, 0);
      const last = idle.at(-1) as RpcClient;
      assert.equal((await last.call<{ peerId: string }>('agent.status')).peerId, agent.peerId);
    } finally {
      for (const client of idle) client[Symbol.dispose]();
    }
  });

  it('no job of a type that nobody offers: it stays queued, and explain says why', async () => {
    const { id } = await agent.submit({ type: 'paint' });
    const job = await agent.call<Job>('job.get', { id });
    assert.equal(job.state, 'queued');
    const explained = await agent.cliJson<{
      state: string;
      nodes: { peerId: string; fits: boolean; reasons: string[] }[];
    }>(['job', 'explain', id]);
    assert.equal(explained.state, 'queued');
    const self = explained.nodes.find(({ peerId }) => peerId === agent.peerId);
    assert.equal(self?.fits, false);
    assert.match(self?.reasons.join('; ') ?? '', /paint/);
    assert.match((await agent.cli(['job', 'explain', id])).stdout, /paint/);
    await agent.call('job.cancel', { id });
  });

  const wrongUses: readonly { args: string[]; code: number; why: string }[] = [
    { args: ['frobnicate'], code: 2, why: 'no such command' },
    { args: ['run'], code: 2, why: 'run without a program' },
    { args: ['status', '--no-such-flag'], code: 2, why: 'no such flag' },
    { args: ['job', 'submit', 'echo', '{broken'], code: 2, why: 'a payload that is not JSON' },
    { args: ['run', '--timeout', 'soon', '--', 'true'], code: 2, why: 'a duration that is none' },
    { args: ['job', 'get', 'job_00000000000000000000000000'], code: 3, why: 'no such job' },
    { args: ['kv', 'get', 'no-such-key'], code: 3, why: 'no such key' },
  ];
  for (const { args, code, why } of wrongUses) {
    it(`${args.join(' ')} with exit code ${code}: ${why}`, async () => {
      const ran = await agent.cli(args);
      assert.equal(ran.code, code, ran.stderr);
      assert.notEqual(ran.stderr.trim(), '');
      assert.equal(ran.stdout, '');
    });
  }

  it('nothing where it does not run: exit code 6', async () => {
    const ran = await runProgram(['status', '--data-dir', `${cluster.directory}/nobody`]);
    assert.equal(ran.code, 6, ran.stderr);
    assert.match(ran.stderr, /up/, 'it says how to start one');
  });
});

describe('an agent without a quorum', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);

  before(() => {
    cluster = new Cluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('refuses writes with exit code 5 and works again when the others are back', async () => {
    const [a, b, c] = (await cluster.mesh(['a', 'b', 'c'])) as [Agent, Agent, Agent];
    await a.call('kv.put', { key: 'k', value: 'before' });
    await Promise.all([b.kill9(), c.kill9()]);
    const ran = await a.cli(['kv', 'put', 'k', 'without']);
    assert.ok(ran.code === 5 || ran.code === 8, `exit code ${ran.code}: ${ran.stderr}`);
    const later = await a.cli(['kv', 'put', 'k', 'still without']);
    assert.equal(later.code, 5, later.stderr);
    const locking = await Promise.all([
      a.cli(['lock', 'acquire', 'l', '--wait', '1s']),
      a.cli(['lock', 'run', 'l', '--', 'true']),
      a.cli(['election', 'campaign', 'e', 'me']),
    ]);
    for (const { code, stderr } of locking)
      assert.deepEqual([code, /nothing was changed/.test(stderr)], [5, true], stderr);
    await b.up();
    assert.equal((await a.cli(['kv', 'put', 'k', 'after', '--timeout', '60s'])).code, 0);
  });
});

async function refused(call: Promise<unknown>): Promise<RpcError> {
  const answer = await call.then(
    (result) => result,
    (error: unknown) => error,
  );
  if (answer instanceof RpcError) return answer;
  throw new Error(
    `expected a refusal, got ${answer instanceof Error ? answer.message : JSON.stringify(answer)}`,
  );
}

function pathOf(path: unknown): string {
  return Array.isArray(path) ? path.join('.') : String(path);
}
