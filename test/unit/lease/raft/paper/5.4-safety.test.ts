import assert from 'node:assert/strict';
import { append, Bench, command, exchange, ofType, termsOf, voteRequest, voters } from '../kit.ts';

describe('raft paper 5.4.1: election restriction', () => {
  it('a vote goes only to a log at least as up to date (R4)', () => {
    const cases = [
      { lastTerm: 2, lastIndex: 2, isGranted: true, why: 'the same' },
      { lastTerm: 2, lastIndex: 1, isGranted: false, why: 'same term, shorter' },
      { lastTerm: 2, lastIndex: 3, isGranted: true, why: 'same term, longer' },
      { lastTerm: 3, lastIndex: 1, isGranted: true, why: 'newer term, shorter' },
      { lastTerm: 1, lastIndex: 9, isGranted: false, why: 'older term, longer' },
    ];
    for (const type of ['vote', 'preVote']) {
      for (const { lastTerm, lastIndex, isGranted, why } of cases) {
        const bench = new Bench('a', { entries: [command(1, 1), command(2, 2)], term: 3 });
        const sent = bench.step('b', voteRequest({ type, term: 4, lastTerm, lastIndex }));
        const [reply] = type === 'vote' ? ofType(sent, 'voteReply') : ofType(sent, 'preVoteReply');
        assert.equal(reply?.isGranted, isGranted, `${type}: ${why}`);
      }
    }
  });

  it('a candidate shows the end of its log, of entries too that are not on disk yet', () => {
    const bench = new Bench('a', { entries: [command(1, 1)], term: 1 });
    bench.hear('b', append({ term: 2, previousIndex: 1, previousTerm: 1, entries: [command(2, 2)] }));
    bench.raft.campaign();
    const [request] = ofType(bench.take().send, 'preVote', 'b');
    assert.deepEqual([request?.lastIndex, request?.lastTerm], [2, 2]);
  });

  it('who lacks what is committed loses to whoever holds it', () => {
    const configuration = voters('a', 'b', 'c');
    const behind = new Bench('a', { configuration, entries: [command(1, 1)], term: 1 });
    const holders = ['b', 'c'].map(
      (name) => new Bench(name, { configuration, entries: [command(1, 1), command(2, 1)], term: 1 }),
    ) as [Bench, Bench];
    behind.raft.campaign();
    exchange(behind, ...holders);
    assert.equal(behind.raft.state.role, 'follower');
    holders[0].raft.campaign();
    exchange(behind, ...holders);
    assert.equal(holders[0].raft.state.role, 'leader');
    assert.deepEqual(termsOf(behind), [1, 1, 2]);
  });
});

describe('raft paper 5.4.2: committing entries from previous terms', () => {
  it('an entry of an older term is not committed by counting, but with one of the own term (R7)', () => {
    const bench = new Bench('a', { entries: [command(1, 1)], term: 1 });
    bench.elect('b');
    bench.accept('b', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
    bench.accept('b', 2);
    assert.equal(bench.raft.state.commitIndex, 2);
  });

  it('figure 8, d: what a majority holds of an older term may be overwritten, so it was not committed', () => {
    const configuration = voters('a', 'b', 'c', 'd', 'e');
    const first = new Bench('a', { configuration, entries: [command(1, 1), command(2, 2)], term: 3 });
    first.elect('b', 'c');
    first.accept('b', 2);
    first.accept('c', 2);
    assert.equal(first.raft.state.commitIndex, 0, 'three of five hold the entry of term 2');
    const last = new Bench('e', { configuration, entries: [command(1, 1), command(2, 3)], term: 4 });
    last.elect('b', 'd');
    const overwriting = ofType(last.step('b', { type: 'heartbeatReply', term: 5, round: 0 }), 'append', 'b');
    assert.equal(overwriting[0]?.previousTerm, 3);
    const overwritten = new Bench('b', { configuration, entries: [command(1, 1), command(2, 2)], term: 4 });
    last.raft.tick();
    exchange(last, overwritten);
    assert.deepEqual(termsOf(overwritten), [1, 3, 5]);
  });

  it('figure 8, e: once an entry of the own term is with a majority, no such rival can win', () => {
    const configuration = voters('a', 'b', 'c', 'd', 'e');
    const first = new Bench('a', { configuration, entries: [command(1, 1), command(2, 2)], term: 3 });
    first.elect('b', 'c');
    first.accept('b', 3);
    first.accept('c', 3);
    assert.equal(first.raft.state.commitIndex, 3);
    const holder = new Bench('b', {
      configuration,
      entries: [command(1, 1), command(2, 2), command(3, 4)],
      term: 4,
    });
    const rival = voteRequest({ term: 5, lastIndex: 2, lastTerm: 3 });
    assert.equal(ofType(holder.step('e', rival), 'voteReply')[0]?.isGranted, false);
  });
});
