import assert from 'node:assert/strict';
import { Bench, heartbeat, leaderOf, ofType, peer, voters } from '../kit.ts';

const readsOf = (bench: Bench) => bench.readies.flatMap(({ reads }) => reads);
const echo = (round: number) => ({ type: 'heartbeatReply', term: 1, round });

describe('raft dissertation 6.2: a leader that is cut off', () => {
  it('steps down when it hears of no quorum for an election timeout', () => {
    const bench = leaderOf();
    bench.ticks(9);
    assert.equal(bench.raft.state.role, 'leader');
    bench.ticks(2);
    assert.equal(bench.raft.state.role, 'follower');
    assert.equal(bench.raft.state.hasQuorum, false);
  });

  it('stays while it hears of one follower of two', () => {
    const bench = leaderOf();
    for (let tick = 0; tick < 40; tick += 1) {
      bench.ticks(1);
      bench.step('b', echo(0));
    }
    assert.equal(bench.raft.state.role, 'leader');
    assert.equal(bench.raft.state.progress.get(peer('c'))?.isRecentlyActive, false);
  });

  it('steps down though learners answer', () => {
    const bench = leaderOf({ configuration: { ...voters('a', 'b', 'c'), learners: [peer('d'), peer('e')] } });
    for (let tick = 0; tick < 12; tick += 1) {
      bench.ticks(1);
      for (const learner of ['d', 'e']) bench.step(learner, echo(0));
    }
    assert.equal(bench.raft.state.role, 'follower');
  });
});

describe('raft dissertation 6.4: reads without the log', () => {
  it('are served only after a quorum has echoed a round begun afterwards (R3)', () => {
    const bench = leaderOf();
    bench.raft.requestRead(41);
    bench.raft.requestRead(42);
    const rounds = ofType(bench.settle(), 'heartbeat').map(({ round }) => round);
    assert.deepEqual(rounds, [1, 1], 'one round for both');
    bench.step('b', echo(0));
    assert.deepEqual(readsOf(bench), []);
    bench.step('b', echo(1));
    assert.deepEqual(readsOf(bench), [
      { context: 41, index: 1 },
      { context: 42, index: 1 },
    ]);
  });

  it('carry the commit index at which the round began, not a later one', () => {
    const bench = leaderOf();
    bench.raft.requestRead(1);
    bench.settle();
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    bench.accept('b', 2);
    bench.step('b', echo(1));
    assert.deepEqual(readsOf(bench), [{ context: 1, index: 1 }]);
  });

  it('of an earlier round are confirmed by the echo of a later one', () => {
    const bench = leaderOf();
    for (const context of [1, 2]) {
      bench.raft.requestRead(context);
      bench.settle();
    }
    bench.step('c', echo(2));
    assert.deepEqual(
      readsOf(bench).map(({ context }) => context),
      [1, 2],
    );
  });

  it('are not confirmed by a round that was never begun', () => {
    const bench = leaderOf();
    bench.step('b', echo(99));
    bench.raft.requestRead(1);
    bench.settle();
    assert.deepEqual(readsOf(bench), []);
  });

  it('are not confirmed by learners', () => {
    const bench = leaderOf({ configuration: { ...voters('a', 'b', 'c'), learners: [peer('d'), peer('e')] } });
    bench.raft.requestRead(1);
    assert.deepEqual(
      ofType(bench.settle(), 'heartbeat').map(({ to }) => to),
      ['b', 'c'],
    );
    for (const learner of ['d', 'e']) bench.step(learner, echo(1));
    assert.deepEqual(readsOf(bench), []);
  });

  it('while joint need both majorities', () => {
    const bench = leaderOf();
    bench.raft.proposeConfiguration({ promote: [peer('d'), peer('e')], remove: [peer('b'), peer('c')] });
    bench.raft.requestRead(1);
    bench.settle();
    for (const from of ['d', 'e']) bench.step(from, echo(1));
    assert.deepEqual(readsOf(bench), []);
    bench.step('b', echo(1));
    assert.deepEqual(readsOf(bench), [{ context: 1, index: 1 }]);
  });

  it('fail with the leadership, and are refused by a follower', () => {
    const bench = leaderOf();
    bench.raft.requestRead(1);
    bench.step('b', heartbeat({ term: 5 }));
    assert.deepEqual(
      bench.readies.flatMap(({ failedReads }) => failedReads),
      [1],
    );
    assert.equal(bench.raft.requestRead(2), false);
  });

  it('confirmed just before the leadership ended are still handed out', () => {
    const bench = leaderOf();
    bench.raft.requestRead(1);
    bench.settle();
    bench.hear('b', echo(1));
    bench.hear('b', heartbeat({ term: 5 }));
    const { reads, failedReads } = bench.take();
    assert.deepEqual([reads, failedReads], [[{ context: 1, index: 1 }], []]);
  });

  it('of a single voter need nobody', () => {
    const bench = new Bench('a', { configuration: voters('a') });
    bench.elect();
    bench.raft.requestRead(7);
    bench.settle();
    assert.deepEqual(readsOf(bench), [{ context: 7, index: 1 }]);
  });
});
