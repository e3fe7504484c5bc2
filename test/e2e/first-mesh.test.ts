import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type Agent,
  type AgentStatus,
  agreement,
  Cluster,
  isAgreed,
  type Job,
  type KvEntry,
  type KvScan,
  type Ticket,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

describe('the first mesh, on one machine', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let a: Agent;
  let b: Agent;
  let c: Agent;
  let ticket: string;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    [a, b, c] = [cluster.add('a'), cluster.add('b'), cluster.add('c')];
    await a.up('--label', 'zone=here');
    const created = await a.cliJson<Ticket>(['ticket', 'create', '--uses', '2']);
    ticket = created.ticket;
    assert.match(ticket, /^aspen1/);
    await Promise.all([b.join(ticket), c.join(ticket)]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const all = (): Agent[] => [a, b, c];

  it('status on each names the same leader and three voters', async () => {
    await agreement(all());
    const statuses = await Promise.all(
      all().map((agent) => agent.cliJson<AgentStatus & { schema: string }>(['status'])),
    );
    assert.ok(isAgreed(statuses, 3), JSON.stringify(statuses.map(({ group }) => group)));
    assert.deepEqual(
      [...(statuses[0]?.group.voters ?? [])].sort(),
      all()
        .map(({ peerId }) => peerId)
        .sort(),
    );
    for (const status of statuses) assert.match(status.schema, /^aspen\.[a-z.]+\/v1$/);
    assert.equal(new Set(statuses.map(({ meshId }) => meshId)).size, 1);
  });

  it('peers lists the two others', async () => {
    const peers = await until(
      async () => {
        const listed = await a.call<{ peers: { peerId: string }[] }>('mesh.peers');
        const others = listed.peers.map(({ peerId }) => peerId).filter((peerId) => peerId !== a.peerId);
        return others.length === 2 && others;
      },
      { what: 'both peers to be listed' },
    );
    assert.deepEqual(peers.sort(), [b.peerId, c.peerId].sort());
  });

  it('run streams the output of the job and exits with its exit code', async () => {
    const ran = await a.cli(['run', '--', 'sh', '-c', 'echo $ASPEN_NODE; exit 3']);
    assert.equal(ran.code, 3, ran.stderr);
    assert.ok(
      all().some(({ peerId }) => peerId === ran.stdout.trim()),
      ran.stdout,
    );
  });

  it('run shows output while the job still runs', async () => {
    const gate = join(cluster.directory, 'gate');
    const script = 'echo waiting; while [ ! -e "$0" ]; do sleep 0.1; done; echo passed; echo aside >&2';
    const ran = await b.cli(['run', '--', 'sh', '-c', script, gate], {
      onStdout: (text) => {
        if (text.includes('waiting') && !existsSync(gate)) writeFileSync(gate, '');
      },
    });
    assert.deepEqual([ran.code, ran.stdout], [0, 'waiting\npassed\n']);
    assert.match(ran.stderr, /aside/);
  });

  it('run --node runs there', async () => {
    const ran = await a.cli(['run', '--node', c.peerId, '--', 'hostname']);
    assert.deepEqual([ran.code, ran.stdout.trim()], [0, hostname()], ran.stderr);
    const { jobs } = await b.call<{ jobs: Job[] }>('job.list', { type: 'shell', limit: 100 });
    const job = jobs.find(({ spec }) => (spec.payload as { command: string }).command === 'hostname');
    assert.equal(job?.node, c.peerId);
    assert.equal((await a.cliJson<Job>(['job', 'get', job.id])).node, c.peerId);
  });

  it('run passes environment, working directory and standard input, and nothing else', async () => {
    const letter = join(cluster.directory, 'letter');
    writeFileSync(letter, 'from afar\n');
    const flags = ['--env', 'GREETING=hello', '--cwd', '/usr', '--stdin', letter];
    const ran = await a.cli(['run', ...flags, '--', 'sh', '-c', 'cat; pwd; echo "$GREETING:$E2E_SECRET"']);
    assert.deepEqual([ran.code, ran.stdout], [0, 'from afar\n/usr\nhello:\n'], ran.stderr);
  });

  it('run goes to a node with the required label', async () => {
    const ran = await c.cli(['run', '--require', 'zone=here', '--', 'sh', '-c', 'echo $ASPEN_NODE']);
    assert.deepEqual([ran.code, ran.stdout.trim()], [0, a.peerId], ran.stderr);
  });

  it('a job can be submitted, waited for, listed and read at any agent', async () => {
    const submitted = await a.cli(['job', 'submit', 'echo', '{"greeting":"hello"}', '-o', 'id']);
    assert.equal(submitted.code, 0, submitted.stderr);
    const id = submitted.stdout.trim();
    assert.match(id, /^job_/);
    const job = await b.cliJson<Job>(['job', 'wait', id]);
    assert.equal(job.state, 'succeeded');
    assert.match(JSON.stringify(job.result), /"greeting":"hello"/);
    const { jobs } = await c.cliJson<{ jobs: Job[] }>(['job', 'list']);
    assert.ok(jobs.some((listed) => listed.id === id));
    assert.equal((await c.call<Job>('job.get', { id })).state, 'succeeded');
  });

  it('the output of a finished job is read from another agent', async () => {
    const { id } = await a.submit({
      type: 'shell',
      payload: { command: 'echo', args: ['kept'] },
      affinity: { node: { peerId: b.peerId, mode: 'require' } },
    });
    await a.waitForJob(id);
    const logs = await c.cli(['job', 'logs', id]);
    assert.deepEqual([logs.code, logs.stdout], [0, 'kept\n'], logs.stderr);
  });

  it('what one agent writes the others read, and a compare-and-swap happens once', async () => {
    assert.equal((await a.cli(['kv', 'put', 'color', 'green'])).code, 0);
    const got = await b.cli(['kv', 'get', 'color']);
    assert.deepEqual([got.code, got.stdout.trim()], [0, 'green'], got.stderr);

    const swap = { key: 'color', expected: 'green', value: 'blue' };
    const outcomes = await Promise.all(
      all().map((agent) => agent.call<{ swapped: boolean }>('kv.cas', swap)),
    );
    assert.equal(outcomes.filter(({ swapped }) => swapped).length, 1);
    assert.equal((await a.call<KvEntry>('kv.get', { key: 'color' })).value, 'blue');
    const absent = await c.call<{ swapped: boolean; current: string }>('kv.cas', {
      key: 'color',
      expected: null,
      value: 'red',
    });
    assert.deepEqual([absent.swapped, absent.current], [false, 'blue']);
  });

  it('keys are scanned by prefix and deleted for everybody', async () => {
    for (const name of ['one', 'two', 'three']) await b.call('kv.put', { key: `scan/${name}`, value: name });
    const scanned = await c.call<KvScan>('kv.scan', { prefix: 'scan/' });
    const text = JSON.stringify(scanned);
    for (const name of ['one', 'two', 'three']) assert.ok(text.includes(`scan/${name}`), text);
    const listed = await a.cli(['kv', 'scan', 'scan/']);
    assert.match(listed.stdout, /scan\/one[\s\S]*scan\/three[\s\S]*scan\/two/);
    assert.equal((await a.cli(['kv', 'delete', 'scan/two'])).code, 0);
    assert.equal(await b.call('kv.get', { key: 'scan/two' }), null);
    assert.equal((await c.cli(['kv', 'get', 'scan/two'])).code, 3);
  });

  it('the same request id has its effect once', async () => {
    const write = (value: string) =>
      a.call<{ revision: number }>('kv.put', { key: 'once', value, requestId: 'e2e-once' });
    const first = await write('first');
    await b.call('kv.put', { key: 'once', value: 'between' });
    assert.equal((await write('first')).revision, first.revision);
    assert.equal((await c.call<KvEntry>('kv.get', { key: 'once' })).value, 'between');
  });

  it('the same idempotency key names the same job', async () => {
    const spec = { type: 'echo', payload: 1, idempotencyKey: 'e2e-invoice-7' };
    const first = await a.submit(spec);
    const second = await b.submit(spec);
    assert.deepEqual([first.duplicate, second.duplicate, second.id], [false, true, first.id]);
  });

  it('rpc.discover describes the methods', async () => {
    const document = await a.call<{ openrpc: string; methods: { name: string }[] }>('rpc.discover');
    const names = document.methods.map(({ name }) => name);
    for (const name of ['agent.status', 'mesh.ticket', 'job.submit', 'job.wait', 'kv.cas', 'job.explain']) {
      assert.ok(names.includes(name), `${name} is not among ${names.join(', ')}`);
    }
  });

  it('says its version, its members and where its settings come from', async () => {
    const version = await a.cli(['version']);
    assert.match(version.stdout, /^\S*\d+\.\d+\.\d+/);
    const { nodes } = await a.cliJson<{ nodes: { peerId: string; labels: Record<string, string> }[] }>([
      'node',
      'list',
    ]);
    assert.deepEqual(nodes.map(({ peerId }) => peerId).sort(), [a.peerId, b.peerId, c.peerId].sort());
    assert.deepEqual(nodes.find(({ peerId }) => peerId === a.peerId)?.labels, { zone: 'here' });
    const { config } = await a.cliJson<{ config: { key: string; origin: string }[] }>([
      'config',
      'show',
      '--origin',
    ]);
    const origins = new Map(config.map(({ key, origin }) => [key, origin]));
    assert.deepEqual(
      [origins.get('name'), origins.get('listen'), origins.get('slots')],
      ['flag', 'environment', 'default'],
    );
  });

  it('a label set at one agent is seen at the others', async () => {
    const labelled = await b.cli(['node', 'label', 'disk=ssd']);
    assert.equal(labelled.code, 0, labelled.stderr);
    await until(async () => /disk=ssd/.test((await c.cli(['node', 'list'])).stdout), {
      what: 'the label to arrive',
    });
    const ran = await c.cli(['run', '--require', 'disk=ssd', '--', 'sh', '-c', 'echo $ASPEN_NODE']);
    assert.deepEqual([ran.code, ran.stdout.trim()], [0, b.peerId], ran.stderr);
  });

  it('joining again changes nothing', async () => {
    const before = await b.status();
    const again = await b.cli(['join', ticket]);
    assert.equal(again.code, 0, again.stderr);
    const after = await b.status();
    assert.deepEqual([after.peerId, after.meshId], [before.peerId, before.meshId]);
  });

  it('an agent that was stopped comes back without a ticket', async () => {
    const [peerId, meshId] = [c.peerId, (await c.status()).meshId];
    const down = await c.cli(['down']);
    assert.equal(down.code, 0, down.stderr);
    assert.equal(await c.ended(), 0);
    await c.up();
    const status = await c.status();
    assert.deepEqual([status.peerId, status.meshId], [peerId, meshId]);
    await agreement(all());
    assert.equal((await c.call<KvEntry>('kv.get', { key: 'color' })).value, 'blue');
  });

  it('an agent that leaves gives up its vote and is forgotten, and the others work on', async () => {
    const left = await c.cli(['leave']);
    assert.equal(left.code, 0, left.stderr);
    await until(
      async () => {
        const statuses = await Promise.all([a.status(), b.status()]);
        return statuses.every(
          ({ group }) => !group.voters.includes(c.peerId) && group.leader !== null && group.hasQuorum,
        );
      },
      { what: 'the one who left to be no voter any more' },
    );
    await b.call('kv.put', { key: 'after', value: 'the leaving' });
    assert.equal((await a.call<KvEntry>('kv.get', { key: 'after' })).value, 'the leaving');
    await until(async () => !JSON.stringify(await a.call('mesh.peers')).includes(c.peerId), {
      what: 'the one who left to be no peer any more',
    });
  });
});
