import assert from 'node:assert/strict';
import { Bench, command, heartbeat, leaderOf, ofType, peer, peers, voteRequest, voters } from '../kit.ts';

const some = () => [new Uint8Array(8)];

describe('raft dissertation 3.10: leadership transfer', () => {
  it('tells a voter that has everything to campaign at once, and takes no proposals meanwhile', () => {
    const bench = leaderOf();
    assert.equal(bench.raft.transferLeadership(peer('b')), true);
    assert.equal(ofType(bench.settle(), 'timeoutNow', 'b').length, 1);
    assert.deepEqual(bench.raft.propose(some()), { refused: 'transferring' });
  });

  it('waits until the voter has everything', () => {
    const bench = leaderOf();
    bench.raft.propose(some());
    bench.raft.transferLeadership(peer('b'));
    assert.equal(ofType(bench.settle(), 'timeoutNow').length, 0);
    assert.equal(ofType(bench.accept('b', 2), 'timeoutNow', 'b').length, 1);
  });

  it('is given up after an election timeout, and proposals are taken again', () => {
    const bench = leaderOf();
    bench.raft.transferLeadership(peer('b'));
    for (let tick = 0; tick < 10; tick += 1) {
      bench.step('c', { type: 'heartbeatReply', term: 1, round: 0 });
      bench.ticks(1);
    }
    assert.equal(bench.raft.state.transferee, null);
    assert.ok('term' in bench.raft.propose(some()));
  });

  it('makes the voter campaign for real, with leave to unseat', () => {
    const bench = new Bench('b');
    bench.step('a', heartbeat());
    const [vote] = ofType(bench.step('a', { type: 'timeoutNow', term: 1 }), 'vote');
    assert.deepEqual([vote?.term, vote?.isTransfer], [2, true]);
  });

  it('followers that hear the old leader vote for its successor all the same', () => {
    const bench = new Bench('c');
    bench.step('a', heartbeat());
    const [reply] = ofType(bench.step('b', voteRequest({ term: 2, isTransfer: true })), 'voteReply');
    assert.equal(reply?.isGranted, true);
  });

  it('a successor without the whole log gets no vote: a hand-over loosens loyalty, not the restriction', () => {
    const bench = new Bench('c', { entries: [command(1, 1)], term: 1 });
    bench.step('a', heartbeat());
    const [reply] = ofType(bench.step('b', voteRequest({ term: 2, isTransfer: true })), 'voteReply');
    assert.equal(reply?.isGranted, false);
  });

  it('is refused for a learner, a stranger and by a follower', () => {
    const bench = leaderOf({ configuration: { ...voters('a', 'b', 'c'), learners: peers('d') } });
    assert.equal(bench.raft.transferLeadership(peer('d')), false);
    assert.equal(bench.raft.transferLeadership(peer('x')), false);
    assert.equal(new Bench('b').raft.transferLeadership(peer('a')), false);
  });

  it('a learner that is told to campaign does not, nor does a node that leads already', () => {
    const learner = new Bench('d', { configuration: { ...voters('a', 'b'), learners: peers('d') } });
    assert.deepEqual(learner.step('a', { type: 'timeoutNow', term: 1 }), []);
    const bench = leaderOf();
    bench.step('b', { type: 'timeoutNow', term: 1 });
    assert.equal(bench.raft.state.role, 'leader');
  });

  it('and a change of members exclude each other', () => {
    const bench = leaderOf();
    bench.raft.transferLeadership(peer('c'));
    assert.deepEqual(bench.raft.proposeConfiguration({ demote: peers('c') }), { refused: 'transferring' });
    const other = leaderOf();
    other.raft.proposeConfiguration({ demote: peers('c') });
    assert.equal(other.raft.transferLeadership(peer('c')), false);
  });
});
