import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, agreement, Cluster, Lan, until, WallClock } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Peer {
  readonly peerId: string;
  readonly path: 'direct' | 'relay' | null;
  readonly address: string | null;
}

/** Ahead of the others by more than a registry believes, and by less than the table does. */
const AHEAD_S = 600;
const MOVED_TO = 33;

/**
 * `c` moved, and its clock went wrong: whatever it says of itself from then on is refused by the registries of the others. It told the table where
 * it is while it was linked with `b`; then the path between the two was cut. `a` was off all the while. It reaches `b` and nobody else by
 * what it remembers, a firewall lets nobody in who comes from `c`, and nobody who is linked with `b` tells where `c` is: only the table knows.
 */
describe('a member that only the table of addresses finds', function () {
  this.timeout(STORY_CAP_MS);
  let lan: Lan;
  let cluster: Cluster;
  let clock: WallClock;
  let a: Agent;
  let b: Agent;
  let c: Agent;
  reportFailures(() => cluster);

  before(async function () {
    if (!WallClock.isAvailable) this.skip(); // a wrong clock takes libfaketime
    lan = new Lan(3);
    cluster = new Cluster();
    clock = new WallClock(join(cluster.directory, 'clock-c'));
    const env = { ASPEN_MDNS: 'off', ASPEN_LOG_LEVEL: 'debug' };
    const [first, second, third] = lan.machines as [string, string, string];
    a = cluster.add('a', { netns: first, env });
    b = cluster.add('b', { netns: second, env: { ...env, ASPEN_DHT: 'on' } });
    c = cluster.add('c', { netns: third, env: { ...env, ...clock.env } });
    await b.up();
    const { ticket } = await b.call<{ ticket: string }>('mesh.ticket', { uses: 2 });
    for (const agent of [a, c]) await agent.join(ticket);
    await agreement([a, b, c]);
    await until(async () => (await linkOf(a, c))?.path === 'direct', { what: 'a to be linked with c' });
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  it('moves with a wrong clock while another one is off, tells the table, and is cut off from it', async () => {
    await a.stop();
    await c.stop();
    lan.renumber(c.netns as string, MOVED_TO);
    clock.set(AHEAD_S);
    const toldBefore = timesTold(c);
    await c.up();
    await until(() => timesTold(c) > toldBefore, { what: 'c to have told the table where it is' });
    refuse(b, MOVED_TO, { andAnswers: true });
    refuse(a, MOVED_TO);
    await until(async () => (await linkOf(b, c))?.path === null, { what: 'b to have lost c' });
  });

  it('is found by nothing else', async () => {
    settings(a, 'dht: off');
    await a.up();
    await until(async () => (await linkOf(a, b))?.path === 'direct', { what: 'a to be linked with b' });
    await until(() => timesFailed(a, c) >= 5, { what: 'a to have tried in vain where c was' });
    assert.equal((await linkOf(a, c))?.path, null);
    await a.stop();
  });

  it('is found by the table', async () => {
    settings(a, 'dht: auto');
    await a.up();
    const link = await until(
      async () => {
        const found = await linkOf(a, c);
        return found?.path === 'direct' && found;
      },
      { what: 'a to be linked with c', timeoutMs: 90_000 },
    );
    assert.match(link.address ?? '', new RegExp(`^/ip4/10\\.77\\.0\\.${MOVED_TO}/`));
    assert.equal((await linkOf(b, c))?.path, null, 'b has no link with it');
  });
});

async function linkOf(from: Agent, to: Agent): Promise<Peer | undefined> {
  const { peers } = await from.call<{ peers: Peer[] }>('mesh.peers');
  return peers.find(({ peerId }) => peerId === to.peerId);
}

function settings(agent: Agent, line: string): void {
  writeFileSync(join(agent.dataDir, 'aspen.yaml'), `${line}\n`, { mode: 0o600 });
}

/** A firewall on its machine, against that host: it lets in answers to what began here, or nothing at all. */
function refuse(agent: Agent, host: number, { andAnswers = false } = {}): void {
  const rules = [
    'table ip story {',
    '  chain in {',
    '    type filter hook input priority 0;',
    `    ip saddr 10.77.0.${host} ${andAnswers ? '' : 'ct state != established '}drop;`,
    '  }',
    '}',
  ];
  execFileSync('ip', ['netns', 'exec', agent.netns as string, 'nft', rules.join('\n')]);
}

function linesOf(agent: Agent): string[] {
  return readFileSync(agent.logFile, 'utf8').split('\n');
}

/** How often it told the table where it is, and somebody kept it. */
function timesTold(agent: Agent): number {
  return linesOf(agent).filter(
    (line) => line.includes('told the table where this node is') && !line.includes('"keptBy":0'),
  ).length;
}

function timesFailed(agent: Agent, peer: Agent): number {
  return linesOf(agent).filter((line) => line.includes('dialing failed') && line.includes(peer.peerId))
    .length;
}
