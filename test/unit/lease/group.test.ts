import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { AspenError } from '../../../src/base/index.ts';
import { MACHINE_VERSION } from '../../../src/lease/machine/index.ts';
import { createIdentity, secretHash, verifyDischarge } from '../../../src/mesh/index.ts';
import { type Node, World } from './world.ts';

const put = (key: string, value: string) => ({ module: 'kv', kind: 'put', body: { key, value } });
const get = (key: string) => ({ module: 'kv', kind: 'get', body: { key } });

/** A mesh in which every node is a voter. */
async function meshOf(count: 1 | 3, options: ConstructorParameters<typeof World>[0] = {}): Promise<World> {
  const world = new World(options);
  const first = await world.addNode();
  await world.found(first);
  for (let made = 1; made < count; made += 1) await world.admit(await world.addNode());
  await world.untilTrue('all vote', () => first.group.status().voters.length === count);
  await world.untilTrue('all know it', () =>
    world.nodes.every(({ group }) => group.status().role === 'voter' && group.status().leader !== null),
  );
  return world;
}

async function valueAt(world: World, node: Node, key: string): Promise<string | undefined> {
  const found = await world.clock.until(node.group.client.query<{ value: string } | null>(get(key)));
  return found?.value;
}

describe('a group of one', () => {
  it('is founded, acknowledges writes and reads them back', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const { revision } = await world.clock.until(
      node.group.client.propose<{ revision: number }>(put('a', '1')),
    );
    assert.ok(revision > 2 ** 40);
    assert.equal(await valueAt(world, node, 'a'), '1');
    assert.equal(node.group.status().hasQuorum, true);
    await world.stop();
  });

  it('goes by the newest machine version as soon as it is founded', async () => {
    const world = new World();
    const node = await world.addNode();
    await world.found(node);
    await world.clock.until(node.group.client.propose(put('a', '1')));
    const asked = node.group.client.query<{ version: number }>({
      module: 'machine',
      kind: 'state',
      body: null,
    });
    assert.equal((await world.clock.until(asked)).version, MACHINE_VERSION);
    await world.stop();
  });

  it('comes back after a crash with everything it acknowledged, and founding again changes nothing', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    for (let at = 0; at < 20; at += 1) {
      await world.clock.until(node.group.client.propose(put(`k${at}`, `${at}`)));
    }
    await world.kill(node);
    const again = await world.restart(node);
    await world.found(again);
    for (let at = 0; at < 20; at += 1) assert.equal(await valueAt(world, again, `k${at}`), `${at}`);
    assert.deepEqual(again.fatal, []);
    await world.stop();
  });

  it('keeps nothing at the signal of a caller whose proposal is over', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const { signal } = new AbortController();
    for (let at = 0; at < 5; at += 1) {
      await world.clock.until(node.group.client.propose(put('a', `${at}`), { signal }));
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await world.stop();
  });

  it('commits many proposals of one turn in few entries', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const before = node.group.status().commitIndex;
    const all = Array.from({ length: 500 }, (_, at) => node.group.client.propose(put(`k${at}`, 'x')));
    await world.clock.until(Promise.all(all));
    assert.ok(node.group.status().commitIndex - before < 10);
    await world.stop();
  });

  it('expires a key by group time', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const body = { key: 'a', value: '1', ttlMs: 3_000 };
    await world.clock.until(node.group.client.propose({ module: 'kv', kind: 'put', body }));
    await world.clock.advance(2_000);
    assert.equal(await valueAt(world, node, 'a'), '1');
    await world.clock.advance(2_000);
    assert.equal(await valueAt(world, node, 'a'), undefined);
    await world.stop();
  });
});

describe('a group of three', () => {
  it('grows from one to three voters by itself, and all replicas apply the same', async () => {
    const world = await meshOf(3);
    const hashes = new Map<number, Set<number>>();
    for (const { group } of world.nodes) {
      group.onApplied(({ index, hash }) => hashes.set(index, (hashes.get(index) ?? new Set()).add(hash)));
    }
    for (const node of world.nodes) {
      await world.clock.until(node.group.client.propose(put(node.peerId, 'here')));
    }
    await world.clock.advance(1_000);
    for (const node of world.nodes) {
      for (const other of world.nodes) assert.equal(await valueAt(world, node, other.peerId), 'here');
    }
    assert.ok(hashes.size >= 3);
    for (const same of hashes.values()) assert.equal(same.size, 1);
    await world.stop();
  });

  it('goes on when its leader dies, with every acknowledged write, within seconds', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const writer = world.nodes.find((node) => node !== leader) as Node;
    for (let at = 0; at < 10; at += 1)
      await world.clock.until(writer.group.client.propose(put(`k${at}`, 'x')));
    await world.kill(leader);
    world.nodes.splice(world.nodes.indexOf(leader), 1);
    const diedAtMs = world.clock.monotonicMs();
    await world.clock.until(writer.group.client.propose(put('after', 'y'), { timeoutMs: 30_000 }));
    assert.ok(world.clock.monotonicMs() - diedAtMs < 6_000, `${world.clock.monotonicMs() - diedAtMs} ms`);
    for (let at = 0; at < 10; at += 1) assert.equal(await valueAt(world, writer, `k${at}`), 'x');
    await world.stop();
  });

  it('asks the next leader as soon as there is one, however long the one that was cut off might still answer', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const writer = world.nodes.find((node) => node !== leader) as Node;
    await world.clock.until(writer.group.client.propose(put('a', 'old')));
    world.isolate(leader);
    const cutAtMs = world.clock.monotonicMs();
    const [written, read] = [
      writer.group.client.propose(put('a', 'new')),
      writer.group.client.query<{ value: string }>(get('a')),
    ];
    await world.clock.until(Promise.all([written, read]));
    const electedMs = 2_000; // at the latest, where nobody stands against another
    const tookMs = world.clock.monotonicMs() - cutAtMs;
    assert.ok(tookMs < electedMs + 400, `${tookMs} ms`);
    assert.equal(await valueAt(world, writer, 'a'), 'new');
    await world.stop();
  });

  it('applies each of many writes once, though the leader dies among them', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const writer = world.nodes.find((node) => node !== leader) as Node;
    const increments = Array.from({ length: 50 }, (_, at) =>
      writer.group.client
        .propose(
          { module: 'kv', kind: 'put', body: { key: 'counted', value: `${at}` } },
          { timeoutMs: 30_000 },
        )
        .then(() => 1),
    );
    await world.clock.advance(2);
    await world.kill(leader);
    world.nodes.splice(world.nodes.indexOf(leader), 1);
    await world.clock.until(Promise.all(increments));
    const found = await world.clock.until(writer.group.client.query<{ version: number }>(get('counted')));
    assert.equal(found.version, 50);
    await world.stop();
  });

  it('tells a cut-off member NO_QUORUM or DEADLINE_EXCEEDED with an honest outcome, and no stale value', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    await world.clock.until(leader.group.client.propose(put('a', 'old')));
    world.isolate(leader);
    const write = failure(leader.group.client.propose(put('a', 'lost?')));
    const read = failure(leader.group.client.query(get('a')));
    const rest = world.nodes.filter((node) => node !== leader);
    await world.clock.until((rest[0] as Node).group.client.propose(put('a', 'new'), { timeoutMs: 30_000 }));
    const written = await world.clock.until(write);
    const isHonest =
      (written.code === 'DEADLINE_EXCEEDED' && written.outcome === 'unknown') ||
      (written.code === 'NO_QUORUM' && written.outcome === 'not-applied');
    assert.ok(isHonest, `${written.code} ${written.outcome}`);
    assert.match((await world.clock.until(read)).code, /NO_QUORUM|DEADLINE_EXCEEDED/);
    const later = await world.clock.until(failure(leader.group.client.propose(put('a', 'never'))));
    assert.deepEqual([later.code, later.outcome], ['NO_QUORUM', 'not-applied']);
    await world.heal();
    await world.clock.advance(3_000);
    for (const node of world.nodes) assert.equal(await valueAt(world, node, 'a'), 'new');
    await world.stop();
  });

  it('gives up a question without a leader when its caller would rather wait less', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    world.isolate(leader);
    await world.clock.advance(10_000);
    const beganMs = world.clock.monotonicMs();
    const options = { timeoutMs: 30_000, leaderlessMs: 500 };
    const error = await world.clock.until(failure(leader.group.client.askLeader('jobs/wait', {}, options)));
    assert.deepEqual([error.code, error.outcome], ['NO_QUORUM', 'not-applied']);
    assert.ok(world.clock.monotonicMs() - beganMs < 3_000);
    await world.stop();
  });

  it('never says not-applied of a call whose last try is still on its way when its time is over (G3)', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const asked = world.nodes.find((node) => node !== leader) as Node;
    await world.clock.until(asked.group.client.propose(put('a', 'old')));
    const write = failure(asked.group.client.propose(put('a', 'new'), { timeoutMs: 1_000 }));
    await world.clock.advance(1); // it gets to the leader; the answer does not come back
    world.isolate(asked);
    const { code, outcome } = await world.clock.until(write);
    assert.deepEqual([code, outcome], ['DEADLINE_EXCEEDED', 'unknown']);
    assert.equal(await valueAt(world, leader, 'a'), 'new');
    await world.stop();
  });

  it('never says not-applied of a call that is refused after an earlier try may have been applied (G3)', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const leaver = world.nodes.find((node) => node !== leader) as Node;
    const write = failure(leaver.group.client.propose(put('a', 'new'), { timeoutMs: 60_000 }));
    await world.clock.advance(1); // it gets to the leader; the answer does not come back
    world.isolate(leaver);
    await world.clock.advance(3_000);
    const { client } = world.leader().group;
    await world.clock.until(client.askLeader('members/leave', { peerId: leaver.peerId }));
    await world.heal();
    const refused = await world.clock.until(write);
    assert.equal(refused.outcome, 'unknown');
    assert.match(refused.message, /earlier try may have taken effect.*its role is none/);
    assert.equal(await valueAt(world, world.leader(), 'a'), 'new');
    await world.stop();
  });

  it('loses nothing when all are killed at once and started again', async () => {
    const world = await meshOf(3);
    await world.clock.until(world.leader().group.client.propose(put('a', 'kept')));
    const nodes = [...world.nodes];
    for (const node of nodes) await world.kill(node);
    for (const node of nodes) await world.restart(node);
    await world.clock.advance(5_000);
    for (const node of world.nodes) assert.equal(await valueAt(world, node, 'a'), 'kept');
    await world.stop();
  });

  it('brings a newcomer up to date by a snapshot when the log is gone, without missing a write', async () => {
    const world = new World({ replica: { keepEntries: 50 } });
    const first = await world.addNode();
    await world.found(first);
    for (let round = 0; round < 30; round += 1) {
      for (let at = 0; at < 60; at += 1) {
        void first.group.client.propose(put(`k${round}/${at}`, 'x'.repeat(2_000)));
        await Promise.resolve();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await world.clock.advance(3_000);
    const newcomer = await world.addNode();
    await world.admit(newcomer);
    await world.untilTrue('the newcomer stands by', () => newcomer.group.status().role === 'standby');
    await world.untilTrue(
      'the newcomer has it all',
      () => newcomer.group.status().appliedIndex === first.group.status().appliedIndex,
    );
    const stale = await world.clock.until(
      newcomer.group.client.query<{ entries: unknown[] }>({
        module: 'kv',
        kind: 'scan',
        body: { prefix: 'k', limit: 10_000 },
        consistency: 'linearizable',
      }),
    );
    assert.ok(stale.entries.length > 500);
    assert.equal(
      (await world.clock.until(newcomer.group.client.query({ ...get('k29/59'), consistency: 'stale' }))) !==
        null,
      true,
    );
    assert.ok(newcomer.said.includes('snapshot installed'));
    assert.deepEqual(newcomer.fatal, []);
    await world.kill(newcomer);
    const again = await world.restart(newcomer);
    assert.equal(again.group.isMember, true);
    await world.stop();
  });

  it('answers a node that has no part in the group through one that has', async () => {
    const world = await meshOf(1);
    const outsider = await world.addNode();
    await world.admit(outsider, 'submitter');
    await world.clock.until(outsider.group.client.propose(put('a', 'from outside')));
    assert.equal(await valueAt(world, outsider, 'a'), 'from outside');
    await world.clock.advance(5_000);
    assert.equal(outsider.group.status().role, 'spare');
    assert.equal(outsider.group.status().leader, (world.nodes[0] as Node).peerId);
    await world.stop();
  });

  it('takes no change from whoever is no member, or only watches', async () => {
    const world = await meshOf(1);
    for (const role of ['observer', null] as const) {
      const stranger = await world.addNode();
      if (role !== null) await world.admit(stranger, role);
      const refused = await world.clock.until(failure(stranger.group.client.propose(put('a', 'x'))));
      assert.deepEqual([refused.code, refused.outcome], ['DENIED', 'not-applied']);
    }
    assert.equal(await valueAt(world, world.nodes[0] as Node, 'a'), undefined);
    await world.stop();
  });

  it('the only voter hands over its vote before it leaves, and the standby that gets it keeps the root key', async () => {
    const world = await meshOf(1);
    const leader = world.leader();
    const other = await world.addNode();
    await world.admit(other);
    await world.untilTrue('the other stands by', () => other.group.status().role === 'standby');
    await world.clock.until(leader.group.leave());
    await world.untilTrue('the other leads', () => other.group.leadership !== undefined);
    assert.deepEqual(other.group.status().voters, [other.peerId]);
    await world.clock.until(other.group.client.propose(put('a', 'goes on'), { timeoutMs: 30_000 }));
    await world.admit(await world.addNode());
    await world.stop();
  });

  it('hands over before a member leaves, and goes on without it', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    await world.clock.until(leader.group.leave());
    assert.equal(leader.group.leadership, undefined);
    const other = world.nodes.find((node) => node !== leader) as Node;
    await world.clock.until(other.group.client.propose(put('a', 'goes on'), { timeoutMs: 30_000 }));
    await world.untilTrue(
      'the voters are others',
      () => !other.group.status().voters.includes(leader.peerId),
    );
    await world.stop();
  });
});

describe('tickets at the leader', () => {
  it('admit as many as they say, the same one again with the same certificate, and others with a reason', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const { client } = node.group;
    const secret = world.random.bytes(16);
    const ask = <R>(method: string, body: unknown) => world.clock.until(client.askLeader<R>(method, body));
    const { id: ticketId } = await ask<{ id: string }>('members/create-ticket', {
      role: 'worker',
      ttlMs: 10_000,
      uses: 1,
      secretHash: secretHash(world.crypto, secret),
    });
    const [one, two] = [1, 2].map(() => createIdentity(world.crypto, world.random.bytes(32)));
    assert.ok(one && two);
    const redeem = (identity: typeof one, overrides: object = {}) => {
      const { peerId, sealingKey } = identity;
      return ask<{ certificate: Uint8Array }>('members/redeem', {
        ticketId,
        secret,
        peerId,
        sealingKey,
        ...overrides,
      });
    };
    const first = await redeem(one);
    const second = await redeem(one);
    assert.ok(world.crypto.equal(second.certificate, first.certificate));
    await assert.rejects(redeem(two), { code: 'DENIED', message: new RegExp(`${ticketId}.*used up`) });
    await assert.rejects(redeem(two, { secret: new Uint8Array(16) }), { code: 'DENIED', message: /secret/ });
    await assert.rejects(redeem(two, { ticketId: 'tkt_nobody' }), { code: 'DENIED', message: /know/ });
    await world.clock.advance(11_000);
    await assert.rejects(redeem(two), { code: 'DENIED', message: /expired/ });
    await ask('members/revoke-ticket', { id: ticketId });
    await assert.rejects(redeem(two), { code: 'DENIED', message: /revoked/ });
    await world.stop();
  });

  it('are no sign of whoever has left: the mesh says that somebody has left only of who is no member', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const { client } = node.group;
    const stranger = createIdentity(world.crypto, world.random.bytes(32));
    const certificateSignature = new Uint8Array(64).fill(1);
    const ask = ({ peerId }: Pick<Node, 'peerId'>) =>
      world.clock.until(
        client.askLeader<{ discharge: Uint8Array }>('members/discharge', { peerId, certificateSignature }),
      );
    await assert.rejects(ask(node), { code: 'CONFLICT', message: /has not left/ });
    const roots = { number: 0, numberOf: () => 0 };
    const { discharge } = await ask(stranger);
    const told = verifyDischarge({ crypto: world.crypto, meshId: world.meshId, roots }, discharge);
    assert.equal(told?.peerId, stranger.peerId);
    await world.stop();
  });

  it('revoke a voter only after it is out of the group', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const victim = world.nodes.find((node) => node !== leader) as Node;
    await world.clock.until(
      leader.group.client.askLeader('members/revoke', { peerId: victim.peerId }, { timeoutMs: 10_000 }),
    );
    assert.ok(!leader.group.status().voters.includes(victim.peerId));
    const { members } = await world.clock.until(
      leader.group.client.query<{ members: { peerId: string; revokedAtMs: number | null }[] }>({
        module: 'members',
        kind: 'list',
        body: null,
      }),
    );
    assert.notEqual(members.find(({ peerId }) => peerId === victim.peerId)?.revokedAtMs, null);
    await world.stop();
  });
});

async function failure(promise: Promise<unknown>): Promise<AspenError> {
  return promise.then(
    () => assert.fail('expected a failure'),
    (error: unknown) => {
      assert.ok(error instanceof AspenError, String(error));
      return error;
    },
  );
}
