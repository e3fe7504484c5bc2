import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  type Agent,
  Cluster,
  Internet,
  MiddleProgram,
  type Ran,
  runProgram,
  type Ticket,
  until,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Peer {
  readonly peerId: string;
  readonly path: 'direct' | 'relay' | null;
  readonly address: string | null;
}
interface NetReport {
  readonly proxy: {
    readonly url: string | null;
    readonly letsThrough: { readonly isSo: boolean | null };
  } | null;
}

const ENVIRONMENT = { ASPEN_LISTEN: '/ip4/0.0.0.0/tcp/0', ASPEN_MDNS: 'off' };
/** The public member takes WebSockets where web servers do, beside everything else. */
const PUBLIC = { ...ENVIRONMENT, ASPEN_LISTEN: '/ip4/0.0.0.0/tcp/0,/ip4/0.0.0.0/tcp/443/tls/ws' };
const PASSWORD = 'pass-word-of-nobody';

async function linked(from: Agent, to: Agent): Promise<Peer> {
  return await until(
    async () => {
      const { peers } = await from.call<{ readonly peers: readonly Peer[] }>('mesh.peers');
      const peer = peers.find(({ peerId }) => peerId === to.peerId);
      return peer === undefined || peer.path === null ? undefined : peer;
    },
    { what: `${from.name} to be linked to ${to.name}`, everyMs: 50 },
  );
}

async function runsOn(from: Agent, to: Agent): Promise<void> {
  const ran = await from.cli(['run', '--node', to.peerId, '--', 'sh', '-c', 'echo $ASPEN_NODE']);
  assert.deepEqual([ran.code, ran.stdout.trim()], [0, to.peerId], ran.stderr);
}

/** A public member, and one at home that only reaches out. */
class Town implements AsyncDisposable {
  readonly internet = new Internet();
  readonly cluster = new Cluster();
  readonly place = this.internet.addPublic();
  readonly open = this.cluster.add('open', { netns: this.place.netns, env: PUBLIC });
  readonly home = this.cluster.add('home', { netns: this.internet.addHome('cone').netns, env: ENVIRONMENT });

  async settle(): Promise<void> {
    await this.open.up();
    await this.home.join(await this.ticket());
  }

  async ticket(): Promise<string> {
    return (await this.open.call<Ticket>('mesh.ticket', {})).ticket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.cluster[Symbol.asyncDispose]();
    } finally {
      this.internet[Symbol.dispose]();
    }
  }
}

describe('a member that may open TCP connections to port 443 and nothing else', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  let office: Agent;
  reportFailures(() => town?.cluster);

  before(async () => {
    town = new Town();
    await town.settle();
    const { netns } = town.internet.addOffice({ host: town.place.host, port: 443 });
    office = town.cluster.add('office', { netns, env: ENVIRONMENT });
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('joins by the ticket, over a WebSocket', async () => {
    await office.join(await town.ticket());
    assert.equal((await office.status()).meshId, (await town.open.status()).meshId);
    const { path, address } = await linked(office, town.open);
    assert.deepEqual([path, address], ['direct', `/ip4/${town.place.host}/tcp/443/tls/ws`]);
  });

  it('runs jobs for others, and has its own run elsewhere', async () => {
    await runsOn(town.open, office);
    await runsOn(office, town.open);
  });

  it('is linked over the public member with whoever it cannot reach, and says so', async () => {
    const { path, address } = await linked(office, town.home);
    assert.equal(path, 'relay');
    assert.match(address ?? '', new RegExp(`/p2p/${town.open.peerId}/p2p-circuit$`));
    await runsOn(office, town.home);
    await runsOn(town.home, office);
  });

  it('comes back by itself when the public member was away', async () => {
    await town.open.kill9();
    await town.open.up();
    assert.equal((await linked(office, town.open)).path, 'direct');
    await until(async () => (await office.status()).group.hasQuorum, { what: 'the group to go on' });
    await runsOn(office, town.open);
  });
});

describe('a member that reaches nothing but a proxy', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  let proxy: MiddleProgram;
  let netns: string;
  let url: string;
  let office: Agent;
  /** Tries for a minute, while the others go on. */
  let refused: Promise<Ran>;
  reportFailures(() => town?.cluster);

  before(async () => {
    town = new Town();
    await town.settle();
    const place = town.internet.addPublic();
    proxy = await MiddleProgram.connectProxy({
      netns: place.netns,
      port: 3128,
      credentials: `ada:${PASSWORD}`,
      places: [`${town.place.host}:443`],
    });
    url = `${place.host}:3128`;
    netns = town.internet.addOffice({ host: place.host, port: 3128 }).netns;
    refused = runProgram(
      ['join', await town.ticket(), '--foreground', '--data-dir', `${town.cluster.directory}/refused`],
      {
        netns,
        env: {
          ...ENVIRONMENT,
          HTTPS_PROXY: `http://ada:wrong-word@${url}`,
          ASPEN_E2E_CLUSTER: town.cluster.directory,
        },
      },
    );
  });
  after(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await town?.[Symbol.asyncDispose]();
  });

  it('joins by the ticket through it', async () => {
    office = town.cluster.add('office', {
      netns,
      env: { ...ENVIRONMENT, HTTPS_PROXY: `http://ada:${PASSWORD}@${url}` },
    });
    await office.join(await town.ticket());
    assert.equal((await linked(office, town.open)).path, 'direct');
    assert.ok(proxy.requests.includes(`200 ${town.place.host}:443`), proxy.requests.join());
  });

  it('runs jobs for others, and has its own run elsewhere', async () => {
    await runsOn(town.open, office);
    await runsOn(office, town.open);
    await linked(office, town.home);
    await runsOn(town.home, office);
    await runsOn(office, town.home);
  });

  it('tells in netcheck and doctor that there is a proxy and that it lets through, and its password nowhere', async () => {
    const { proxy: report } = await office.call<NetReport>('net.check');
    assert.deepEqual([report?.url, report?.letsThrough.isSo], [`http://${url}`, true]);
    const doctor = await office.cli(['doctor']);
    assert.match(doctor.stdout, /network\.proxy/);
    const netcheck = await office.cli(['netcheck']);
    const config = await office.cli(['config', 'show', '--origin']);
    for (const text of [doctor.stdout, netcheck.stdout, config.stdout, readFileSync(office.logFile, 'utf8')])
      assert.ok(!text.includes(PASSWORD));
  });

  it('is told what the proxy said when that lets nobody through', async () => {
    const { code, stderr } = await refused;
    assert.ok(code === 6 || code === 8, `${code}: ${stderr}`); // not reached, or not within its time
    assert.match(stderr, new RegExp(`the proxy at ${url} refused CONNECT to [0-9.]+:443: 407`));
    assert.doesNotMatch(stderr, /wrong-word/);
  });
});

describe('a public member behind a web server that ends TLS', function () {
  this.timeout(STORY_CAP_MS);
  let internet: Internet;
  let cluster: Cluster;
  let server: MiddleProgram;
  let open: Agent;
  let office: Agent;
  reportFailures(() => cluster);

  before(async () => {
    internet = new Internet();
    cluster = new Cluster();
    const { netns, host } = internet.addPublic();
    server = await MiddleProgram.webServer({ netns, port: 443, onwardPort: 4180 });
    const env = {
      ...ENVIRONMENT,
      ASPEN_LISTEN: '/ip4/0.0.0.0/tcp/4100,/ip4/127.0.0.1/tcp/4180/ws',
      ASPEN_ANNOUNCE: `/ip4/${host}/tcp/4100,/ip4/${host}/tcp/443/wss`,
      ASPEN_TRUST_FORWARDED: 'on',
    };
    open = cluster.add('open', { netns, env });
    office = cluster.add('office', {
      netns: internet.addOffice({ host, port: 443 }).netns,
      env: ENVIRONMENT,
    });
    await open.up();
  });
  after(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    internet?.[Symbol.dispose]();
  });

  it('is joined through it, and works', async () => {
    await office.join((await open.call<Ticket>('mesh.ticket', {})).ticket);
    assert.match((await linked(office, open)).address ?? '', /\/tcp\/443\/wss$/);
    await runsOn(open, office);
    await runsOn(office, open);
  });

  it('sees from where others come, and so that it is reached from anywhere', async () => {
    const [request] = server.requests;
    const from = request?.split(' ')[1];
    assert.match((await linked(open, office)).address ?? '', new RegExp(`^/ip4/${from}/tcp/\\d+/ws$`));
    await until(
      async () => {
        const { connectivity } = await open.call<{
          readonly connectivity: { readonly reachability: string; readonly isRelay: boolean };
        }>('agent.status');
        return connectivity.reachability === 'public' && connectivity.isRelay;
      },
      { what: 'the member to see that it is reached from anywhere' },
    );
  });
});
