import assert from 'node:assert/strict';
import { AppendWindow } from '../../../../../src/lease/raft/append-window.ts';
import { type Bench, leaderOf, ofType, peer } from '../kit.ts';

const modeOf = (bench: Bench, name: string) => bench.raft.state.progress.get(peer(name))?.mode;
const proposeOneByOne = (bench: Bench, count: number) =>
  Array.from({ length: count }, (_, n) => {
    bench.raft.propose([new Uint8Array([n])]);
    return ofType(bench.settle(), 'append', 'b').map(({ entries }) => entries.length);
  });

describe('raft dissertation 10.2.1: writing to the disk of the leader in parallel', () => {
  it('appends leave before the own write is durable', () => {
    const bench = leaderOf();
    bench.raft.propose([new Uint8Array(1)]);
    const { persist, send } = bench.take();
    assert.equal(persist?.entries.length, 1);
    assert.equal(ofType(send, 'append').length, 2);
  });
});

describe('raft dissertation 10.2.2: batching and pipelining', () => {
  it('what was proposed since the last Ready goes in one append, and in one write', () => {
    const bench = leaderOf();
    for (let n = 0; n < 5; n += 1) bench.raft.propose([new Uint8Array([n])]);
    const { persist, send } = bench.take();
    assert.equal(persist?.entries.length, 5);
    assert.deepEqual(
      ofType(send, 'append').map(({ entries }) => entries.length),
      [5, 5],
    );
  });

  it('an append carries no more than its limit, a larger entry travels alone', () => {
    const bench = leaderOf({ options: { appendBytesLimit: 300 } });
    bench.raft.propose([100, 100, 1_000, 10].map((bytes) => new Uint8Array(bytes)));
    assert.deepEqual(
      ofType(bench.settle(), 'append', 'b').map(({ entries }) => entries.map((e) => e.payload.length)),
      [[100], [100], [1_000], [10]],
    );
  });

  it('the next append does not wait for the answer to the last', () => {
    assert.deepEqual(proposeOneByOne(leaderOf(), 3), [[1], [1], [1]]);
  });

  it('a window of appends is on the way to each peer, and goes on as answers come', () => {
    const bench = leaderOf({ options: { inflightAppendsLimit: 2, appendBytesLimit: 1 } });
    bench.raft.propose([1, 2, 3, 4, 5].map((n) => new Uint8Array([n])));
    assert.equal(ofType(bench.settle(), 'append', 'b').length, 2);
    assert.equal(ofType(bench.accept('b', 2), 'append', 'b')[0]?.previousIndex, 3);
  });

  it('a slow peer does not hold up the others', () => {
    const bench = leaderOf({ options: { inflightAppendsLimit: 1 } });
    proposeOneByOne(bench, 1);
    bench.accept('b', 2);
    bench.raft.propose([new Uint8Array(1)]);
    const sent = bench.settle();
    assert.deepEqual([ofType(sent, 'append', 'b').length, ofType(sent, 'append', 'c').length], [1, 0]);
  });

  it('a window is full by number or by bytes, and opens as they arrive', () => {
    const window = new AppendWindow({ inflightAppendsLimit: 3, inflightBytesLimit: 100 });
    window.sent(1, 99);
    assert.equal(window.isFull, false);
    window.sent(2, 1);
    assert.equal(window.isFull, true);
    window.arrived(1);
    assert.equal(window.isFull, false);
    window.sent(3, 1);
    window.sent(4, 1);
    assert.equal(window.isFull, true);
    window.clear();
    assert.equal(window.isFull, false);
  });

  it('a peer is probed with one append at a time until the logs are known to agree', () => {
    const bench = leaderOf();
    bench.raft.reportUnreachable(peer('b'));
    assert.equal(modeOf(bench, 'b'), 'probe');
    assert.deepEqual(proposeOneByOne(bench, 3), [[1], [], []]);
    bench.accept('b', 2);
    assert.equal(modeOf(bench, 'b'), 'replicate');
  });

  it('a refusal turns a pipeline back into a probe', () => {
    const bench = leaderOf();
    proposeOneByOne(bench, 3);
    bench.step('b', { type: 'appendRejected', term: 1, rejectedIndex: 3, hintIndex: 1, hintTerm: 1 });
    assert.equal(modeOf(bench, 'b'), 'probe');
  });

  it('proposals are refused while too much is uncommitted, and taken again afterwards', () => {
    const bench = leaderOf({ options: { uncommittedBytesLimit: 100 } });
    assert.ok('term' in bench.raft.propose([new Uint8Array(200)]));
    assert.deepEqual(bench.raft.propose([new Uint8Array(8)]), { refused: 'too-much-uncommitted' });
    bench.settle();
    bench.accept('b', 2);
    assert.ok('term' in bench.raft.propose([new Uint8Array(8)]));
  });
});

describe('a commit that is told when asked', () => {
  const committed = (): Bench => {
    const bench = leaderOf({ options: { commitNotice: 'when-asked' } });
    bench.ticks(1); // the empty entry is told by the heartbeat
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    return bench;
  };

  it('is not an append of its own', () => {
    const bench = committed();
    assert.deepEqual(ofType(bench.accept('b', 2), 'append'), []);
    assert.equal(bench.raft.commitIndex, 2);
    assert.equal(bench.raft.owesCommit(bench.raft.commitIndex), true);
  });

  it('goes with the next entry', () => {
    const bench = committed();
    bench.accept('b', 2);
    bench.accept('c', 2);
    bench.raft.propose([new Uint8Array(1)]);
    assert.deepEqual(
      ofType(bench.settle(), 'append').map(({ commitIndex }) => commitIndex),
      [2, 2],
    );
    assert.equal(bench.raft.owesCommit(bench.raft.commitIndex), false);
  });

  it('goes alone once it is asked for', () => {
    const bench = committed();
    bench.accept('b', 2);
    bench.raft.tellCommit();
    const told = ofType(bench.settle(), 'append', 'b');
    assert.deepEqual(
      told.map(({ commitIndex, entries }) => [commitIndex, entries.length]),
      [[2, 0]],
    );
    assert.deepEqual(ofType(bench.settle(), 'append'), [], 'once');
  });

  it('goes with the next heartbeat at the latest', () => {
    const bench = committed();
    bench.accept('b', 2);
    assert.equal(ofType(bench.ticks(1), 'heartbeat', 'b')[0]?.commitIndex, 2);
  });
});
