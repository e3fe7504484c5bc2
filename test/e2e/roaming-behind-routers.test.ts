import assert from 'node:assert/strict';
import { backAgain, tellTimes } from './harness/back-again.ts';
import { type Agent, Cluster, Internet, type Ticket, until, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const ENVIRONMENT = { ASPEN_LISTEN: '/ip4/0.0.0.0/tcp/0', ASPEN_MDNS: 'off' };

describe('a machine that is carried from one home to another', function () {
  this.timeout(STORY_CAP_MS);
  let internet: Internet;
  let cluster: Cluster;
  let agents: readonly [Agent, Agent, Agent, Agent];
  reportFailures(() => cluster);

  before(async () => {
    internet = new Internet();
    cluster = new Cluster();
    const places = [
      internet.addPublic().netns,
      internet.addPublic().netns,
      internet.addHome('symmetric').netns,
      internet.addHome('cone').netns,
    ];
    agents = ['p', 'q', 'a', 'b'].map((name, at) =>
      cluster.add(name, { netns: places[at] as string, env: ENVIRONMENT }),
    ) as [Agent, Agent, Agent, Agent];
    const [p, ...others] = agents;
    await p.up();
    const { ticket } = await p.call<Ticket>('mesh.ticket', { uses: others.length });
    for (const agent of others) await agent.join(ticket);
    await backAgain(agents[3], agents.slice(0, 3));
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      internet?.[Symbol.dispose]();
    }
  });

  it('is linked with everybody again, over public members where it must be, and tells the ways to it', async () => {
    const [p, q, a, b] = agents;
    const writer = new Writer(b, 'carried/');
    await writer.more(20);
    try {
      internet.moveHome(b.netns as string, 'symmetric');
      tellTimes('carried to another home', await backAgain(b, [p, q, a]));
      await writer.more(20);
    } finally {
      await writer.stop();
    }
    assert.deepEqual(await writer.missingAt(p), []);
    await until(
      async () => {
        const { connectivity } = await b.status();
        const { addresses } = connectivity as unknown as { readonly addresses: readonly string[] };
        return [p, q].every((relay) =>
          addresses.some((own) => own.includes(`/p2p/${relay.peerId}/p2p-circuit`)),
        );
      },
      { what: 'circuits over both public members to be told' },
    );
  });
});
