import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Agent, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';
import { type Home, peerOf, runsOn, Town } from './harness/town.ts';

/** The log says why a hole was not punched. */
const settle = (homes: readonly [Home, Home]) => Town.settle(homes, { ASPEN_LOG_LEVEL: 'debug' });
/** More than the library holds for a reader. */
const MUCH_BYTES = 16 * 2 ** 20;
const WITHOUT_QUIC = {
  NODE_OPTIONS: `--import=${fileURLToPath(new URL('./harness/without-quic.ts', import.meta.url))}`,
};

/** Whoever of the two has the smaller peer id begins, and says in its log why a hole was not punched. */
async function whyNoHole(one: Agent, other: Agent): Promise<string> {
  const begins = one.peerId < other.peerId ? one : other;
  return await until(
    async () => {
      const lines = readFileSync(begins.logFile, 'utf8').split('\n');
      return lines.find((line) => line.includes('no hole was punched by QUIC'));
    },
    { what: `${begins.name} to try a hole by QUIC in vain` },
  );
}

async function staysOnCircuit([, , a, b]: Town['agents']): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const peer = await peerOf(from, to);
    assert.equal(peer?.path, 'relay');
    assert.match(peer?.address ?? '', /\/p2p-circuit$/);
    await runsOn(from, to);
  }
}

describe('two members behind routers that let no TCP connection begin outside', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  reportFailures(() => town?.cluster);
  before(async () => {
    town = await settle([{ translation: 'strict' }, { translation: 'strict-refusing' }]);
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('find a direct path by QUIC while jobs run, and both say so', async () => {
    const [, , a, b] = town.agents;
    const affinity = { node: { peerId: b.peerId, mode: 'require' } };
    const ends = new Set<string>();
    let linkedMs: number | undefined;
    const isDirect = async () => {
      const peers = [await peerOf(a, b), await peerOf(b, a)];
      if (peers[0]?.path === 'relay') linkedMs ??= performance.now();
      return peers.every((peer) => peer?.path === 'direct');
    };
    while (!(await isDirect())) {
      const { id } = await a.submit({ type: 'echo', affinity, retry: { maxAttempts: 1 } });
      const { state, attempt } = await a.waitForJob(id);
      ends.add(`${state} ${attempt}`);
    }
    if (process.env.ASPEN_E2E_TIMES === '1' && linkedMs !== undefined)
      process.stderr.write(`      direct ${Math.round(performance.now() - linkedMs)} ms after linked\n`);
    assert.deepEqual([...ends], ['succeeded 1']);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const peer = await peerOf(from, to);
      assert.equal(peer?.carrier, 'quic');
      assert.match(peer?.address ?? '', /^\/ip4\/203\.0\.113\.\d+\/udp\/\d+\/quic-v1$/);
      await runsOn(from, to);
    }
    const wide = await a.cli(['peers', '-o', 'wide']);
    assert.match(wide.stdout, /\bquic\b/);
  });

  it('carry much over it, both ways, and it is the same connection afterwards', async () => {
    const [, , a, b] = town.agents;
    const before = await peerOf(a, b);
    const { directory } = town.cluster;
    await Promise.all(
      [
        [a, b],
        [b, a],
      ].map(async ([from, to], at) => {
        const [path, copy] = [join(directory, `much-${at}`), join(directory, `copy-${at}`)];
        writeFileSync(path, randomBytes(MUCH_BYTES));
        const { id } = await (from as Agent).cliJson<{ readonly id: string }>(['blob', 'add', path]);
        await (to as Agent).cliJson(['blob', 'get', id, copy]);
        assert.ok(readFileSync(copy).equals(readFileSync(path)));
      }),
    );
    const after = await peerOf(a, b);
    assert.deepEqual([after?.carrier, after?.since], ['quic', before?.since]);
  });

  it('stay linked without the public member that helped', async () => {
    const [p, , a, b] = town.agents;
    await p.kill9();
    await until(async () => (await a.status()).group.hasQuorum, { what: 'the others to go on' });
    await runsOn(a, b);
    assert.equal((await peerOf(a, b))?.carrier, 'quic');
  });

  it('are linked anew when that path dies', async () => {
    const [, , a, b] = town.agents;
    const before = (await peerOf(a, b))?.address;
    await b.kill9();
    await b.up();
    await until(
      async () => {
        const peer = await peerOf(a, b);
        return peer?.path === 'direct' && peer.address !== before;
      },
      { what: `${a.name} to reach ${b.name} directly again` },
    );
    await runsOn(a, b);
  });
});

describe('two members behind such routers, one of which lets no datagram through', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  reportFailures(() => town?.cluster);
  before(async () => {
    town = await settle([{ translation: 'strict' }, { translation: 'strict', hasDatagrams: false }]);
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('stay linked over a public member, and run jobs on each other', async () => {
    const [, , a, b] = town.agents;
    await whyNoHole(a, b);
    await staysOnCircuit(town.agents);
  });
});

describe('two members behind such routers, one of which has no QUIC', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  reportFailures(() => town?.cluster);
  before(async () => {
    town = await settle([{ translation: 'strict' }, { translation: 'strict', env: WITHOUT_QUIC }]);
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('stay linked over a public member, and the one without says why', async () => {
    const [, , a, b] = town.agents;
    assert.match(await whyNoHole(a, b), /no QUIC/);
    await staysOnCircuit(town.agents);
    const doctor = await b.cli(['doctor']);
    assert.match(doctor.stdout, /reach\.quic.*libp2p-quic is not there for this machine/);
    const netcheck = await b.cli(['netcheck']);
    assert.match(netcheck.stdout, /QUIC +no, @chainsafe\/libp2p-quic is not there for this machine/);
    const other = await a.cli(['netcheck']);
    assert.match(other.stdout, /QUIC +yes, /);
  });
});
