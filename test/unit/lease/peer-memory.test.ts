import assert from 'node:assert/strict';
import type { LogIndex, PeerId, Term } from '../../../src/base/index.ts';
import { FIRST_EPOCH } from '../../../src/lease/epoch.ts';
import {
  afterAcknowledgment,
  afterStart,
  answersNeeded,
  isBehind,
  objectionTo,
  type Position,
  RETIRED_LIMIT,
} from '../../../src/lease/peer-memory-rules.ts';
import { markObjection, readMark } from '../../../src/lease/store-mark.ts';
import { MemoryStore, type Store } from '../../../src/storage/index.ts';
import { type Node, World } from './world.ts';

const at = (term: number, index: number, epoch = 1): Position => ({
  epoch: { ...FIRST_EPOCH, number: epoch },
  term: term as Term,
  index: index as LogIndex,
});
const put = (key: string) => ({ module: 'kv', kind: 'put', body: { key, value: 'x' } });

async function copyOf(store: Store): Promise<Store> {
  const copy = new MemoryStore();
  const all = [...store.range({ from: '\u0000', to: '\u00ff' })];
  await copy.write(all.map(([key, value]) => ({ type: 'put', key, value })));
  return copy;
}

async function threeVoters() {
  const world = new World();
  const first = await world.addNode();
  await world.found(first);
  const nodes = [first, await world.addNode(), await world.addNode()];
  for (const node of nodes.slice(1)) await world.admit(node);
  await world.untilTrue('three voters', () => nodes.every(({ group }) => group.status().voters.length === 3));
  return { world, nodes };
}

describe('what voters remember of each other', () => {
  it('W1: lengths count within a term, a later term or epoch comes after whatever length', () => {
    assert.equal(isBehind(at(5, 90), at(5, 100)), true);
    assert.equal(isBehind(at(5, 100), at(5, 100)), false);
    assert.equal(isBehind(at(6, 90), at(5, 100)), false);
    assert.equal(isBehind(at(4, 900), at(5, 100)), true);
    assert.equal(isBehind(at(0, 0, 2), at(5, 100, 1)), false);
    assert.equal(isBehind(at(9, 900, 1), at(5, 100, 2)), true);
  });

  it('W2: an ended life, a missed start and a shorter log are objected to, a stranger is not', () => {
    const owner = { incarnation: 'b', bootCount: 3 };
    const known = { owner, position: at(5, 100), retired: ['a'] };
    const claim = (incarnation: string, bootCount: number, position: Position) =>
      objectionTo({ owner: { incarnation, bootCount }, position }, known);
    assert.match(String(claim('a', 9, at(9, 900))), /earlier life/);
    assert.match(String(claim('b', 2, at(9, 900))), /start 2/);
    assert.match(String(claim('b', 3, at(5, 99))), /entry 99/);
    assert.equal(claim('b', 4, at(5, 100)), null);
    assert.equal(claim('c', 1, at(0, 0)), null, 'a life begun after its disk was lost');
    assert.equal(objectionTo({ owner, position: at(0, 0) }, undefined), null);
  });

  it('a new life owes nothing, and the old one never counts again', () => {
    let known = afterStart(undefined, { incarnation: 'a', bootCount: 1 });
    known = afterAcknowledgment(known, at(5, 100));
    assert.equal(afterAcknowledgment(known, at(5, 99)), known);
    known = afterStart(known, { incarnation: 'b', bootCount: 2 });
    assert.equal(known.position, null);
    assert.deepEqual(known.retired, ['a']);
    for (let life = 0; life < 40; life += 1)
      known = afterStart(known, { incarnation: `l${life}`, bootCount: 3 });
    assert.equal(known.retired.length, RETIRED_LIMIT);
  });

  it('W3, W4: a majority with itself; for a copy a majority without itself', () => {
    assert.deepEqual(
      [1, 2, 3, 5, 7].map((count) => answersNeeded(count, false)),
      [0, 1, 1, 2, 3],
    );
    assert.deepEqual(
      [1, 2, 3, 5, 7].map((count) => answersNeeded(count, true)),
      [0, 1, 2, 3, 4],
    );
  });

  it('W5: a store that has less than was noted beside it is an older copy', () => {
    const mark = {
      owner: { incarnation: 'a', bootCount: 3 },
      epoch: FIRST_EPOCH,
      term: 5 as Term,
      commitIndex: 7 as LogIndex,
    };
    assert.equal(markObjection(mark, mark), null);
    assert.notEqual(markObjection(undefined, mark), null);
    assert.match(
      String(markObjection({ ...mark, owner: { incarnation: 'a', bootCount: 2 } }, mark)),
      /start 2/,
    );
    assert.notEqual(markObjection({ ...mark, term: 4 as Term }, mark), null);
    assert.notEqual(markObjection({ ...mark, commitIndex: 6 as LogIndex }, mark), null);
    assert.equal(markObjection({ ...mark, term: 0 as Term, epoch: { number: 2, by: 'x' } }, mark), null);
  });
});

describe('a node whose disk was set back', () => {
  for (const [how, life] of [
    ['within the same start', {}],
    ['over several starts', { bootCount: 2 }],
  ] as const) {
    it(`says nothing to the group, ${how}`, async () => {
      const { world } = await threeVoters();
      const leader = world.leader();
      const victim = world.nodes.find((node) => node !== leader) as Node;
      const old = await copyOf(victim.store);
      for (let count = 0; count < 5; count += 1)
        await world.clock.until(leader.group.client.propose(put(`k${count}`)));
      await world.untilTrue(
        'it has them',
        () => victim.group.status().appliedIndex === leader.group.status().appliedIndex,
      );
      await world.kill(victim);
      const again = await world.restart(victim, old, life);
      await world.untilTrue('it is told', () => again.fatal.length > 0);
      assert.match(String(again.fatal[0]), /older copy was put back/);
      await world.clock.advance(5_000);
      assert.equal(again.group.status().leader, null, 'it never took part');
      assert.equal(readMark(old)?.owner.bootCount, 1);
      await world.stop();
    });
  }

  it('is known also to members that were started again meanwhile', async () => {
    const { world } = await threeVoters();
    const leader = world.leader();
    const victim = world.nodes.find((node) => node !== leader) as Node;
    const old = await copyOf(victim.store);
    for (let count = 0; count < 5; count += 1)
      await world.clock.until(leader.group.client.propose(put(`k${count}`)));
    await world.clock.advance(6_000);
    const others = world.nodes.filter((node) => node !== victim);
    for (const node of [...world.nodes]) await world.kill(node);
    for (const node of others) await world.restart(node, node.store, { bootCount: 2 });
    const again = await world.restart(victim, old, { bootCount: 2 });
    await world.untilTrue('it is told', () => again.fatal.length > 0);
    await world.untilTrue('the others go on', () =>
      world.nodes.some(({ group }) => group.leadership !== undefined),
    );
    await world.stop();
  });

  it('and a copy of a directory asks more than one', async () => {
    const { world } = await threeVoters();
    const leader = world.leader();
    const [victim, third] = world.nodes.filter((node) => node !== leader) as [Node, Node];
    await world.kill(victim);
    await world.kill(third);
    const copy = await world.restart(victim, victim.store, { incarnation: 'copy', bootCount: 2 });
    await world.clock.advance(5_000);
    assert.equal(copy.group.status().leader, null, 'one other voter is not enough');
    await world.restart(third, third.store, { bootCount: 2 });
    await world.untilTrue('both agree', () => copy.group.status().leader !== null);
    assert.deepEqual(copy.fatal, []);
    await world.stop();
  });

  it('where all were only moved, they go on as they were', async () => {
    const { world } = await threeVoters();
    await world.clock.until(world.leader().group.client.propose(put('k')));
    const before = [...world.nodes];
    for (const node of before) await world.kill(node);
    for (const [number, node] of before.entries()) {
      await world.restart(node, node.store, { incarnation: `moved${number}`, bootCount: 2 });
    }
    await world.untilTrue('they elect', () =>
      world.nodes.some(({ group }) => group.leadership !== undefined),
    );
    const { voters } = world.leader().group.status();
    assert.deepEqual([...voters].sort(), before.map(({ peerId }): PeerId => peerId).sort());
    await world.stop();
  });
});
