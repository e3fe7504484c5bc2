import assert from 'node:assert/strict';
import { AspenError, silentLogger } from '../../../src/base/index.ts';
import { ClaimClient, type ClaimRequest, type HeldClaim } from '../../../src/lease/index.ts';
import { type Node, World } from './world.ts';

interface ResourceView {
  readonly holders: readonly { readonly leaseId: string; readonly fencingToken: number }[];
  readonly waiterCount: number;
}

/** A mesh of three voters and, where asked for, one node that is no part of the group. */
async function meshOf(voters: 1 | 3, { spares = 0 } = {}): Promise<World> {
  const world = new World();
  const first = await world.addNode();
  await world.found(first);
  for (let made = 1; made < voters; made += 1) await world.admit(await world.addNode());
  await world.untilTrue('all vote', () => first.group.status().voters.length === voters);
  await world.untilTrue('all know that they vote', () =>
    world.nodes.every(({ group }) => group.status().role === 'voter'),
  );
  for (let made = 0; made < spares; made += 1) await world.admit(await world.addNode(), 'submitter');
  await world.untilTrue('all know it', () =>
    world.nodes.every(({ group }) => group.status().leader !== null),
  );
  return world;
}

function clientOf(world: World, { peerId, group }: Node): ClaimClient {
  const { clock, random } = world;
  return new ClaimClient({ self: peerId, client: group.client, clock, random, log: silentLogger });
}

const LOCK: ClaimRequest = {
  kind: 'lock',
  name: 'a',
  capacity: 1,
  units: 1,
  ttlMs: 5_000,
  value: null,
  waitMs: 0,
};

/** A program that wants the lock. */
class Wanter {
  readonly #abort = new AbortController();
  held: HeldClaim | undefined;
  error: unknown;
  readonly done: Promise<void>;

  constructor(world: World, node: Node, overrides: Partial<ClaimRequest> = {}) {
    const request = { ...LOCK, waitMs: 60_000, ...overrides };
    this.done = clientOf(world, node)
      .claim(request, this.#abort.signal)
      .then(
        (held) => {
          this.held = held;
        },
        (error: unknown) => {
          this.error = error;
        },
      );
  }

  disconnect(): void {
    this.#abort.abort(new Error('the connection has closed'));
  }
}

async function viewAt(world: World, node: Node): Promise<ResourceView | null> {
  const query = { module: 'leases', kind: 'resource', body: { kind: 'lock', name: 'a' } };
  return world.clock.until(node.group.client.query<ResourceView | null>(query));
}

const release = (world: World, node: Node, leaseId: string) =>
  world.clock.until(
    node.group.client.propose({
      module: 'leases',
      kind: 'release',
      body: { kind: 'lock', name: 'a', leaseId },
    }),
  );

function heldBy(wanter: Wanter): HeldClaim {
  assert.ok(wanter.held !== undefined, `does not hold: ${wanter.error}`);
  return wanter.held;
}

describe('a lock', () => {
  it('passes to the next in line as it is released, from any node, with a greater token', async () => {
    const world = await meshOf(3, { spares: 1 });
    const wanters: Wanter[] = [];
    for (const node of world.nodes) {
      wanters.push(new Wanter(world, node));
      await world.clock.advance(50);
    }
    const tokens: number[] = [];
    for (const [at, wanter] of wanters.entries()) {
      await world.untilTrue('the next holds', () => wanter.held !== undefined);
      assert.equal(wanters.filter(({ held }) => held !== undefined).length, at + 1);
      tokens.push(heldBy(wanter).fencingToken);
      await release(world, world.nodes[at] as Node, heldBy(wanter).leaseId);
    }
    assert.deepEqual(
      tokens,
      [...new Set(tokens)].sort((a, b) => a - b),
    );
    assert.equal(await viewAt(world, world.leader()), null);
    await world.stop();
  });

  it('is refused at once to who does not wait, naming its holder', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const first = new Wanter(world, node);
    await world.clock.until(first.done);
    const second = new Wanter(world, node, { waitMs: 0 });
    await world.clock.until(second.done);
    assert.ok(second.error instanceof AspenError);
    assert.equal(second.error.code, 'CONFLICT');
    assert.equal(second.error.outcome, 'not-applied');
    assert.match(second.error.message, new RegExp(`held by ${heldBy(first).leaseId}`));
    await world.stop();
  });

  it('was not had, and nobody waits any more, when the time of waiting is over', async () => {
    const world = await meshOf(3);
    const [one, two] = world.nodes as [Node, Node];
    const holder = new Wanter(world, one, { ttlMs: 60_000 });
    await world.clock.until(holder.done);
    const wanter = new Wanter(world, two, { waitMs: 3_000 });
    await world.clock.until(wanter.done);
    assert.ok(wanter.error instanceof AspenError);
    assert.deepEqual([wanter.error.code, wanter.error.outcome], ['DEADLINE_EXCEEDED', 'not-applied']);
    assert.equal((await viewAt(world, one))?.waiterCount, 0);
    await world.stop();
  });

  it('does not say not-applied to who waited and was cut off', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const other = world.nodes.find((node) => node !== leader) as Node;
    await world.clock.until(new Wanter(world, leader, { ttlMs: 60_000 }).done);
    const wanter = new Wanter(world, other, { waitMs: 3_000 });
    await world.clock.advance(500);
    world.isolate(other);
    await world.clock.until(wanter.done);
    assert.ok(wanter.error instanceof AspenError);
    assert.equal(wanter.error.outcome, 'unknown');
    await world.clock.advance(15_000);
    assert.equal((await viewAt(world, leader))?.waiterCount, 0);
    await world.heal();
    await world.stop();
  });

  it('is given up by who disconnects while it waits, and passes over them', async () => {
    const world = await meshOf(3);
    const [one, two, three] = world.nodes as [Node, Node, Node];
    const holder = new Wanter(world, one);
    await world.clock.until(holder.done);
    const gone = new Wanter(world, two);
    await world.clock.advance(200);
    const next = new Wanter(world, three);
    await world.clock.advance(200);
    assert.equal((await viewAt(world, one))?.waiterCount, 2);
    gone.disconnect();
    await world.clock.advance(500);
    assert.equal((await viewAt(world, one))?.waiterCount, 1);
    await release(world, one, heldBy(holder).leaseId);
    await world.clock.until(next.done);
    heldBy(next);
    assert.equal(gone.held, undefined);
    await world.stop();
  });

  it('passes over a node that died while it waited', async () => {
    const world = await meshOf(3, { spares: 1 });
    const [one, , , spare] = world.nodes as [Node, Node, Node, Node];
    const holder = new Wanter(world, one, { ttlMs: 60_000 });
    await world.clock.until(holder.done);
    const dead = new Wanter(world, spare);
    await world.clock.advance(500);
    await world.kill(spare);
    world.nodes.splice(world.nodes.indexOf(spare), 1);
    const next = new Wanter(world, one, { waitMs: 60_000 });
    await world.clock.advance(12_000);
    assert.equal((await viewAt(world, one))?.waiterCount, 1);
    await release(world, one, heldBy(holder).leaseId);
    await world.clock.until(next.done);
    heldBy(next);
    assert.equal(dead.held, undefined);
    await world.stop();
  });

  it('passes over a node that died together with the leader', async () => {
    const world = await meshOf(3, { spares: 1 });
    const leader = world.leader();
    const [one, spare] = [world.nodes.find((node) => node !== leader), world.nodes[3]] as [Node, Node];
    await world.clock.until(new Wanter(world, one, { ttlMs: 120_000 }).done);
    const dead = new Wanter(world, spare);
    await world.clock.advance(500);
    for (const node of [leader, spare]) {
      await world.kill(node);
      world.nodes.splice(world.nodes.indexOf(node), 1);
    }
    await world.clock.advance(9_000);
    assert.equal((await viewAt(world, one))?.waiterCount, 1);
    await world.clock.advance(10_000);
    assert.equal((await viewAt(world, one))?.waiterCount, 0);
    assert.equal(dead.held, undefined);
    await world.stop();
  });

  it('keeps its queue when the leader dies, and everybody in it is served in turn', async () => {
    const world = await meshOf(3, { spares: 1 });
    const leader = world.leader();
    const others = world.nodes.filter((node) => node !== leader);
    const holder = new Wanter(world, others[0] as Node, { ttlMs: 60_000 });
    await world.clock.until(holder.done);
    const waiting: Wanter[] = [];
    for (const node of others) {
      waiting.push(new Wanter(world, node, { ttlMs: 60_000, waitMs: 120_000 }));
      await world.clock.advance(100);
    }
    await world.kill(leader);
    world.nodes.splice(world.nodes.indexOf(leader), 1);
    await world.untilTrue('another leads', () =>
      world.nodes.some(({ group }) => group.leadership !== undefined),
    );
    await world.clock.advance(1_000);
    assert.equal((await viewAt(world, others[1] as Node))?.waiterCount, 3);
    let previous = heldBy(holder);
    for (const [at, wanter] of waiting.entries()) {
      await release(world, others[at] as Node, previous.leaseId);
      await world.clock.until(wanter.done);
      assert.ok(heldBy(wanter).fencingToken > previous.fencingToken);
      previous = heldBy(wanter);
    }
    await world.stop();
  });

  it('has one holder though the leader is killed at any moment between the wish and its answer', async () => {
    for (let delayMs = 0; delayMs <= 12; delayMs += 2) {
      const world = await meshOf(3);
      const leader = world.leader();
      const others = world.nodes.filter((node) => node !== leader);
      const wanters = others.map((node) => new Wanter(world, node, { ttlMs: 60_000, waitMs: 30_000 }));
      await world.clock.advance(delayMs);
      await world.kill(leader);
      world.nodes.splice(world.nodes.indexOf(leader), 1);
      await world.untilTrue('one holds', () => wanters.some(({ held }) => held !== undefined));
      await world.clock.advance(2_000);
      const holding = wanters.filter(({ held }) => held !== undefined);
      assert.equal(holding.length, 1, `killed after ${delayMs} ms`);
      const view = await viewAt(world, others[0] as Node);
      assert.deepEqual(
        view?.holders.map(({ leaseId }) => leaseId),
        holding.map(({ held }) => held?.leaseId),
      );
      await world.stop();
    }
  });

  it('of a holder that is cut off passes only after the time that was told to the holder', async () => {
    for (const isLeader of [true, false]) {
      const world = await meshOf(3);
      const leader = world.leader();
      const follower = world.nodes.find((node) => node !== leader) as Node;
      const [cutOff, other] = isLeader ? [leader, follower] : [follower, leader];
      const holder = new Wanter(world, cutOff);
      await world.clock.until(holder.done);
      const endsAtMs = world.clock.monotonicMs() + heldBy(holder).validMs;
      world.isolate(cutOff);
      const next = new Wanter(world, other);
      await world.clock.until(next.done);
      assert.ok(world.clock.monotonicMs() >= endsAtMs, 'it passed too early');
      assert.ok(heldBy(next).fencingToken > heldBy(holder).fencingToken);
      await world.heal();
      await assert.rejects(release(world, cutOff, heldBy(holder).leaseId), { code: 'FENCED' });
      await world.stop();
    }
  });

  it('is acquired once by one request id, and the id is spent when that has ended', async () => {
    const world = await meshOf(1);
    const [node] = world.nodes as [Node];
    const first = new Wanter(world, node, { requestId: 'r1' });
    await world.clock.until(first.done);
    const again = new Wanter(world, node, { requestId: 'r1' });
    await world.clock.until(again.done);
    assert.equal(heldBy(again).leaseId, heldBy(first).leaseId);
    assert.equal(heldBy(again).fencingToken, heldBy(first).fencingToken);
    await release(world, node, heldBy(first).leaseId);
    const late = new Wanter(world, node, { requestId: 'r1' });
    await world.clock.until(late.done);
    assert.ok(late.error instanceof AspenError);
    assert.equal(late.error.code, 'FENCED');
    await world.stop();
  });

  it('tells who observes it of each holder, over the death of the leader', async () => {
    const world = await meshOf(3);
    const leader = world.leader();
    const [one, two] = world.nodes.filter((node) => node !== leader) as [Node, Node];
    const abort = new AbortController();
    const seen: (string | null)[] = [];
    const observing = (async () => {
      for await (const view of clientOf(world, two).observe('lock', 'a', abort.signal)) {
        seen.push(view?.holders[0]?.leaseId ?? null);
      }
    })().catch(() => undefined);
    await world.clock.advance(200);
    const first = new Wanter(world, one, { ttlMs: 60_000 });
    await world.clock.until(first.done);
    await world.clock.advance(200);
    await world.kill(leader);
    world.nodes.splice(world.nodes.indexOf(leader), 1);
    await world.clock.advance(5_000);
    await release(world, one, heldBy(first).leaseId);
    await world.clock.advance(3_000);
    assert.deepEqual(seen, [null, heldBy(first).leaseId, null]);
    abort.abort(new Error('done'));
    await world.clock.until(observing);
    await world.stop();
  });
});
