import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { filesWith } from './harness/files.ts';
import { type Agent, agreement, Cluster, type Job, leaderAndFollowers, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const SECRET = 'a secret of some length';

interface Delivered {
  readonly id: string;
  readonly type: string;
  readonly job: { readonly id: string; readonly state: string; readonly attempt: number } | null;
}

interface Hook {
  readonly id: string;
  readonly circuit: string;
  readonly waiting: number;
  readonly lastError: { readonly message: string } | null;
}

/** A receiver on loopback that may be out of order. */
class Receiver implements AsyncDisposable {
  readonly delivered: Delivered[] = [];
  /** What becomes of a request; undefined leaves it without an answer. */
  statusOf: () => number | undefined = () => 204;
  requestCount = 0;
  readonly #server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    this.#answer(Buffer.concat(pieces).toString(), String(request.headers['aspen-signature']), response);
  });

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  eventsOf(jobId: string): Delivered[] {
    return this.delivered.filter(({ job }) => job?.id === jobId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(body: string, signature: string, response: ServerResponse): void {
    this.requestCount += 1;
    const [, time, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
    assert.equal(digest, createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex'));
    const status = this.statusOf();
    if (status === 204) this.delivered.push(JSON.parse(body) as Delivered);
    if (status !== undefined) response.writeHead(status).end();
  }
}

describe('hooks of a mesh of three', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  let receiver: Receiver;
  let hook: Hook;
  reportFailures(() => cluster);

  before(async () => {
    receiver = await new Receiver().start();
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c'], { env: { ASPEN_HTTP_ALLOW: '127.0.0.1' } });
    await until(
      async () => {
        const { recipients } = await (agents[0] as Agent).call<{ recipients: unknown[] }>(
          'secret.recipients',
        );
        return recipients.length === 3;
      },
      { what: 'each node to know the keys of all' },
    );
    const url = `http://127.0.0.1:${receiver.port}/in`;
    hook = await (agents[0] as Agent).call<Hook>('hook.add', { url, on: ['job.dead'], secret: SECRET });
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  });

  async function dies(agent: Agent): Promise<string> {
    const retry = { maxAttempts: 1 };
    const payload = { command: 'false' };
    const { id } = await agent.submit({ type: 'shell', payload, retry });
    assert.equal((await agent.waitForJob(id)).state, 'dead');
    return id;
  }

  const told = (id: string) =>
    until(() => receiver.eventsOf(id).length > 0, { what: `the receiver to hear of ${id}` });

  it('tell a receiver of a job that died, signed', async () => {
    const id = await dies(agents[0] as Agent);
    await told(id);
    const [event] = receiver.eventsOf(id);
    assert.deepEqual([event?.type, event?.job?.state, event?.job?.attempt], ['job.dead', 'dead', 1]);
  });

  it('have their secret in clear in no file of any node', async () => {
    for (const { dataDir, name } of agents) {
      const found = filesWith([SECRET], dataDir);
      assert.deepEqual(found, [], `in the data directory of ${name}`);
    }
    const { secrets } = await (agents[1] as Agent).call<{ secrets: { name: string; grants: unknown[] }[] }>(
      'secret.list',
    );
    assert.deepEqual(
      secrets.map(({ name, grants }) => [name, grants.length]),
      [[`hook/${hook.id}`, 3]],
    );
  });

  it('wait for a receiver that is out of order, and tell it of all once it is back', async () => {
    const agent = agents[1] as Agent;
    receiver.statusOf = () => 503;
    const ids = await Promise.all(Array.from({ length: 6 }, () => dies(agent)));
    const open = await until(
      async () => {
        const seen = await agent.call<Hook>('hook.get', { id: hook.id });
        return seen.circuit === 'open' && seen;
      },
      { what: 'the circuit to open' },
    );
    assert.match(open.lastError?.message ?? '', /503/);
    receiver.statusOf = () => 204;
    await agent.call('hook.resume', { id: hook.id });
    await Promise.all(ids.map(told));
    await until(async () => (await agent.call<Hook>('hook.get', { id: hook.id })).circuit === 'closed', {
      what: 'the circuit to close',
    });
  });

  it('tell of each job at least once when the leader is killed after its end and before the delivery', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [through] = followers as [Agent];
    await through.call('hook.pause', { id: hook.id });
    const id = await dies(through);
    await leader.kill9();
    await through.call('hook.resume', { id: hook.id }, 60_000);
    await told(id);
    await leader.up();
    await agreement(agents);
  });

  it('tell again, with the same event, when the node that delivers is killed before it was answered', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [through] = followers as [Agent];
    receiver.statusOf = () => undefined;
    const before = receiver.requestCount;
    const id = await dies(through);
    await until(() => receiver.requestCount > before, { what: 'the first delivery to begin' });
    receiver.statusOf = () => 204;
    const { jobs } = await through.call<{ jobs: Job[] }>('job.list', {
      type: 'hook.deliver',
      state: 'running',
    });
    const node = jobs.find((job) => JSON.stringify(job).includes(id))?.node;
    const victim = agents.find(({ peerId }) => peerId === node) ?? leader;
    await victim.kill9();
    await told(id);
    const [event, ...more] = receiver.eventsOf(id);
    assert.ok(more.every((again) => again.id === event?.id));
    await victim.up();
    await agreement(agents);
  });

  it('are gone when they were removed', async () => {
    const agent = agents[2] as Agent;
    await agent.call('hook.remove', { id: hook.id });
    const id = await dies(agent);
    const { hooks } = await agent.call<{ hooks: Hook[] }>('hook.list');
    const { jobs } = await agent.call<{ jobs: Job[] }>('job.list', { type: 'hook.deliver', state: 'queued' });
    const { secrets } = await agent.call<{ secrets: unknown[] }>('secret.list');
    assert.deepEqual([hooks, jobs, receiver.eventsOf(id), secrets], [[], [], [], []]);
  });
});
