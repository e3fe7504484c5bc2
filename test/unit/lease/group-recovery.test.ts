import assert from 'node:assert/strict';
import { type Node, World } from './world.ts';

describe('a group that lost its majority', () => {
  let world: World;
  let nodes: Node[];

  const put = (node: Node, key: string) =>
    world.clock.until(
      node.group.client.propose<{ revision: number }>({
        module: 'kv',
        kind: 'put',
        body: { key, value: 'v' },
      }),
    );

  async function killAllBut(survivor: Node): Promise<Node[]> {
    const dead = nodes.filter((node) => node !== survivor);
    for (const node of dead) await world.kill(node);
    return dead;
  }
  const untilForgotten = (node: Node) =>
    world.untilTrue('nobody leads', () => node.group.status().leader === null);

  beforeEach(async () => {
    world = new World();
    nodes = [await world.addNode(), await world.addNode(), await world.addNode()];
    await world.found(nodes[0] as Node);
    for (const node of nodes.slice(1)) await world.admit(node);
    await world.untilTrue('three voters', () => world.leader().group.status().voters.length === 3);
  });
  afterEach(async () => {
    for (const node of nodes) if (!world.nodes.includes(node)) world.nodes.push(node);
    await world.stop();
  });

  it('goes on from one survivor in a later epoch; the old voters come back as learners and agree', async () => {
    const before = await put(nodes[0] as Node, 'before');
    const survivor = nodes[2] as Node;
    const dead = await killAllBut(survivor);
    await untilForgotten(survivor);
    const plan = await world.clock.until(survivor.group.recover());
    assert.equal(plan.on, survivor.peerId);
    assert.equal(plan.missing.length, 2);
    const after = await put(survivor, 'after');
    assert.ok(after.revision >= 2 * 2 ** 40 && after.revision > before.revision);
    const back = [];
    for (const node of dead) back.push(await world.restart(node));
    nodes = [survivor, ...back];
    await world.untilTrue(
      'three voters again',
      () => nodes.every((node) => node.group.epoch === 2 && node.group.status().voters.length === 3),
      120_000,
    );
    await world.untilTrue('all applied the same', () => {
      const indexes = nodes.map((node) => node.group.status().appliedIndex);
      return new Set(indexes).size === 1;
    });
    for (const node of back) {
      assert.equal(node.group.superseded?.newEpoch, 2);
      assert.equal(node.group.superseded?.recoveredBy, survivor.peerId);
    }
    const { entries } = (await world.clock.until(
      (back[0] as Node).group.client.query({ module: 'kv', kind: 'scan', body: { prefix: '', limit: 10 } }),
    )) as { entries: readonly { key: string }[] };
    assert.deepEqual(entries.map(({ key }) => key).sort(), ['after', 'before']);
  });

  it('keeps its recovery over a crash', async () => {
    const survivor = nodes[1] as Node;
    await killAllBut(survivor);
    await untilForgotten(survivor);
    await world.clock.until(survivor.group.recover());
    const { revision } = await put(survivor, 'x');
    await world.kill(survivor);
    const again = await world.restart(survivor);
    nodes[1] = again;
    await world.untilTrue('it leads', () => again.group.leadership !== undefined);
    assert.equal(again.group.epoch, 2);
    assert.ok((await put(again, 'y')).revision > revision);
  });

  it('is not recovered while it is well, nor while a leader is known', async () => {
    for (const node of nodes) {
      await assert.rejects(world.clock.until(node.group.recover()), { code: 'CONFLICT' });
    }
  });

  it('only tells what it would do, when asked for no more', async () => {
    const survivor = nodes[1] as Node;
    await killAllBut(survivor);
    await untilForgotten(survivor);
    const plan = await world.clock.until(survivor.group.recover({ isDryRun: true }));
    assert.equal(plan.epoch.number, 2);
    assert.match(plan.mayBeLost[0] ?? '', /acknowledged after entry/);
    assert.equal(survivor.group.epoch, 1);
  });
});
