import assert from 'node:assert/strict';
import { OsCrypto } from '../../src/base/os-crypto.ts';
import { decodeTicket, encodeTicket } from '../../src/mesh/ticket.ts';
import { type Agent, Cluster, type Job, runProgram, type Ticket, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';
import { Stranger } from './harness/stranger.ts';

const DENIED = 7;
const WRONG_USAGE = 2;

describe('whoever has no valid ticket', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let founder: Agent;
  let joiners = 0;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    founder = cluster.add('a');
    await founder.up();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const create = (...flags: string[]) => founder.cliJson<Ticket>(['ticket', 'create', ...flags]);

  /** Joins from an empty directory and looks at what became of it. */
  async function refusedJoin(ticket: string, codes: readonly number[]): Promise<string> {
    joiners += 1;
    const joiner = cluster.add(`j${joiners}`);
    const before = await membersAt(founder);
    const ran = await joiner.cli(['join', ticket, '--foreground'], {
      env: { ASPEN_LISTEN: '/ip4/127.0.0.1/tcp/0', ASPEN_MDNS: 'off' },
    });
    assert.ok(codes.includes(ran.code ?? -1), `exit code ${ran.code}: ${ran.stderr}`);
    assert.notEqual(ran.stderr.trim(), '', 'a refusal says why');
    assert.deepEqual(await membersAt(founder), before);
    assert.equal((await joiner.cli(['status'])).code, 6, 'the refused agent does not run');
    return ran.stderr;
  }

  it('with a ticket changed anywhere is refused', async () => {
    const { ticket } = await create();
    for (const at of [8, Math.floor(ticket.length / 2), ticket.length - 3]) {
      const changed = ticket[at] === 'A' ? 'B' : 'A';
      await refusedJoin(`${ticket.slice(0, at)}${changed}${ticket.slice(at + 1)}`, [WRONG_USAGE, DENIED]);
    }
    await refusedJoin('aspen1', [WRONG_USAGE, DENIED]);
    await refusedJoin('hello', [WRONG_USAGE, DENIED]);
  });

  it('with a ticket whose checksum was mended after the change is refused', async () => {
    const crypto = new OsCrypto();
    const ticket = decodeTicket(crypto, (await create()).ticket);
    await refusedJoin(encodeTicket(crypto, { ...ticket, uses: 100 }), [DENIED]);
    await refusedJoin(encodeTicket(crypto, { ...ticket, expiresAtMs: ticket.expiresAtMs + 1 }), [DENIED]);
    await refusedJoin(encodeTicket(crypto, { ...ticket, secret: new Uint8Array(16) }), [DENIED, WRONG_USAGE]);
  });

  it('with an expired ticket is refused', async () => {
    const { ticket, expiresAt } = await create('--ttl', '1s');
    await until(() => Date.now() > Number(new Date(expiresAt)), { what: 'the ticket to expire' });
    assert.match(await refusedJoin(ticket, [DENIED]), /expire/i);
  });

  it('with a revoked ticket is refused', async () => {
    const { ticket, id } = await create();
    const revoked = await founder.cli(['ticket', 'revoke', id]);
    assert.equal(revoked.code, 0, revoked.stderr);
    assert.match(await refusedJoin(ticket, [DENIED]), /revoke/i);
  });

  it('with a ticket that is used up is refused, while its user may use it again', async () => {
    const { ticket } = await create('--uses', '1');
    const guest = cluster.add('guest');
    await guest.join(ticket);
    await until(async () => (await membersAt(founder)).known.includes(guest.peerId), {
      what: 'the guest to be known',
    });
    await refusedJoin(ticket, [DENIED]);
    const again = await guest.cli(['join', ticket]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal((await guest.cli(['leave'])).code, 0);
    await guest.stop();
  });

  it('with a ticket of another mesh is refused by this one', async () => {
    const other = cluster.add('other');
    await other.up();
    const crypto = new OsCrypto();
    const foreign = decodeTicket(crypto, (await other.call<Ticket>('mesh.ticket')).ticket);
    const own = decodeTicket(crypto, (await create()).ticket);
    await refusedJoin(encodeTicket(crypto, { ...foreign, members: own.members }), [DENIED]);
    await other.stop();
  });

  it('does not lure an agent with jobs of its own into another mesh', async () => {
    const owner = cluster.add('owner');
    await owner.up();
    const { id } = await owner.submit({ type: 'echo', payload: 'mine' });
    await owner.waitForJob(id);
    const before = await owner.status();
    const { ticket } = await create();
    const refused = await owner.cli(['join', ticket]);
    assert.equal(refused.code, 4, refused.stderr);
    assert.match(refused.stderr, /--abandon/);
    const after = await owner.status();
    assert.deepEqual([after.meshId, after.peerId], [before.meshId, before.peerId]);
    assert.equal((await owner.call<Job>('job.get', { id })).state, 'succeeded');
    assert.ok(!JSON.stringify(await founder.call('mesh.peers')).includes(owner.peerId));
    await owner.stop();
    const stopped = await runProgram(['join', ticket, '--foreground', '--data-dir', owner.dataDir]);
    assert.equal(stopped.code, 4, stopped.stderr);
  });

  it('speaks with a member about admission and about nothing else', async () => {
    const crypto = new OsCrypto();
    const { members } = decodeTicket(crypto, (await create()).ticket);
    const address = members
      .flatMap(({ addresses }) => addresses)
      .find((candidate) => candidate.includes('/ip4/'));
    assert.ok(address !== undefined);
    await using stranger = await Stranger.arrive();
    const { meshId } = await founder.status();
    for (const protocol of [...protocolsOf(meshId), ...LIBP2P_PROTOCOLS]) {
      const knock = await stranger.knock(address, protocol, new Uint8Array(64).fill(7));
      assert.notEqual(knock.ended, 'left waiting', `${protocol} stayed open for a stranger`);
      assert.equal(knock.answerBytes, 0, `${protocol} told a stranger something`);
    }
    const admission = `/aspen/${meshId}/admission/1`;
    const noise = await stranger.knock(address, admission, new Uint8Array(512 * 1_024).fill(255));
    assert.equal(noise.ended, 'stream closed', 'half a megabyte of noise ends an admission');
    assert.equal(await stranger.publish(`/aspen/${meshId}/registry`, new Uint8Array(32)), 0);
    assert.equal(stranger.gossipPeers(), 0);
    const status = await founder.status();
    assert.deepEqual([status.group.voters, status.group.hasQuorum], [[founder.peerId], true]);
  });
});

/** Who belongs to the mesh, as this agent sees it. */
async function membersAt(
  agent: Agent,
): Promise<{ readonly voters: readonly string[]; readonly known: string[] }> {
  const { group } = await agent.status();
  const { nodes } = await agent.call<{ nodes: { peerId: string }[] }>('node.list');
  return { voters: group.voters, known: nodes.map(({ peerId }) => peerId).sort() };
}

/** What members speak among themselves, by the names they give it. */
function protocolsOf(meshId: string): string[] {
  return ['channel', 'raft', 'gossip', 'registry', 'rpc'].map((name) => `/aspen/${meshId}/${name}/1`);
}

const LIBP2P_PROTOCOLS = [
  '/ipfs/id/1.0.0',
  '/ipfs/id/push/1.0.0',
  '/ipfs/ping/1.0.0',
  '/ipfs/kad/1.0.0',
  '/libp2p/circuit/relay/0.2.0/hop',
  '/libp2p/dcutr',
  '/meshsub/1.2.0',
  '/meshsub/1.1.0',
  '/floodsub/1.0.0',
];
