import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { WakingClock } from '../../../src/lease/waking-clock.ts';
import { type Node, World } from './world.ts';

const get = (key: string, consistency: 'linearizable' | 'lease' | 'stale') =>
  ({ module: 'kv', kind: 'get', body: { key }, consistency }) as const;
const put = (world: World, node: Node, value: string) =>
  world.clock.until(node.group.client.propose({ module: 'kv', kind: 'put', body: { key: 'k', value } }));
const textOf = (entry: unknown) => (entry as { readonly value: string } | null)?.value;

async function mesh(count: number): Promise<World> {
  const world = new World();
  const founder = await world.addNode();
  await world.found(founder);
  for (let at = 1; at < count; at += 1) await world.admit(await world.addNode());
  const voters = Math.min(3, count);
  await world.untilTrue('the voters agree', () => world.leader().group.status().voters.length === voters);
  await world.clock.advance(2_000);
  return world;
}

describe('a read', () => {
  it('by lease is answered by the leader, from any node, and says so', async () => {
    const world = await mesh(3);
    await put(world, world.leader(), 'x');
    for (const { group } of world.nodes) {
      const { value, label } = await world.clock.until(group.reads.read(get('k', 'lease')));
      assert.equal(textOf(value), 'x');
      assert.deepEqual(label, { consistency: 'lease' });
    }
    await world.stop();
  });

  it('by lease is refused, never old, once its leader may have been replaced', async () => {
    const world = await mesh(3);
    const old = world.leader();
    await put(world, old, 'before');
    world.isolate(old);
    let [written, refusals] = ['before', 0];
    for (let at = 0; at < 200; at += 1) {
      await world.clock.advance(20);
      const read = await leaseReadOf(old);
      if (read === undefined) refusals += 1;
      else assert.equal(read, written, `${at * 20} ms after the cut`);
      const next = world.nodes.find((node) => node !== old && node.group.leadership !== undefined);
      if (next !== undefined && written === 'before') {
        await put(world, next, 'after');
        written = 'after';
      }
    }
    assert.equal(written, 'after');
    assert.ok(refusals > 50, `refused ${refusals} times`);
    await world.stop();
  });

  it('that is stale comes from the own replica at once, and grows old with it', async () => {
    const world = await mesh(3);
    const [follower] = world.nodes.filter((node) => node !== world.leader()) as [Node];
    await put(world, follower, 'x');
    await world.clock.advance(300);
    const fresh = await world.clock.until(follower.group.reads.read(get('k', 'stale')));
    assert.equal(textOf(fresh.value), 'x');
    assert.ok(fresh.label.consistency === 'stale' && (fresh.label.ageMs ?? 1_000) <= 200);
    world.isolate(follower);
    await put(world, world.leader(), 'newer');
    await world.clock.advance(5_000);
    const old = await world.clock.until(follower.group.reads.read(get('k', 'stale')));
    assert.equal(textOf(old.value), 'x');
    assert.ok(old.label.consistency === 'stale');
    assert.ok((old.label.ageMs ?? 0) >= 5_000, `${old.label.ageMs} ms`);
    assert.equal(old.label.appliedIndex, follower.group.status().appliedIndex);
    await world.stop();
  });

  it('that is stale is asked of a member where there is no replica, and labelled', async () => {
    const world = await mesh(7);
    const spare = world.nodes.find(({ group }) => group.status().role === 'spare') as Node;
    await put(world, spare, 'x');
    await world.clock.advance(500);
    const { value, label } = await world.clock.until(spare.group.reads.read(get('k', 'stale')));
    assert.equal(textOf(value), 'x');
    assert.ok(label.consistency === 'stale' && (label.ageMs ?? 1_000) < 1_000 && label.appliedIndex > 0);
    world.isolate(spare);
    for (const node of world.nodes) if (node !== spare) spare.transport.crash();
    const refused = await world.clock.until(
      spare.group.reads.read(get('k', 'stale')).catch((error: unknown) => error),
    );
    assert.ok(refused instanceof AspenError && refused.code === 'UNAVAILABLE');
    await world.stop();
  });
});

describe('a clock that counts sleep', () => {
  const times = { monotonicMs: 1_000, wallMs: 50_000 };
  const clock = {
    monotonicMs: () => times.monotonicMs,
    wallMs: () => times.wallMs,
    setTimer: () => {
      throw new Error('no timers here');
    },
  };
  const pass = (monotonicMs: number, wallMs: number) => {
    times.monotonicMs += monotonicMs;
    times.wallMs += wallMs;
  };

  it('goes with monotonic time while awake, with wall time over a sleep, and never back', () => {
    const waking = new WakingClock(clock);
    const startMs = waking.nowMs();
    pass(500, 500);
    assert.equal(waking.nowMs() - startMs, 500);
    pass(5, 60_005);
    assert.equal(waking.nowMs() - startMs, 60_505);
    pass(10, -3_600_000);
    assert.equal(waking.nowMs() - startMs, 60_515);
    pass(10, 1_010);
    assert.equal(waking.nowMs() - startMs, 61_525);
  });
});

/** @returns undefined when it is refused. */
async function leaseReadOf({ group }: Node): Promise<string | undefined> {
  let read: string | undefined;
  const { leadership } = group;
  if (leadership === undefined) return undefined;
  group.reads.read(get('k', 'lease')).then(
    ({ value }) => {
      read = textOf(value);
    },
    () => undefined, // refused, or given up later
  );
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  return read;
}
