import assert from 'node:assert/strict';
import { Bench, command, ofType, peer, peers, term, voters } from './kit.ts';

const append = (over: Record<string, unknown>) => ({
  type: 'append',
  term: 1,
  previousIndex: 0,
  previousTerm: 0,
  entries: [],
  commitIndex: 0,
  ...over,
});

const voteFor = (over: Record<string, unknown>) => ({
  type: 'vote',
  term: 1,
  lastIndex: 0,
  lastTerm: 0,
  isTransfer: false,
  ...over,
});

describe('raft: the paper', () => {
  it('5.1 a node that meets a newer term follows it', () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.step('b', append({ term: 5 }));
    const { role, term: now, leader } = bench.raft.state;
    assert.deepEqual({ role, now, leader }, { role: 'follower', now: 5, leader: 'b' });
  });

  it('5.1 an append of an older term is answered with the newer one, so that a node ahead is never stuck', () => {
    const bench = new Bench('a', { term: 7 });
    const [answer] = ofType(bench.step('b', append({ term: 3 })), 'appendRejected', 'b');
    assert.equal(answer?.term, 7);
    assert.equal(bench.raft.state.leader, null);
  });

  it('5.2 a follower that hears nothing asks for pre-votes within two election timeouts, without a new term', () => {
    const bench = new Bench('a');
    const sent = bench.ticks(20);
    assert.ok(ofType(sent, 'preVote').length >= 2);
    assert.equal(ofType(sent, 'vote').length, 0);
    assert.equal(bench.raft.state.term, 0);
  });

  it('5.2 each election draws another patience', () => {
    const bench = new Bench('a');
    const patience = new Set<number>();
    let waited = 0;
    for (let tick = 0; tick < 400; tick += 1) {
      waited += 1;
      if (ofType(bench.ticks(1), 'preVote').length > 0) {
        patience.add(waited);
        waited = 0;
      }
    }
    assert.ok(patience.size >= 5);
    assert.ok([...patience].every((ticks) => ticks >= 10 && ticks < 20));
  });

  it('5.2 a node votes once in a term, for the first that asks', () => {
    const bench = new Bench('a');
    const [first] = ofType(bench.step('b', voteFor({})), 'voteReply');
    const [second] = ofType(bench.step('c', voteFor({})), 'voteReply');
    const [again] = ofType(bench.step('b', voteFor({})), 'voteReply');
    assert.deepEqual([first?.isGranted, second?.isGranted, again?.isGranted], [true, false, true]);
  });

  it('5.2 a vote outlives a restart', () => {
    const bench = new Bench('a', { term: 1, votedFor: peer('b') });
    const [reply] = ofType(bench.step('c', voteFor({})), 'voteReply');
    assert.equal(reply?.isGranted, false);
  });

  it('5.2 a vote leaves only with the write that holds it (R5)', () => {
    const bench = new Bench('a');
    bench.raft.step({ from: peer('b'), to: peer('a'), ...voteFor({}) } as never);
    const ready = bench.take();
    assert.equal(ready.persist?.hardState?.votedFor, 'b');
    assert.deepEqual(ready.send, []);
    assert.equal(ready.sendAfterPersist[0]?.type, 'voteReply');
  });

  it('5.2 a real candidacy asks for votes only after its own vote is durable (R9)', () => {
    const bench = new Bench('a');
    bench.raft.campaign();
    bench.settle();
    bench.raft.step({ type: 'preVoteReply', from: peer('b'), to: peer('a'), term: term(1), isGranted: true });
    const ready = bench.take();
    assert.deepEqual(ready.persist?.hardState, { term: 1, votedFor: 'a', commitIndex: 0 });
    assert.deepEqual(ready.send, []);
    assert.equal(ready.sendAfterPersist.length, 2);
  });

  it('5.2 a single voter wins only when its own vote is on disk', () => {
    const bench = new Bench('a', { configuration: voters('a') });
    bench.raft.campaign();
    const ready = bench.take();
    assert.equal(bench.raft.state.role, 'candidate');
    bench.write(ready);
    assert.equal(bench.raft.state.role, 'leader');
  });

  it('5.2 votes of others may suffice before the own write is reported', () => {
    const bench = new Bench('a');
    bench.raft.campaign();
    bench.settle();
    bench.raft.step({ type: 'preVoteReply', from: peer('b'), to: peer('a'), term: term(1), isGranted: true });
    const ready = bench.take();
    for (const from of peers('b', 'c')) {
      bench.raft.step({ type: 'voteReply', from, to: peer('a'), term: term(1), isGranted: true });
    }
    assert.equal(bench.raft.state.role, 'leader');
    bench.write(ready);
    assert.equal(bench.raft.state.role, 'leader');
  });

  it('5.2 refused by a majority, a candidate follows again', () => {
    const bench = new Bench('a');
    bench.raft.campaign();
    bench.settle();
    bench.step('b', { type: 'preVoteReply', term: 1, isGranted: true });
    bench.step('b', { type: 'voteReply', term: 1, isGranted: false });
    bench.step('c', { type: 'voteReply', term: 1, isGranted: false });
    assert.equal(bench.raft.state.role, 'follower');
  });

  it('5.3 a follower cuts what conflicts, and only that', () => {
    const entries = [command(1, 1), command(2, 1), command(3, 1)];
    const bench = new Bench('a', { entries, term: 1 });
    bench.step('b', append({ term: 2, previousIndex: 1, previousTerm: 1, entries: [command(2, 2)] }));
    assert.equal(bench.disk.lastIndex(), 2);
    assert.equal(bench.disk.term(bench.disk.lastIndex()), 2);
  });

  it('5.3 an overtaken append does not cut what a newer one brought', () => {
    const bench = new Bench('a');
    bench.step('b', append({ entries: [command(1, 1), command(2, 1), command(3, 1)] }));
    bench.step('b', append({ entries: [command(1, 1)] }));
    assert.equal(bench.disk.lastIndex(), 3);
  });

  it('5.3 a follower that lacks the previous entry refuses with a hint, and the leader skips a whole term', () => {
    const own = [command(1, 1), command(2, 4), command(3, 4), command(4, 4)];
    const leader = new Bench('a', { entries: own, term: 4 });
    leader.elect('b');
    leader.step('b', {
      type: 'appendRejected',
      term: leader.raft.state.term,
      rejectedIndex: 4,
      hintIndex: 4,
      hintTerm: 3,
    });
    assert.equal(leader.raft.state.progress.get(peer('b'))?.nextIndex, 2);
  });

  it('5.3 an entry is committed when a majority holds it, the leader not more than any other', () => {
    const bench = new Bench('a', { configuration: voters('a', 'b', 'c', 'd', 'e') });
    bench.elect('b', 'c');
    bench.accept('b', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
    bench.accept('c', 1);
    assert.equal(bench.raft.state.commitIndex, 1);
  });

  it("5.3 a leader's own disk counts only when it has written", () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.raft.propose([new Uint8Array(1)]);
    const ready = bench.take();
    bench.raft.step({
      type: 'appendAccepted',
      from: peer('b'),
      to: peer('a'),
      term: term(1),
      matchIndex: bench.raft.state.lastIndex,
    });
    assert.equal(bench.raft.state.commitIndex, 1);
    bench.write(ready);
    assert.equal(bench.raft.state.commitIndex, 2);
  });

  it('5.3 followers alone may commit, but nothing is handed to apply before it is durable here', () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.raft.propose([new Uint8Array(1)]);
    const ready = bench.take();
    bench.accept('b', 2);
    bench.accept('c', 2);
    assert.equal(bench.raft.state.commitIndex, 2);
    assert.deepEqual(
      bench.applied.map(({ index }) => Number(index)),
      [1],
    );
    bench.write(ready);
    bench.settle();
    assert.deepEqual(
      bench.applied.map(({ index }) => Number(index)),
      [1, 2],
    );
  });

  it('5.4.1 a vote goes only to a log at least as up to date', () => {
    const cases = [
      { lastTerm: 2, lastIndex: 2, isGranted: true, why: 'the same' },
      { lastTerm: 2, lastIndex: 1, isGranted: false, why: 'same term, shorter' },
      { lastTerm: 3, lastIndex: 1, isGranted: true, why: 'newer term, shorter' },
      { lastTerm: 1, lastIndex: 9, isGranted: false, why: 'older term, longer' },
    ];
    for (const { lastTerm, lastIndex, isGranted, why } of cases) {
      const bench = new Bench('a', { entries: [command(1, 1), command(2, 2)], term: 3 });
      const [reply] = ofType(bench.step('b', voteFor({ term: 4, lastTerm, lastIndex })), 'voteReply');
      assert.equal(reply?.isGranted, isGranted, why);
    }
  });

  it('5.4.2 an entry of an older term is not committed by counting, but with one of the own term (R7)', () => {
    const bench = new Bench('a', { entries: [command(1, 1)], term: 1 });
    bench.elect('b');
    bench.accept('b', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
    bench.accept('b', 2);
    assert.equal(bench.raft.state.commitIndex, 2);
  });

  it('8 a new leader begins its term with an empty entry', () => {
    const bench = new Bench('a');
    const [first] = ofType(bench.elect('b'), 'append', 'b');
    assert.equal(first?.entries[0]?.kind, 'empty');
  });
});
