import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import type { KvEvent } from '../../../src/lease/index.ts';
import { type Node, World } from './world.ts';

/** A program that watches, and begins again from where it was whenever its node goes away. */
class Watcher {
  readonly events: KvEvent[] = [];
  revision: number;
  error: unknown;
  #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(fromRevision: number) {
    this.revision = fromRevision - 1;
  }

  watch({ group }: Node, prefix = ''): void {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const run = async () => {
      const watch = { filter: { prefix }, fromRevision: this.revision + 1 };
      for await (const { events, revision } of group.kvWatcher.watch(watch, signal)) {
        this.events.push(...events);
        this.revision = revision;
      }
    };
    this.#running = run().catch((error: unknown) => {
      this.error = error;
    });
  }

  async stop(world: World): Promise<void> {
    this.#abort.abort(new Error('stopped'));
    await world.clock.until(this.#running);
  }
}

const put = (world: World, node: Node, key: string, value = 'x') =>
  world.clock.until(node.group.client.propose({ module: 'kv', kind: 'put', body: { key, value } }));

async function mesh(count: number, options: ConstructorParameters<typeof World>[0] = {}): Promise<World> {
  const world = new World(options);
  const founder = await world.addNode();
  await world.found(founder);
  for (let at = 1; at < count; at += 1) await world.admit(await world.addNode());
  const voters = Math.min(3, count);
  await world.untilTrue('the voters agree', () => world.leader().group.status().voters.length === voters);
  return world;
}

const isCaughtUp = (watcher: Watcher, world: World, count: number) =>
  world.untilTrue(`${count} changes are told, ${watcher.events.length} are`, () => {
    if (watcher.error !== undefined) throw watcher.error;
    return watcher.events.length >= count;
  });

const keysOf = (watcher: Watcher) => watcher.events.map(({ key }) => key);

describe('a watch of keys', function () {
  this.timeout(60_000);

  it('tells every change once and in order, at each voter and where there is no replica', async () => {
    const world = await mesh(7);
    const watchers = world.nodes.map((node) => {
      const watcher = new Watcher(1);
      watcher.watch(node);
      return watcher;
    });
    const keys = Array.from({ length: 30 }, (_, at) => `k${at % 7}`);
    for (const key of keys) await put(world, world.leader(), key);
    for (const watcher of watchers) {
      await isCaughtUp(watcher, world, keys.length);
      assert.deepEqual(keysOf(watcher), keys);
      assert.deepEqual(watcher.events, watchers[0]?.events);
      await watcher.stop(world);
    }
    assert.ok(world.nodes.some(({ group }) => group.status().role === 'spare'));
    await world.stop();
  });

  it('leaves nothing out and tells nothing twice when the leader dies in the middle', async () => {
    const world = await mesh(3);
    const [follower] = world.nodes.filter((node) => node !== world.leader()) as [Node];
    const watcher = new Watcher(1);
    watcher.watch(follower);
    for (let at = 0; at < 10; at += 1) await put(world, follower, `a${at}`);
    const dead = world.leader();
    await world.kill(dead);
    world.nodes.splice(world.nodes.indexOf(dead), 1);
    for (let at = 0; at < 10; at += 1) await put(world, follower, `b${at}`);
    await isCaughtUp(watcher, world, 20);
    const expected = ['a', 'b'].flatMap((letter) => Array.from({ length: 10 }, (_, at) => `${letter}${at}`));
    assert.deepEqual(keysOf(watcher), expected);
    await watcher.stop(world);
    await world.stop();
  });

  it('goes on at another node, or at its own after a restart, from the revision it had come to', async () => {
    const world = await mesh(3);
    let [follower, other] = world.nodes.filter((node) => node !== world.leader()) as [Node, Node];
    const watcher = new Watcher(1);
    watcher.watch(follower);
    for (let at = 0; at < 5; at += 1) await put(world, other, `a${at}`);
    await isCaughtUp(watcher, world, 5);
    await watcher.stop(world);
    for (let at = 0; at < 5; at += 1) await put(world, other, `b${at}`);
    watcher.watch(other);
    await isCaughtUp(watcher, world, 10);
    await watcher.stop(world);
    await world.kill(follower);
    follower = await world.restart(follower);
    for (let at = 0; at < 5; at += 1) await put(world, other, `c${at}`);
    watcher.watch(follower);
    await isCaughtUp(watcher, world, 15);
    assert.deepEqual(
      keysOf(watcher),
      ['a', 'b', 'c'].flatMap((letter) => Array.from({ length: 5 }, (_, at) => `${letter}${at}`)),
    );
    await watcher.stop(world);
    await world.stop();
  });

  it('is gapless over a snapshot that its replica takes in', async () => {
    const world = await mesh(3, { replica: { keepEntries: 5, dropEntries: 1 } });
    const [follower, other] = world.nodes.filter((node) => node !== world.leader()) as [Node, Node];
    const watcher = new Watcher(1);
    watcher.watch(follower);
    await put(world, other, 'first');
    await isCaughtUp(watcher, world, 1);
    world.isolate(follower);
    for (let at = 0; at < 120; at += 1) await put(world, other, `k${at}`);
    await world.heal();
    await isCaughtUp(watcher, world, 121);
    assert.ok(follower.said.includes('snapshot installed'), 'it came by a snapshot');
    await put(world, other, 'last');
    await isCaughtUp(watcher, world, 122);
    assert.deepEqual(keysOf(watcher), ['first', ...Array.from({ length: 120 }, (_, at) => `k${at}`), 'last']);
    await watcher.stop(world);
    await world.stop();
  });

  it('ends with COMPACTED where a recovery began another epoch', async () => {
    const world = await mesh(3);
    const [survivor] = world.nodes.filter((node) => node !== world.leader()) as [Node];
    const watcher = new Watcher(1);
    watcher.watch(survivor);
    await put(world, survivor, 'before');
    await isCaughtUp(watcher, world, 1);
    for (const node of [...world.nodes]) {
      if (node === survivor) continue;
      await world.kill(node);
      world.nodes.splice(world.nodes.indexOf(node), 1);
    }
    await world.untilTrue('nobody leads', () => survivor.group.status().leader === null);
    await world.clock.until(survivor.group.recover());
    await put(world, survivor, 'after');
    await world.untilTrue('the watch has ended', () => watcher.error !== undefined);
    assert.ok(watcher.error instanceof AspenError);
    assert.equal(watcher.error.code, 'COMPACTED');
    const again = new Watcher(watcher.error.details['oldestRevision'] as number);
    again.watch(survivor);
    await isCaughtUp(again, world, 1);
    assert.deepEqual(keysOf(again), ['after']);
    await again.stop(world);
    await world.stop();
  });

  it('of other keys costs a quiet watch nothing: it says how far it has come', async () => {
    const world = await mesh(1);
    const watcher = new Watcher(1);
    watcher.watch(world.leader(), 'quiet/');
    for (let at = 0; at < 20; at += 1) await put(world, world.leader(), `loud${at}`);
    const revision = await world.clock.until(world.leader().group.kvWatcher.currentRevision());
    await world.untilTrue('it has come so far', () => watcher.revision >= revision);
    assert.deepEqual(watcher.events, []);
    await put(world, world.leader(), 'quiet/1');
    await isCaughtUp(watcher, world, 1);
    await watcher.stop(world);
    await world.stop();
  });
});
