import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { StorageFault } from '../../../src/storage/index.ts';
import { FaultyStore } from './faulty-store.ts';
import { type Node, World } from './world.ts';

const put = (key: string, value: string) => ({ module: 'kv', kind: 'put', body: { key, value } });

async function alone() {
  const world = new World();
  const store = new FaultyStore();
  const node = await world.addNode(store);
  await world.found(node);
  const write = (key: string) => world.clock.until(node.group.client.propose(put(key, 'x')));
  const read = (key: string) =>
    world.clock.until(node.group.client.query({ module: 'kv', kind: 'get', body: { key } }));
  return { world, store, node, write, read };
}

describe('a disk that fails', () => {
  it('ends the process after a failed sync, and acknowledges nothing that it did not hold', async () => {
    const { world, store, node } = await alone();
    store.fault = 'sync-failed';
    const write = node.group.client.propose(put('a', 'x')).then(
      () => 'acknowledged',
      (error: unknown) => error as AspenError,
    );
    await world.clock.advance(200);
    assert.ok(node.fatal[0] instanceof StorageFault);
    const outcome = await world.clock.until(write);
    assert.ok(outcome instanceof AspenError && outcome.outcome === 'unknown');
    await world.stop();
  });

  it('makes a full node step down and refuse, alive, until there is room again', async () => {
    const { world, store, node, write, read } = await alone();
    await write('before');
    store.fault = 'full';
    const lost = node.group.client.propose(put('during', 'x')).catch((error: unknown) => error);
    await world.clock.advance(200);
    assert.deepEqual(node.fatal, []);
    assert.equal(node.group.leadership, undefined);
    store.fault = null;
    await world.clock.until(lost);
    await world.clock.advance(10_000);
    await write('after');
    assert.notEqual(await read('before'), null);
    assert.notEqual(await read('after'), null);
    await world.stop();
  });

  it('that stands still loses its node the leadership, which it would keep for ever (P8)', async () => {
    const world = new World();
    const store = new FaultyStore();
    const leader = await world.addNode(store);
    await world.found(leader);
    for (let made = 1; made < 3; made += 1) await world.admit(await world.addNode());
    await world.untilTrue('three vote', () => leader.group.status().voters.length === 3);
    const [, other] = world.nodes as [Node, Node];
    await world.clock.until(other.group.client.propose(put('before', 'x')));
    const { promise, resolve: release } = Promise.withResolvers<void>();
    store.held = promise;
    const during = other.group.client.propose(put('during', 'x'), { timeoutMs: 60_000 });
    await world.untilTrue('another leads', () => other.group.status().leader !== leader.peerId);
    await world.clock.until(during);
    assert.ok(leader.said.includes('the disk does not answer'));
    assert.equal(leader.group.leadership, undefined);
    release();
    store.held = undefined;
    const applied = () => world.nodes.map(({ group }) => group.status().appliedIndex);
    await world.untilTrue('all have it', () => new Set(applied()).size === 1);
    assert.deepEqual(leader.fatal, []);
    await world.stop();
  });

  it('that stands still where nobody else could lead keeps what waits for it', async () => {
    const { world, store, node, read } = await alone();
    const { promise, resolve: release } = Promise.withResolvers<void>();
    store.held = promise;
    const waiting = node.group.client.propose(put('a', 'x'), { timeoutMs: 60_000 });
    await world.clock.advance(20_000);
    assert.notEqual(node.group.leadership, undefined);
    release();
    store.held = undefined;
    await world.clock.until(waiting);
    assert.notEqual(await read('a'), null);
    await world.clock.advance(1_000);
    assert.ok(node.said.includes('the disk answers again'));
    await world.stop();
  });

  it('L3: refuses to start when the log has lost its end, however whole the rest of it is', async () => {
    const { world, store, node, write } = await alone();
    for (const key of ['a', 'b', 'c']) await write(key);
    await world.clock.advance(1_000);
    await world.kill(node);
    for (const [key] of [...store.range({ from: 'l/', to: 'l0' })].slice(-1)) {
      await store.write([{ type: 'delete', key }]);
    }
    await assert.rejects(
      () => world.restart(node),
      (error) =>
        error instanceof StorageFault && error.kind === 'damaged' && /were committed/.test(error.message),
    );
    await world.stop();
  });

  it('tells its clients that the disk is full, when nobody else leads', async () => {
    const { world, store, node, write } = await alone();
    await write('before');
    store.fault = 'full';
    const lost = node.group.client.propose(put('during', 'x')).catch((error: unknown) => error);
    await world.clock.advance(200);
    const refused = await world.clock.until(
      node.group.client.propose(put('then', 'x')).catch((error: unknown) => error),
    );
    assert.ok(refused instanceof AspenError && refused.code === 'RESOURCE_EXHAUSTED', String(refused));
    assert.equal(refused.outcome, 'not-applied');
    const { health } = await world.clock.until(node.group.report());
    assert.match(health[0]?.text ?? '', /the disk of this node is full/);
    for (const { mend } of health) assert.match(mend ?? '', /make room/, 'and no other way out');
    store.fault = null;
    await world.clock.until(lost);
    await world.stop();
  });

  it('refuses to start on a damaged log, so that it can be set aside', async () => {
    const { world, store, node, write } = await alone();
    await write('a');
    await world.kill(node);
    for (const [key, value] of [...store.range({ from: 'l/', to: 'l0' })].slice(-1)) {
      const flipped = value.slice();
      flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1;
      await store.write([{ type: 'put', key, value: flipped }]);
    }
    await assert.rejects(
      world.restart(node),
      (error) => error instanceof StorageFault && error.kind === 'damaged',
    );
  });
});
