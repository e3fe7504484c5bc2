import assert from 'node:assert/strict';
import { type Node, World } from './world.ts';

const put = (key: string, value: string) => ({ module: 'kv', kind: 'put', body: { key, value } });
const get = (key: string) => ({ module: 'kv', kind: 'get', body: { key } });

/** What a node may take that waits for nobody else. Unit: ms. */
const AT_ONCE_MS = 30;
/** Of all the time in which it hands over. Unit: ms. */
const HAND_OVER_MS = 2_000;

async function meshOfThree(): Promise<World> {
  const world = new World();
  const first = await world.addNode();
  await world.found(first);
  for (let made = 1; made < 3; made += 1) await world.admit(await world.addNode());
  await world.untilTrue('all vote', () =>
    world.nodes.every(({ group }) => group.status().role === 'voter' && group.status().leader !== null),
  );
  return world;
}

/** @returns how long the stop took, by the clock of the test. Unit: ms. */
async function stopped(world: World, stop: () => Promise<unknown>): Promise<number> {
  const fromMs = world.clock.monotonicMs();
  let tookMs = Number.POSITIVE_INFINITY;
  const stopping = stop().then(() => {
    tookMs = world.clock.monotonicMs() - fromMs;
  });
  await world.clock.until(stopping);
  return tookMs;
}

/** As a node ends: it hands over what it can, then its part is stopped. */
async function end({ group }: Node): Promise<void> {
  await group.handOver({ timeoutMs: HAND_OVER_MS });
  await group.stop();
}

describe('a member of the group that is told to stop', () => {
  it('ends at once though it leads and nobody else is there to confirm that', async () => {
    const world = await meshOfThree();
    const leader = world.leader();
    for (const node of world.nodes) if (node !== leader) world.isolate(node);
    leader.group.session.poke(); // a renewal that waits for a quorum
    await world.clock.advance(200);
    assert.ok((await stopped(world, () => leader.group.stop())) <= AT_ONCE_MS);
    assert.deepEqual(leader.fatal, []);
    await world.stop();
  });

  it('ends at once while it looks for a leader that is nowhere', async () => {
    const world = await meshOfThree();
    const leader = world.leader();
    const [follower] = world.nodes.filter((node) => node !== leader) as [Node];
    world.isolate(follower);
    await world.clock.advance(6_000);
    const asking = follower.group.client.query(get('a')).catch(() => undefined);
    await world.clock.advance(300);
    assert.ok((await stopped(world, () => follower.group.stop())) <= AT_ONCE_MS);
    await world.clock.until(asking);
    await world.stop();
  });

  it('is followed by another leader at once', async () => {
    const world = await meshOfThree();
    const leader = world.leader();
    await stopped(world, () => end(leader));
    const others = world.nodes.filter((node) => node !== leader);
    assert.ok(others.some(({ group }) => group.leadership !== undefined));
    await world.stop();
  });

  it('hands over to nobody where nobody is left, and does not wait for that', async () => {
    const world = await meshOfThree();
    const leader = world.leader();
    const ending = stopped(world, () => end(leader));
    for (const node of world.nodes) if (node !== leader) void node.transport.stop();
    const tookMs = await ending;
    assert.ok(tookMs <= 2 * AT_ONCE_MS, `${tookMs} ms`);
    await world.stop();
  });

  it('ends within the time for handing over when all are stopped at once, and nothing acknowledged is lost', async () => {
    const world = await meshOfThree();
    const client = world.leader().group.client;
    for (let at = 0; at < 10; at += 1) await world.clock.until(client.propose(put(`k${at}`, `${at}`)));
    const tookMs = await stopped(world, () => Promise.all(world.nodes.map(end)));
    assert.ok(tookMs <= HAND_OVER_MS + 100, `${tookMs} ms`);
    for (const node of world.nodes) {
      assert.deepEqual(node.fatal, []);
      node.transport.crash();
    }
    for (const node of [...world.nodes]) await world.restart(node);
    await world.untilTrue('somebody leads again', () =>
      world.nodes.some(({ group }) => group.leadership !== undefined),
    );
    for (let at = 0; at < 10; at += 1) {
      const found = await world.clock.until(
        world.leader().group.client.query<{ value: string } | null>(get(`k${at}`)),
      );
      assert.equal(found?.value, `${at}`);
    }
    await world.stop();
  });
});
