import assert from 'node:assert/strict';
import { type Agent, Cluster, Internet, PortRouter, type Ticket, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface NetReport {
  readonly reachability: string;
  readonly listens: readonly string[];
  readonly portMapping: { readonly isSo: boolean | null; readonly detail: string };
}
interface Peer {
  readonly peerId: string;
  readonly path: 'direct' | 'relay' | null;
  readonly address: string | null;
}

const ENVIRONMENT = { ASPEN_LISTEN: '/ip4/0.0.0.0/tcp/0', ASPEN_MDNS: 'off' };

/** One public member, and two homes of which only the first has a router that opens ports. */
for (const kind of ['pcp', 'nat-pmp', 'upnp'] as const) {
  describe(`a machine behind a router that opens ports by ${kind}`, function () {
    this.timeout(STORY_CAP_MS);
    let internet: Internet;
    let cluster: Cluster;
    let router: PortRouter;
    let town: { readonly open: Agent; readonly home: Agent; readonly other: Agent };
    reportFailures(() => cluster);

    before(async () => {
      internet = new Internet();
      cluster = new Cluster();
      const place = internet.addPublic();
      const first = internet.addHome('cone');
      const second = internet.addHome('symmetric');
      router = await PortRouter.start({ netns: first.router, kind, outside: first.routerHost });
      const add = (name: string, netns: string) => cluster.add(name, { netns, env: ENVIRONMENT });
      town = {
        open: add('open', place.netns),
        home: add('home', first.netns),
        other: add('other', second.netns),
      };
      await town.open.up();
      const { ticket } = await town.open.call<Ticket>('mesh.ticket', { uses: 2 });
      await town.home.join(ticket);
      await town.other.join(ticket);
    });
    after(async () => {
      await cluster?.[Symbol.asyncDispose]();
      await router?.[Symbol.asyncDispose]();
      internet?.[Symbol.dispose]();
    });

    const reportOf = (agent: Agent) => agent.call<NetReport>('net.check');

    it('has a port opened, says so once a public member came through it, and is reached from anywhere then', async () => {
      const report = await until(
        async () => {
          const found = await reportOf(town.home);
          return found.portMapping.isSo === true ? found : undefined;
        },
        { what: 'a member to come through the open port', everyMs: 500 },
      );
      const [, port] = (router.lines.find((line) => line.startsWith('+ ')) ?? '').split(' ');
      assert.match(report.portMapping.detail, new RegExp(`/tcp/${port} by .*came through`));
      assert.ok(
        report.listens.some((address) => address.endsWith(`/tcp/${port}`)),
        report.listens.join(),
      );
      assert.equal(report.reachability, 'public');
    });

    it('is linked directly with a machine whose router lets no hole through', async () => {
      const peer = await until(
        async () => {
          const { peers } = await town.other.call<{ readonly peers: readonly Peer[] }>('mesh.peers');
          return peers.find(({ peerId, path }) => peerId === town.home.peerId && path === 'direct');
        },
        { what: 'a direct link through the open port', everyMs: 250 },
      );
      const [, port] = (router.lines.find((line) => line.startsWith('+ ')) ?? '').split(' ');
      assert.ok(peer.address?.endsWith(`/tcp/${port}`), peer.address ?? 'no address');
    });

    it('a machine whose router opens nothing says so, and works', async () => {
      const { portMapping } = await until(
        async () => {
          const found = await reportOf(town.other);
          return found.portMapping.isSo === false ? found : undefined;
        },
        { what: 'the router to have been asked in vain', everyMs: 500 },
      );
      assert.match(portMapping.detail, /opens no port: it does not answer/);
    });

    it('gives the port back when it stops', async () => {
      await town.home.stop();
      await until(() => router.lines.at(-1) === '-', { what: 'the port to be closed', everyMs: 50 });
    });
  });
}
