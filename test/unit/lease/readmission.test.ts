import assert from 'node:assert/strict';
import type { LogIndex, PeerId } from '../../../src/base/index.ts';
import { Readmissions } from '../../../src/lease/readmission.ts';
import { type Node, World } from './world.ts';

const put = (key: string) => ({ module: 'kv', kind: 'put', body: { key, value: 'x' } });
const get = (key: string) => ({ module: 'kv', kind: 'get', body: { key } });

async function threeVoters() {
  const world = new World();
  const first = await world.addNode();
  await world.found(first);
  const nodes = [first, await world.addNode(), await world.addNode()];
  for (const node of nodes.slice(1)) await world.admit(node);
  await world.untilTrue('three voters', () => nodes.every(({ group }) => group.status().voters.length === 3));
  return { world, nodes };
}

const votersOf = (node: Node) => [...node.group.status().voters];

describe('a node that lost its disk', () => {
  it('Q1: is taken out before it speaks, comes back as a learner, votes again, and has everything', async () => {
    const { world } = await threeVoters();
    const leader = world.leader();
    for (let at = 0; at < 20; at += 1) await world.clock.until(leader.group.client.propose(put(`k${at}`)));
    const victim = world.nodes.find((node) => node !== leader) as Node;
    await world.kill(victim);
    const seen: string[] = [];
    const again = await world.forget(
      victim,
      async () => void seen.push(votersOf(leader).includes(victim.peerId) ? 'voter' : 'out'),
    );
    const roles = new Set<string>();
    await world.untilTrue('it votes again', () => {
      roles.add(again.group.status().role);
      return again.group.status().role === 'voter' && votersOf(leader).length === 3;
    });
    assert.deepEqual(seen, ['out']);
    assert.deepEqual([...roles], ['spare', 'standby', 'voter']);
    await world.untilTrue(
      'it has caught up',
      () => again.group.status().appliedIndex === leader.group.status().appliedIndex,
    );
    const answer = await world.clock.until(again.group.client.query({ ...get('k19'), consistency: 'stale' }));
    assert.notEqual(answer, null);
    assert.deepEqual(again.fatal, []);
    await world.stop();
  });

  it('Q1: gives no vote and confirms nothing while the others cannot agree without it', async () => {
    const { world } = await threeVoters();
    const leader = world.leader();
    const [victim, other] = world.nodes.filter((node) => node !== leader) as [Node, Node];
    await world.kill(victim);
    world.isolate(other);
    const again = await world.forget(victim);
    await world.clock.advance(20_000);
    assert.equal(again.group.status().role, 'spare');
    assert.equal(again.group.status().appliedIndex, 0);
    assert.equal(leader.group.leadership, undefined, 'two of three are not there to lead');
    await world.heal();
    await world.untilTrue('it votes again', () => again.group.status().role === 'voter');
    await world.stop();
  });

  it('that was not counted on may begin at once', async () => {
    const { world } = await threeVoters();
    const spare = await world.addNode();
    await world.kill(spare);
    let isReadmitted = false;
    await world.forget(spare, async () => {
      isReadmitted = true;
    });
    await world.untilTrue('it may begin', () => isReadmitted, 5_000);
    await world.stop();
  });
});

describe('the book of readmissions', () => {
  const peer = 'c' as PeerId;
  const state = (voters: string[], commitIndex: number, lastIndex: number) => ({
    configuration: { voters: voters as PeerId[], outgoing: [], learners: [] },
    commitIndex: commitIndex as LogIndex,
    lastIndex: lastIndex as LogIndex,
  });

  it('lets a node back only when the configuration without it is committed', () => {
    const book = new Readmissions();
    assert.equal(book.ask(peer, '1', state(['a', 'b', 'c'], 9, 9)), false);
    assert.deepEqual([...book.waiting], [peer]);
    assert.equal(book.ask(peer, '1', state(['a', 'b'], 9, 10)), false);
    assert.equal(book.ask(peer, '1', state(['a', 'b'], 9, 12)), false);
    assert.equal(book.ask(peer, '1', state(['a', 'b'], 10, 14)), true);
    assert.deepEqual([...book.waiting], []);
  });

  it('stands by its word to the same incarnation, and begins anew with another', () => {
    const book = new Readmissions();
    assert.equal(book.ask(peer, '1', state(['a', 'b'], 9, 9)), true);
    assert.equal(book.ask(peer, '1', state(['a', 'b', 'c'], 9, 9)), true);
    assert.equal(book.ask(peer, '2', state(['a', 'b', 'c'], 9, 9)), false);
  });
});
