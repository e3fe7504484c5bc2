import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Flood, type FloodKind, loopbackAddresses } from './harness/flood.ts';
import { type Agent, type AgentStatus, Cluster, type Ticket, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const JOBS = 40;
const MDNS_PORT = 5_353;
/**
 * What an agent may take more than before, of memory that is its own: thousands of sockets a second are garbage that the engine collects when it
 * sees fit. What is alive after a flood is what was alive before it.
 */
const MEMORY_ROOM_BYTES = 400 * 2 ** 20;

interface Peer {
  readonly peerId: string;
  readonly path: string | null;
}

describe('strangers in numbers', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws', '/ip4/127.0.0.1/tcp/0/tls/ws'];
    agents = await cluster.mesh(['a', 'b', 'c'], { env: { ASPEN_LISTEN: listen.join() } });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const target = async (agent: Agent, way = /tcp\/\d+$/): Promise<{ host: string; port: number }> => {
    const status = await agent.call<AgentStatus & { connectivity: { addresses: string[] } }>('agent.status');
    const address = status.connectivity.addresses.find((each) => way.test(each));
    const [, , host = '', , port = ''] = (address ?? '').split('/');
    return { host, port: Number(port) };
  };
  const linked = async (agent: Agent) => {
    const { peers } = await agent.call<{ peers: Peer[] }>('mesh.peers');
    return peers.filter(({ path }) => path !== null).map(({ peerId }) => peerId);
  };
  const runJobs = async (agent: Agent) => {
    for (let at = 0; at < JOBS; at += 1) {
      const { id } = await agent.submit({ type: 'echo', payload: { at } });
      const job = await agent.call<{ state: string }>('job.wait', { id, timeoutMs: 30_000 });
      assert.equal(job.state, 'succeeded');
    }
  };

  /** Those that speak are let in and hold their place until the handshake has timed out, so that few of them come in a second. */
  const kinds: readonly { kind: FloodKind; way?: RegExp; connections: number; arrivals: number }[] = [
    { kind: 'half-open', connections: 2_000, arrivals: 2_000 },
    { kind: 'slow', connections: 2_000, arrivals: 2_000 },
    { kind: 'babble', connections: 200, arrivals: 300 },
    { kind: 'false-handshake', connections: 200, arrivals: 300 },
    { kind: 'well-begun', connections: 200, arrivals: 300 },
    { kind: 'many-protocols', connections: 200, arrivals: 300 },
    { kind: 'half-open', way: /tls\/ws$/, connections: 2_000, arrivals: 2_000 },
    { kind: 'babble', way: /tls\/ws$/, connections: 200, arrivals: 2_000 },
    { kind: 'slow-request', way: /\d\/ws$/, connections: 2_000, arrivals: 2_000 },
    { kind: 'silent-web-socket', way: /\d\/ws$/, connections: 200, arrivals: 300 },
  ];
  for (const { kind, way, connections, arrivals } of kinds) {
    const where = way === undefined ? '' : `, at ${way.source}`;
    it(`stop no job, cost little memory, and come in nowhere: ${kind}${where}`, async () => {
      const [a, b, c] = agents as [Agent, Agent, Agent];
      const everybody = (await linked(a)).sort();
      assert.deepEqual(everybody, [b.peerId, c.peerId].sort());
      const before = privateBytes(a.pid);
      {
        await using flood = new Flood({
          ...(await target(a, way)),
          kind,
          connections,
          from: loopbackAddresses(250),
        });
        await until(() => flood.begunCount >= arrivals, { what: 'the flood to have come' });
        await runJobs(a);
        await runJobs(b);
        const grown = privateBytes(a.pid) - before;
        assert.ok(grown < MEMORY_ROOM_BYTES, `${grown} bytes more`);
      }
      assert.deepEqual((await linked(a)).sort(), everybody);
      const { members } = await a.call<{ members: number }>('agent.status');
      assert.equal(members, 3);
    });
  }

  it('find no port of UDP: none is open while no hole is made', () => {
    for (const { pid } of agents) assert.deepEqual(udpPorts(pid), []);
  });

  it('do not keep a newcomer from another address out', async () => {
    const [a] = agents as [Agent];
    await using flood = new Flood({
      ...(await target(a)),
      kind: 'half-open',
      connections: 300,
      from: ['127.77.9.9'],
    });
    await until(() => flood.begunCount >= 600, { what: 'places to be taken and taken again' });
    const { ticket } = await a.call<Ticket>('mesh.ticket', { uses: 1, role: 'worker' });
    const newcomer = cluster.add('d');
    await newcomer.join(ticket);
    await until(async () => (await linked(newcomer)).includes(a.peerId), {
      what: 'the newcomer to be linked',
    });
  });
});

describe('a newcomer while strangers flood the only member', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let founder: Agent;
  reportFailures(() => cluster);

  beforeEach(async () => {
    cluster = new Cluster();
    [founder] = (await cluster.mesh(['a'], { env: { ASPEN_LISTEN: '/ip4/127.0.0.1/tcp/0' } })) as [Agent];
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  for (const kind of ['half-open', 'babble', 'well-begun'] as const) {
    it(`F4 joins from an address that no member ever came from: ${kind}`, async () => {
      const status = await founder.call<{ connectivity: { addresses: string[] } }>('agent.status');
      const [, , host = '', , port = ''] = (status.connectivity.addresses[0] ?? '').split('/');
      const { ticket } = await founder.call<Ticket>('mesh.ticket', { uses: 1, role: 'worker' });
      await using flood = new Flood({
        ...{ host, port: Number(port), kind, connections: 2_000, perSecond: 1_000 },
        from: loopbackAddresses(250),
      });
      await until(() => flood.begunCount >= 3_000, { what: 'the flood to have come' });
      const newcomer = cluster.add(`newcomer-${kind}`);
      await newcomer.join(ticket);
      await until(
        async () =>
          (await founder.call<{ peers: Peer[] }>('mesh.peers')).peers.some(
            ({ peerId, path }) => peerId === newcomer.peerId && path !== null,
          ),
        { what: 'the newcomer to be linked' },
      );
    });
  }
});

/** Memory that nobody shares: mapped pages of the store do not count. */
function privateBytes(pid: number): number {
  const anonymous = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(anonymous) * 1_024;
}

/** @returns the ports that datagrams reach this process at, but for that of names on the local network. */
function udpPorts(pid: number): number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // it was closed meanwhile
        throw error;
      }
    }),
  );
  const rows = ['udp', 'udp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1),
  );
  return rows.flatMap((row) => {
    const fields = row.trim().split(/\s+/);
    const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
    return sockets.has(fields[9] ?? '') && port !== MDNS_PORT ? [port] : [];
  });
}
