import assert from 'node:assert/strict';
import { Bench, leaderOf, ofType } from '../kit.ts';

describe('raft paper 8: client interaction', () => {
  it('a new leader begins its term with an empty entry, to learn what is committed', () => {
    const bench = new Bench('a');
    const [first] = ofType(bench.elect('b'), 'append', 'b');
    assert.equal(first?.entries[0]?.kind, 'empty');
  });

  it('a read waits until an entry of the own term is committed', () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.raft.requestRead(1);
    assert.equal(ofType(bench.settle(), 'heartbeat').length, 0);
    assert.equal(ofType(bench.accept('b', 1), 'heartbeat').length, 2);
  });

  it('a leader exchanges heartbeats with a majority before it answers a read', () => {
    const bench = leaderOf();
    bench.raft.requestRead(7);
    const [beat] = ofType(bench.settle(), 'heartbeat', 'b');
    assert.deepEqual(
      bench.readies.flatMap(({ reads }) => reads),
      [],
    );
    bench.step('b', { type: 'heartbeatReply', term: 1, round: beat?.round });
    assert.deepEqual(
      bench.readies.flatMap(({ reads }) => reads),
      [{ context: 7, index: 1 }],
    );
  });

  it('each duty is handed out once: what is committed is applied by the driver exactly once', () => {
    const bench = leaderOf();
    bench.raft.propose([new Uint8Array(1), new Uint8Array(2)]);
    bench.settle();
    for (const from of ['b', 'c', 'b']) bench.accept(from, 3);
    assert.equal(bench.raft.hasReady(), false);
    assert.deepEqual(
      bench.applied.map(({ index }) => Number(index)),
      [1, 2, 3],
    );
  });
});
