import assert from 'node:assert/strict';
import { encode, type PeerId, SeededRandom } from '../../../src/base/index.ts';
import type { Progress, RegistryChange } from '../../../src/crdt/index.ts';
import { METHODS, TOPIC } from '../../../src/crdt/wire.ts';
import { MemoryStore } from '../../../src/storage/index.ts';
import { settle } from '../mesh/support.ts';
import { aliveOf, type Node, namesOf, profileOf, World } from './support.ts';

const saying = (message: string): Progress => ({ percent: null, message, counters: {} });

describe('registry', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());

  const assertConverged = (nodes: readonly Node[] = world.nodes) =>
    assert.equal(new Set(nodes.map(({ registry }) => registry.digest())).size, 1);

  it('every node knows every profile, who is alive, and where it stands', async () => {
    const nodes = await world.mesh(5);
    await world.advance(120_000);
    for (const node of nodes) {
      assert.deepEqual(namesOf(node), ['node-1', 'node-2', 'node-3', 'node-4', 'node-5']);
      assert.deepEqual(aliveOf(node), namesOf(node));
      assert.ok((node.registry.coordinate.error ?? 1) < 0.5, `${node.registry.coordinate.error}`);
    }
    assertConverged();
  });

  it('estimates the round trip to a node it has no link with', async () => {
    const [first, second, third] = (await world.mesh(3)) as [Node, Node, Node];
    await world.advance(300_000);
    const measuredMs = first.transport.links().find(({ peerId }) => peerId === third.peerId)?.rttMs;
    assert.equal(first.registry.rttTo(third.peerId), measuredMs);
    first.transport.hangUp(third.peerId, 'to see what the coordinates say');
    await world.advance(10);
    assert.equal(first.transport.isLinked(third.peerId), false);
    const estimatedMs = first.registry.rttTo(third.peerId) ?? Number.NaN;
    assert.ok(Math.abs(estimatedMs - (measuredMs ?? 0)) < 1, `${estimatedMs} for ${measuredMs}`);
    assert.ok((second.registry.rttTo(first.peerId) ?? 0) > 0);
    assert.equal(first.registry.rttTo('nobody' as PeerId), undefined);
  });

  it('tells nothing while it is stopped, and everything once it is started', async () => {
    const [first, second] = (await world.mesh(2)) as [Node, Node];
    await first.registry.stop();
    first.registry.publishProgress('job_1', 1, saying('unheard'));
    first.registry.bulletins.add('revocation', 'x', Buffer.from('revoke x'));
    await world.advance(1_000);
    assert.equal(second.registry.bulletins.all('revocation').length, 0);
    await first.registry.start();
    await world.advance(10_000);
    assert.equal(second.registry.bulletins.all('revocation').length, 1);
    assert.equal(second.registry.progressOf('job_1'), undefined);
  });

  it('a changed profile is everywhere within a moment', async () => {
    const [first, , third] = (await world.mesh(3)) as [Node, Node, Node];
    const changes: RegistryChange[] = [];
    third.registry.onChange((change) => changes.push(change));
    first.registry.announce(profileOf('node-1', { labels: { zone: 'us' }, groupRole: 'voter' }));
    await world.advance(200);
    assert.equal(third.registry.node(first.peerId)?.profile.labels['zone'], 'us');
    assert.ok(changes.some((change) => change.type === 'node' && change.peerId === first.peerId));
  });

  it('a node that falls silent is not alive after two missed heartbeats, and alive again when it is heard', async () => {
    const [first, second] = (await world.mesh(2)) as [Node, Node];
    const told: boolean[] = [];
    first.registry.onChange(() => told.push(first.registry.node(second.peerId)?.isAlive === true));
    world.cut.add(second.peerId);
    await world.advance(4_000);
    assert.deepEqual(aliveOf(first), ['node-1', 'node-2']);
    await world.advance(6_000);
    assert.deepEqual(aliveOf(first), ['node-1']);
    assert.deepEqual(namesOf(first), ['node-1', 'node-2']);
    world.cut.clear();
    await world.linkAll();
    await world.advance(3_000);
    assert.deepEqual(aliveOf(first), ['node-1', 'node-2']);
    assert.deepEqual(told.slice(0, 1), [false]);
    assert.ok(told.includes(true));
  });

  it('a dead node is not taken for alive by one that catches up on its last heartbeat', async () => {
    const [, second] = (await world.mesh(2)) as [Node, Node];
    await second.stop();
    await world.advance(30_000);
    const late = await world.node(3);
    await world.linkAll();
    await world.advance(3_000);
    assert.deepEqual(namesOf(late), ['node-1', 'node-2', 'node-3']);
    assert.deepEqual(aliveOf(late), ['node-1', 'node-3']);
  });

  it('C8: what gossip lost is caught up on by anti-entropy', async () => {
    const nodes = (await world.mesh(4)) as [Node, Node, Node, Node];
    world.isGossipLost = true;
    nodes[0].registry.announce(profileOf('renamed'));
    nodes[1].registry.publishProgress('job_1', 7, saying('40 of 100'));
    nodes[2].registry.bulletins.add('revocation', 'somebody', Buffer.from('revoke somebody'));
    await world.advance(40_000);
    for (const { registry } of nodes) {
      assert.equal(registry.node(nodes[0].peerId)?.profile.name, 'renamed');
      assert.equal(registry.progressOf('job_1')?.progress.message, '40 of 100');
      assert.equal(registry.bulletins.all('revocation').length, 1);
    }
    assertConverged();
    assert.deepEqual(aliveOf(nodes[0]).length, 4, 'heartbeats travel that way too');
  });

  it('both sides of a partition go on, and agree when it heals', async () => {
    const nodes = (await world.mesh(3)) as [Node, Node, Node];
    world.cut.add(nodes[2].peerId);
    await world.advance(20_000);
    nodes[0].registry.announce(profileOf('changed-here'));
    nodes[2].registry.announce(profileOf('changed-there'));
    nodes[2].registry.publishProgress('job_1', 1, saying('half'));
    await world.advance(20_000);
    world.cut.clear();
    await world.linkAll();
    await world.advance(5_000);
    assertConverged();
    assert.deepEqual(namesOf(nodes[1]), ['changed-here', 'changed-there', 'node-2']);
    assert.equal(nodes[0].registry.progressOf('job_1')?.progress.message, 'half');
  });

  it('catches up on more than fits one message', async () => {
    const first = await world.node(1);
    const counters = Object.fromEntries(
      Array.from({ length: 32 }, (_, at) => [`counter-${at}`.padEnd(60, '-'), at]),
    );
    const longest = { ...saying('x'.repeat(1_000)), counters };
    for (let at = 0; at < 300; at += 1) {
      first.registry.publishProgress(`job_${at}`, 1, longest);
    }
    const second = await world.node(2);
    await world.linkAll();
    await world.advance(3_000);
    assertConverged();
    assert.equal(second.registry.progressOf('job_10'), undefined, 'only the latest 128 of a node are kept');
    assert.equal(second.registry.progressOf('job_299')?.fencingToken, 1);
  });

  it('a restarted node knows the others and their addresses before it meets anybody, and its stamps go on', async () => {
    const store = new MemoryStore();
    const [first] = (await world.mesh(2)) as [Node, Node];
    const kept = await world.node(3, { store });
    await world.linkAll();
    await world.advance(10_000);
    kept.registry.bulletins.add('revocation', 'x', Buffer.from('revoke x'));
    kept.registry.publishProgress('job_1', 1, saying('before'));
    await world.advance(1_000);
    const stopping = kept.stop();
    await world.advance(100);
    await stopping;
    const again = await world.node(3, { store, skewMs: -8_000 });
    assert.deepEqual(namesOf(again), ['node-1', 'node-2', 'node-3']);
    assert.deepEqual(aliveOf(again), ['node-3']);
    assert.deepEqual(again.registry.node(first.peerId)?.profile.addresses, ['/memory/node-1']);
    assert.equal(again.registry.bulletins.all('revocation').length, 1);
    again.registry.announce(profileOf('came back'));
    again.registry.publishProgress('job_1', 1, saying('after'));
    await world.linkAll();
    await world.advance(3_000);
    assert.equal(first.registry.node(again.peerId)?.profile.name, 'came back');
    assert.equal(first.registry.progressOf('job_1')?.progress.message, 'after');
  });

  it('H4: a node that is started again and again is believed by the others all the while', async () => {
    const store = new MemoryStore();
    const [first] = (await world.mesh(2)) as [Node, Node];
    for (let run = 1; run <= 8; run += 1) {
      const node = await world.node(3, { store });
      node.registry.announce(profileOf(`run-${run}`));
      await world.linkAll();
      await world.advance(1_500);
      assert.equal(first.registry.node(node.peerId)?.profile.name, `run-${run}`);
      const stopping = node.stop();
      await world.advance(100);
      await stopping;
    }
    assert.equal(first.registry.counts().refused.future, 0);
  });

  it('H4: when all are started again while clocks are wrong, everybody still believes everybody', async () => {
    const skews = [0, 22_000, 50_000];
    const stores = skews.map(() => new MemoryStore());
    for (let run = 1; run <= 4; run += 1) {
      const nodes: Node[] = [];
      for (const [at, skewMs] of skews.entries())
        nodes.push(await world.node(at + 1, { store: stores[at] as MemoryStore, skewMs }));
      await world.linkAll();
      await world.advance(6_000);
      for (const node of nodes) {
        assert.deepEqual(aliveOf(node), ['node-1', 'node-2', 'node-3'], `run ${run}, ${node.name}`);
        assert.equal(node.registry.counts().refused.future, 0);
      }
      const stopping = nodes.map((node) => node.stop());
      await world.advance(100);
      await Promise.all(stopping);
    }
  });

  it('H5: a node that begins earlier than it ended is heard as soon as somebody shows it what it said', async () => {
    const options = { heartbeatEveryMs: 100_000 };
    const store = new MemoryStore();
    const first = await world.node(1, { options });
    const kept = await world.node(2, { store, skewMs: 50_000, options });
    await world.linkAll();
    const write = store.write.bind(store);
    store.write = () => Promise.resolve(); // what a crash takes along
    await world.advance(9_000);
    kept.registry.announce(profileOf('before'));
    await world.advance(500);
    const stopping = kept.stop();
    await world.advance(100);
    await stopping;
    store.write = write;
    const again = await world.node(2, { store, options });
    again.registry.announce(profileOf('after'));
    const late = await world.node(3, { options });
    const dialing = again.transport.dial(late.peerId, [`/memory/${late.peerId}`]);
    await world.advance(8_000); // it has introduced itself, to one that knew nothing of it
    await dialing;
    await world.linkAll();
    await world.advance(2_000);
    assert.equal(first.registry.node(again.peerId)?.profile.name, 'after');
    assert.ok(aliveOf(first).includes('after'));
  });

  it('a node that lost its disk overtakes what others remember of its earlier life', async () => {
    const [first, second] = (await world.mesh(2, {})) as [Node, Node];
    second.clock.offsetMs = 50_000;
    second.registry.announce(profileOf('from the future'));
    await world.advance(1_000);
    const stopping = second.stop();
    await world.advance(100);
    await stopping;
    const again = await world.node(2);
    await world.linkAll();
    await world.advance(10_000);
    assert.equal(first.registry.node(again.peerId)?.profile.name, 'node-2');
    assertConverged();
  });

  it('C11 a node is known to those that never met it, since it tells what proves it', async () => {
    const chain: Node[] = [];
    for (let number = 1; number <= 5; number += 1)
      chain.push(await world.node(number, { knows: new Set(chain.slice(-1).map(({ peerId }) => peerId)) }));
    const dials = chain
      .slice(1)
      .map((node, at) =>
        node.transport.dial((chain[at] as Node).peerId, [`/memory/${(chain[at] as Node).peerId}`]),
      );
    await world.advance(100);
    await Promise.all(dials);
    await world.advance(30_000);
    for (const node of chain) assert.equal(aliveOf(node).length, 5, `${node.name}: ${aliveOf(node).join()}`);
    assertConverged();
  });

  it('C12 a node that was alone says it again, so that nobody waits for anti-entropy', async () => {
    const options = { syncEveryMs: 3_600_000 };
    const nodes = await world.mesh(4, { options });
    const late = await world.node(5, { options });
    await world.advance(2_000);
    const dialing = late.transport.dial((nodes[0] as Node).peerId, [`/memory/${(nodes[0] as Node).peerId}`]);
    await world.advance(6_000);
    await dialing;
    for (const node of nodes) assert.ok(aliveOf(node).includes('node-5'), node.name);
  });

  it('C10 tells who is linked with whom, and rests while no path changes', async () => {
    const [first, second, third] = (await world.mesh(3)) as [Node, Node, Node];
    const marksOf = (of: Node) => first.registry.linksOf(of.peerId)?.links.map(({ mark }) => mark);
    const marks = (...nodes: Node[]) => nodes.map(({ peerId }) => peerId.slice(-12)).sort();
    await world.advance(120_000);
    assert.deepEqual(marksOf(second), marks(first, third));
    assert.deepEqual(marksOf(third), marks(first, second));
    const toldAtMs = first.registry.linksOf(second.peerId)?.toldAtMs;
    await world.advance(200_000);
    assert.equal(first.registry.linksOf(second.peerId)?.toldAtMs, toldAtMs, 'nothing changed');
    world.cut.add(third.peerId);
    await world.advance(120_000);
    assert.deepEqual(marksOf(second), marks(first));
  });

  it('writes to disk now and then, not for each heartbeat', async () => {
    let batches = 0;
    const store = new MemoryStore();
    const write = store.write.bind(store);
    store.write = (batch) => {
      batches += 1;
      return write(batch);
    };
    await world.node(1, { store });
    await world.advance(60_000);
    assert.ok(batches <= 8, `${batches} batches in a minute`);
  });

  it('a node that was off for more than the horizon comes back, and what it held does not', async () => {
    const options = { horizonMs: 600_000 };
    const nodes = (await world.mesh(3, { options })) as [Node, Node, Node];
    nodes[0].registry.publishProgress('job_1', 1, saying('long ago'));
    await world.advance(1_000);
    world.cut.add(nodes[2].peerId);
    await world.advance(700_000);
    assert.equal(nodes[1].registry.progressOf('job_1'), undefined);
    world.cut.clear();
    await world.linkAll();
    await world.advance(10_000);
    assertConverged();
    assert.deepEqual(aliveOf(nodes[2]), ['node-1', 'node-2', 'node-3']);
    assert.equal(nodes[2].registry.progressOf('job_1'), undefined);
  });

  describe('progress', () => {
    it('a higher fencing token wins over a later report, and of one attempt the later report wins', async () => {
      const [first, second, third] = (await world.mesh(3)) as [Node, Node, Node];
      second.registry.publishProgress('job_1', 20, saying('second attempt'));
      await world.advance(1_000);
      first.registry.publishProgress('job_1', 10, saying('a straggler'));
      await world.advance(1_000);
      for (const { registry } of [first, second, third]) {
        assert.equal(registry.progressOf('job_1')?.progress.message, 'second attempt');
      }
      second.registry.publishProgress('job_1', 20, saying('further on'));
      await world.advance(1_000);
      assert.equal(first.registry.progressOf('job_1')?.progress.message, 'further on');
      assert.equal(first.registry.progressOf('job_1')?.fencingToken, 20);
      assert.equal(first.registry.progressOf('job_2'), undefined);
    });

    it('what an earlier attempt on the same node says after a later one is dropped', async () => {
      const [first, second] = (await world.mesh(2)) as [Node, Node];
      first.registry.publishProgress('job_1', 20, saying('second attempt'));
      first.registry.publishProgress('job_1', 10, saying('a straggler'));
      await world.advance(1_000);
      for (const { registry } of [first, second])
        assert.equal(registry.progressOf('job_1')?.progress.message, 'second attempt');
    });

    it('refuses what is too long to be told everybody', async () => {
      const node = await world.node(1);
      const counters = Object.fromEntries(
        Array.from({ length: 64 }, (_, at) => [`${at}`.padEnd(64, '-'), at]),
      );
      assert.throws(() => node.registry.publishProgress('job_1', 1, { ...saying('much'), counters }), {
        code: 'RESOURCE_EXHAUSTED',
      });
      assert.throws(() => node.registry.publishProgress('job_1', 1, saying('x'.repeat(5_000))), {
        code: 'INVALID_PARAMS',
      });
    });
  });

  it('C15: a newcomer that is linked with many is told all by one of them', async () => {
    const nodes = await world.mesh(8);
    await world.advance(20_000);
    const newcomer = await world.node(9);
    const taken: string[] = [];
    newcomer.transport.onFrame((from, frame) => {
      if (frame.length > 2_000) taken.push(from);
    });
    await world.linkAll();
    await world.advance(1_500);
    assert.deepEqual(namesOf(newcomer), nodes.map(namesOf)[0]);
    assert.equal(new Set(taken).size, 1, `${taken}`);
    await world.advance(10_000);
    assertConverged();
  });

  describe('bulletins', () => {
    it('a newcomer has all of them at once, however many there are', async () => {
      const first = await world.node(1);
      for (let at = 0; at < 9_000; at += 1)
        first.registry.bulletins.add('revocation', `${at}`, Buffer.from(`revoke ${at}`));
      const second = await world.node(2);
      await world.linkAll();
      await world.advance(2_000);
      assert.equal(second.registry.bulletins.all('revocation').length, 9_000);
    });

    it('anyone may pass on a valid one; each node tells its listeners once; others are refused', async () => {
      const nodes = (await world.mesh(3)) as [Node, Node, Node];
      const heard: string[] = [];
      nodes[2].registry.bulletins.onAdded(({ key }) => heard.push(key));
      const bytes = Buffer.from('revoke mallory');
      assert.equal(nodes[0].registry.bulletins.add('revocation', 'mallory', bytes), true);
      assert.equal(nodes[1].registry.bulletins.add('revocation', 'mallory', bytes), true);
      assert.equal(nodes[1].registry.bulletins.add('revocation', 'mallory', Buffer.from('forged')), false);
      assert.equal(nodes[1].registry.bulletins.add('unheard of', 'x', bytes), false);
      await world.advance(1_000);
      assert.deepEqual(heard, ['mallory']);
      assertConverged();
    });
  });

  describe('what others may send', () => {
    it('C2: a node that signs with another key is heard by nobody', async () => {
      const [first] = (await world.mesh(2)) as [Node, Node];
      const forger = await world.node(9, { isForger: true });
      await world.linkAll();
      await world.advance(10_000);
      assert.deepEqual(namesOf(first), ['node-1', 'node-2']);
      assert.ok(first.registry.counts().refused['not-signed'] > 0);
      assert.deepEqual(namesOf(forger), ['node-1', 'node-2', 'node-9']);
    });

    it('C5: a node whose clock is far ahead is not believed, and carries nobody along', async () => {
      const [first, second] = (await world.mesh(2)) as [Node, Node];
      await world.node(9, { skewMs: 3_600_000 });
      await world.linkAll();
      await world.advance(10_000);
      assert.deepEqual(namesOf(first), ['node-1', 'node-2']);
      assert.ok(first.registry.counts().refused.future > 0);
      first.registry.publishProgress('job_1', 1, saying('now'));
      await world.advance(1_000);
      const stamp = Number.parseInt(second.registry.progressOf('job_1')?.hlc ?? '', 10);
      assert.ok(Math.abs(stamp - world.clock.wallMs()) < 2_000);
    });

    it('a revoked node is forgotten and stays out, also when others still relay it', async () => {
      const [first, second, third] = (await world.mesh(3)) as [Node, Node, Node];
      world.revoked.add(third.peerId);
      first.registry.forget(third.peerId);
      await world.advance(20_000);
      assert.deepEqual(namesOf(first), ['node-1', 'node-2']);
      second.registry.forget(third.peerId);
      await world.advance(5_000);
      assertConverged([first, second]);
    });

    it('a node that leaves for good is gone everywhere', async () => {
      const [first, second, third] = (await world.mesh(3)) as [Node, Node, Node];
      third.registry.withdraw();
      await world.advance(5_000);
      assert.deepEqual(namesOf(first), ['node-1', 'node-2']);
      assert.deepEqual(namesOf(second), ['node-1', 'node-2']);
    });

    it('C9: garbage is counted and harms nothing', async () => {
      const [first, second] = (await world.mesh(2)) as [Node, Node];
      const digest = first.registry.digest();
      const random = new SeededRandom(5);
      const junk = [null, 7, 'x', [], {}, [['node', [[1, 2]]]], { wants: 1, items: [] }, random.bytes(50)];
      for (const body of junk) {
        second.transport.gossip.publish(TOPIC, encode(body));
        second.transport.gossip.publish(TOPIC, random.bytes(40));
        for (const method of [METHODS.compare, METHODS.exchange])
          second.messenger.send(first.peerId, method, body);
        const items = [
          ['node', body],
          ['bulletin', body],
          ['no such space', body],
        ];
        second.messenger.send(first.peerId, METHODS.exchange, { wants: [], items });
      }
      await settle();
      await world.advance(5_000);
      assert.equal(first.registry.digest(), digest);
      assert.ok(first.registry.counts().refused.malformed > junk.length);
      assert.deepEqual(aliveOf(first), ['node-1', 'node-2']);
    });

    it('C9: a peer that answers nonsense, or not at all, does not stop the rounds with others', async () => {
      const [first, second] = (await world.mesh(2)) as [Node, Node];
      world.isGossipLost = true;
      const liar = await world.node(3);
      await liar.registry.stop();
      liar.messenger.handle(METHODS.compare, () => ({ differences: 'all', isMore: true }));
      await world.linkAll();
      second.registry.announce(profileOf('renamed'));
      await world.advance(60_000);
      assert.equal(first.registry.node(second.peerId as PeerId)?.profile.name, 'renamed');
      assert.ok(first.registry.counts().syncFailed > 0);
    });
  });
});
