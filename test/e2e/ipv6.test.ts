import assert from 'node:assert/strict';
import { type Agent, Cluster, until } from './harness/index.ts';
import { Internet6 } from './harness/internet6.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';
import { linked, peerOf, runsOn } from './harness/town.ts';

const ENVIRONMENT = { ASPEN_MDNS: 'off', ASPEN_LOG_LEVEL: 'debug' };

describe('members that have IPv6 and nothing else', function () {
  this.timeout(STORY_CAP_MS);
  let internet: Internet6;
  let cluster: Cluster;
  let agents: readonly [p: Agent, q: Agent, a: Agent, b: Agent];
  reportFailures(() => cluster);

  before(async () => {
    internet = new Internet6();
    cluster = new Cluster();
    const places = [internet.addPublic(), internet.addPublic(), internet.addGuarded(), internet.addGuarded()];
    const [p, ...others] = places.map(({ netns }, at) =>
      cluster.add('pqab'[at] as string, { netns, env: ENVIRONMENT }),
    );
    assert.ok(p !== undefined);
    await p.up();
    const { ticket } = await p.call<{ readonly ticket: string }>('mesh.ticket', { uses: others.length });
    for (const agent of others) await agent.join(ticket);
    agents = [p, ...others] as unknown as typeof agents;
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      internet?.[Symbol.dispose]();
    }
  });

  it('join by a ticket, are linked directly, and run jobs on each other', async () => {
    const [p, q] = agents;
    const peer = await linked(p, q);
    assert.equal(peer.path, 'direct');
    assert.match(peer.address ?? '', /^\/ip6\/3fff:2::2\/tcp\/\d+$/);
    await runsOn(p, q);
    await runsOn(q, p);
  });

  it('see in netcheck which family they have', async () => {
    const { stdout } = await agents[0].cli(['netcheck']);
    assert.match(stdout, /^IPv4 +no address beside loopback/m);
    assert.match(stdout, /^IPv6 +3fff:1::2; \d links/m);
    assert.match(stdout, /^UDP +yes, datagrams arrived at \d of \d members/m);
  });

  it('reach each other over a public member where both are behind firewalls, and then directly through both', async () => {
    const [p, , a, b] = agents;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await linked(from, to);
      await runsOn(from, to);
      await until(async () => (await peerOf(from, to))?.path === 'direct', {
        what: `${from.name} to reach ${to.name} directly`,
      });
      assert.match((await peerOf(from, to))?.address ?? '', /^\/ip6\/3fff:[34]:1::2\//);
    }
    await p.kill9();
    await until(async () => (await a.status()).group.hasQuorum, { what: 'the others to go on' });
    await runsOn(a, b);
    assert.equal((await peerOf(a, b))?.path, 'direct');
    await p.up();
    await until(async () => (await peerOf(a, p))?.path === 'direct', {
      what: `${a.name} to reach ${p.name} directly again`,
    });
  });
});
