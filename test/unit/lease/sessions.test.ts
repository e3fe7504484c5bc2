import assert from 'node:assert/strict';
import type { KeptSession, SessionKeeper } from '../../../src/lease/index.ts';
import { type Node, World } from './world.ts';

interface Setting {
  readonly world: World;
  readonly leader: Node;
  readonly worker: Node;
  keeper(): SessionKeeper;
}

async function setting(): Promise<Setting> {
  const world = new World();
  const leader = await world.addNode();
  let keeper: SessionKeeper | undefined;
  leader.group.onLeadership((_leadership, { sessions }) => {
    keeper = sessions;
    return undefined;
  });
  await world.found(leader);
  const worker = await world.addNode();
  await world.admit(worker, 'worker');
  await world.untilTrue(
    'the worker holds a session',
    () => worker.group.session.lastConfirmedSentMs !== null,
  );
  return { world, leader, worker, keeper: () => keeper as SessionKeeper };
}

/** @returns how many messages ten such pauses cost. */
async function messagesIn(world: World, pauseMs: number, before: () => void): Promise<number> {
  const sentBefore = world.messageCount;
  for (let count = 0; count < 10; count += 1) {
    before();
    await world.clock.advance(pauseMs);
  }
  return world.messageCount - sentBefore;
}

describe('sessions', () => {
  it('carry reports to the leader and orders back', async () => {
    const { world, worker, keeper } = await setting();
    const seen: unknown[] = [];
    keeper().onReport((peerId, _sessionId, report) => {
      if (peerId === worker.peerId) seen.push(report);
      return { run: 'this' };
    });
    const orders: unknown[] = [];
    worker.group.session.setReporter(() => ({ free: 3 }));
    worker.group.session.onReply((order) => orders.push(order));
    worker.group.session.poke();
    await world.clock.advance(20);
    assert.deepEqual(seen, [{ free: 3 }]);
    assert.deepEqual(orders, [{ run: 'this' }]);
    await world.stop();
  });

  it('of a node with nothing in hand are renewed with the beats of the leader, and cost no round of their own', async () => {
    const { world, worker } = await setting();
    for (let count = 0; count < 2; count += 1) await world.admit(await world.addNode());
    await world.clock.advance(20_000);
    assert.equal(world.leader().group.status().voters.length, 3);
    const busy = await messagesIn(world, 1_000, () => worker.group.session.poke());
    const idle = await messagesIn(world, 1_000, () => undefined);
    assert.ok(idle <= busy - 2 * 10, `${idle} messages in ten seconds, ${busy} with a round for each`);
    const confirmedMs = worker.group.session.lastConfirmedSentMs as number;
    assert.ok(world.clock.monotonicMs() - confirmedMs <= 1_400);
    await world.stop();
  });

  it('are renewed at once when something changed, though a renewal that may wait is on its way', async () => {
    const { world, worker, keeper } = await setting();
    for (let count = 0; count < 2; count += 1) await world.admit(await world.addNode());
    await world.clock.advance(20_000);
    const seen: unknown[] = [];
    keeper().onReport((peerId, _sessionId, report) => {
      if (peerId === worker.peerId) seen.push(report);
      return { orders: report };
    });
    let free = 1;
    worker.group.session.setReporter(() => ({ free }));
    const told: unknown[] = [];
    worker.group.session.onReply((orders) => told.push(orders));
    for (let step = 0; step < 100; step += 1) {
      free += 1;
      worker.group.session.poke();
      await world.clock.advance(15);
      assert.deepEqual(seen.at(-1), { free }, 'no report that is older comes after it');
      assert.deepEqual(told.at(-1), { orders: { free } });
      await world.clock.advance(22);
    }
    await world.stop();
  });

  it('become suspect after four seconds of silence, and recover', async () => {
    const { world, worker, keeper } = await setting();
    const told: boolean[] = [];
    keeper().onChange(({ peerId, isSuspect }) => {
      if (peerId === worker.peerId) told.push(isSuspect);
    });
    world.isolate(worker);
    const cutAtMs = world.clock.monotonicMs();
    await world.clock.advance(2_500);
    assert.equal(keeper().find(worker.peerId)?.isSuspect, false);
    await world.clock.advance(5_000);
    assert.equal(keeper().find(worker.peerId)?.isSuspect, true);
    assert.ok((worker.group.session.lastConfirmedSentMs as number) <= cutAtMs);
    await world.heal();
    await world.clock.advance(4_000);
    assert.equal(keeper().find(worker.peerId)?.isSuspect, false);
    assert.deepEqual(told, [true, false]);
    await world.stop();
  });

  it('end when the machine slept, and a new one begins', async () => {
    const { world, worker, keeper } = await setting();
    const before = worker.group.session.sessionId;
    const lost: string[] = [];
    worker.group.session.onLost(({ reason }) => lost.push(reason));
    world.clock.wallOffsetMs += 60_000;
    assert.equal(worker.group.session.checkSleep(), false);
    assert.equal(worker.group.session.sessionId, null);
    await world.clock.advance(3_000);
    assert.ok(lost.includes('slept'));
    assert.notEqual(worker.group.session.sessionId, before);
    assert.equal(keeper().find(worker.peerId)?.sessionId, worker.group.session.sessionId);
    await world.stop();
  });

  it('H3 are not spoken for after the process stood still, until the group has confirmed them', async () => {
    const { world, worker } = await setting();
    const { session } = worker.group;
    const before = session.sessionId;
    assert.equal(session.isConfirmed, true);
    world.isolate(worker);
    world.clock.standStill(60_000);
    assert.equal(session.isConfirmed, false);
    await world.clock.advance(10_000);
    assert.equal(session.isConfirmed, false);
    await world.heal();
    await world.untilTrue('the session is confirmed', () => session.isConfirmed);
    assert.equal(session.sessionId, before); // the group still holds it: what runs goes on
    await world.stop();
  });

  it('of an earlier run of a node end when the new run opens its own', async () => {
    const { world, worker, keeper } = await setting();
    const ended: KeptSession[] = [];
    const before = worker.group.session.sessionId;
    keeper().onChange((session) => ended.push(session));
    await world.kill(worker);
    const again = await world.restart(worker);
    await world.untilTrue('a new session', () => again.group.session.lastConfirmedSentMs !== null);
    assert.ok(ended.some(({ sessionId }) => sessionId === before));
    assert.equal(
      keeper()
        .sessions()
        .filter(({ peerId }) => peerId === worker.peerId).length,
      1,
    );
    await world.stop();
  });

  it('are closed in the agreed state when nobody renews them for long', async () => {
    const { world, worker, keeper } = await setting();
    world.isolate(worker);
    await world.clock.advance(340_000);
    assert.equal(keeper().find(worker.peerId), undefined);
    await world.stop();
  });
});
