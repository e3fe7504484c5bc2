import assert from 'node:assert/strict';
import { append, Bench, command, exchange, heartbeat, ofType, preVoteRequest, voters } from '../kit.ts';

describe('raft dissertation 9.6: pre-vote', () => {
  it('asking changes no term and no vote, at either side', () => {
    const asking = new Bench('a');
    asking.raft.campaign();
    const [request] = ofType(asking.settle(), 'preVote', 'b');
    assert.equal(request?.term, 1, 'the term it would campaign in');
    const asked = new Bench('b');
    const [reply] = ofType(asked.step('a', { ...request }), 'preVoteReply');
    assert.deepEqual([reply?.isGranted, reply?.term], [true, 1]);
    for (const { raft, disk } of [asking, asked]) {
      assert.deepEqual([raft.state.term, disk.hardState.term, disk.hardState.votedFor], [0, 0, null]);
    }
  });

  it('a pre-vote may be given to several, and does not keep the vote from another', () => {
    const bench = new Bench('a');
    for (const from of ['b', 'c']) {
      assert.equal(ofType(bench.step(from, preVoteRequest()), 'preVoteReply')[0]?.isGranted, true);
    }
    assert.equal(ofType(bench.step('c', preVoteRequest({ type: 'vote' })), 'voteReply')[0]?.isGranted, true);
  });

  it('a node that cannot win never campaigns for real, however long it tries', () => {
    const bench = new Bench('a', { term: 4 });
    for (let tick = 0; tick < 200; tick += 1) {
      for (const { to, term } of ofType(bench.ticks(1), 'preVote')) {
        bench.step(to, { type: 'preVoteReply', term: term - 1, isGranted: false });
      }
    }
    assert.equal(bench.raft.state.term, 4);
  });

  it('a node that was cut off comes back with its old term and follows at once', () => {
    const bench = new Bench('c');
    bench.step('a', heartbeat());
    bench.ticks(500);
    assert.equal(bench.raft.state.term, 1);
    bench.step('a', append({ entries: [command(1, 1)] }));
    const { role, leader, term, lastIndex } = bench.raft.state;
    assert.deepEqual(
      { role, leader, term, lastIndex },
      { role: 'follower', leader: 'a', term: 1, lastIndex: 1 },
    );
  });

  it('a pre-vote of an old term is refused with the newer one, which the asker then takes', () => {
    const asking = new Bench('a', { term: 2 });
    const asked = new Bench('b', { term: 5 });
    asking.raft.campaign();
    exchange(asking, asked);
    assert.equal(asking.raft.state.term, 5);
  });

  it('a pre-vote granted for an earlier try does not help a later one', () => {
    const bench = new Bench('a', { configuration: voters('a', 'b', 'c', 'd', 'e'), term: 3 });
    bench.raft.campaign();
    bench.settle();
    bench.step('b', { type: 'preVoteReply', term: 3, isGranted: true });
    bench.step('c', { type: 'preVoteReply', term: 2, isGranted: true });
    bench.step('d', { type: 'preVoteReply', term: 9, isGranted: true });
    assert.deepEqual([bench.raft.state.role, bench.raft.state.term], ['preCandidate', 3]);
  });

  it('rivals that won their pre-votes together still meet in one real election', () => {
    const configuration = voters('a', 'b', 'c');
    const benches = ['a', 'b', 'c'].map((name) => new Bench(name, { configuration }));
    for (const { raft } of benches) raft.campaign();
    exchange(...benches);
    const leaders = benches.filter(({ raft }) => raft.state.role === 'leader');
    assert.ok(leaders.length <= 1);
    assert.deepEqual(
      benches.map(({ raft }) => raft.state.term),
      [1, 1, 1],
    );
  });
});
