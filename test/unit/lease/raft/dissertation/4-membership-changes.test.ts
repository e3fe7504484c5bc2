import assert from 'node:assert/strict';
import {
  Bench,
  command,
  heartbeat,
  leaderOf,
  ofType,
  peers,
  preVoteRequest,
  voteRequest,
  voters,
} from '../kit.ts';

describe('raft dissertation 4.1: one change at a time', () => {
  it('a change of one vote needs no joint configuration', () => {
    const bench = leaderOf();
    bench.raft.proposeConfiguration({ promote: peers('d') });
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'b', 'c', 'd'));
  });

  it('the next waits until the last is committed', () => {
    const bench = leaderOf();
    bench.raft.proposeConfiguration({ promote: peers('d') });
    assert.deepEqual(bench.raft.proposeConfiguration({ promote: peers('e') }), { refused: 'change-pending' });
    bench.settle();
    for (const name of ['b', 'd']) bench.accept(name, 2);
    assert.ok('term' in bench.raft.proposeConfiguration({ promote: peers('e') }));
  });

  it('the next waits until a joint one has been left', () => {
    const bench = leaderOf();
    bench.raft.proposeConfiguration({ promote: peers('d', 'e'), remove: peers('b', 'c') });
    bench.settle();
    for (const name of ['b', 'd']) bench.accept(name, 2);
    assert.deepEqual(bench.raft.proposeConfiguration({ remove: peers('e') }), { refused: 'change-pending' });
    bench.accept('d', 3);
    assert.ok('term' in bench.raft.proposeConfiguration({ remove: peers('e') }));
  });

  it('none before an entry of the own term is committed, none that changes nothing', () => {
    const bench = new Bench('a');
    bench.elect('b');
    assert.deepEqual(bench.raft.proposeConfiguration({ remove: peers('c') }), { refused: 'change-pending' });
    bench.accept('b', 1);
    assert.deepEqual(bench.raft.proposeConfiguration({ demote: peers('x') }), { refused: 'no-change' });
  });

  it('a follower takes none; a leader that has too much uncommitted does, it may be the way out', () => {
    assert.deepEqual(new Bench('a').raft.proposeConfiguration({ remove: peers('b') }), {
      refused: 'not-leader',
    });
    const bench = leaderOf({ options: { uncommittedBytesLimit: 100 } });
    bench.raft.propose([new Uint8Array(200)]);
    assert.ok('term' in bench.raft.proposeConfiguration({ remove: peers('c') }));
  });
});

describe('raft dissertation 4.2.1: catching up new servers', () => {
  it('a learner never campaigns but votes: it may have been promoted without knowing', () => {
    const bench = new Bench('c', { configuration: { ...voters('a', 'b'), learners: peers('c') } });
    assert.deepEqual(bench.ticks(60), []);
    assert.equal(ofType(bench.step('a', voteRequest()), 'voteReply')[0]?.isGranted, true);
  });

  it('the vote of a learner does not elect', () => {
    const bench = new Bench('a', { configuration: { ...voters('a', 'b', 'c'), learners: peers('d', 'e') } });
    bench.raft.campaign();
    assert.deepEqual(
      ofType(bench.settle(), 'preVote').map(({ to }) => to),
      ['b', 'c'],
    );
    for (const from of ['d', 'e']) bench.step(from, { type: 'preVoteReply', term: 1, isGranted: true });
    assert.equal(bench.raft.state.role, 'preCandidate');
  });

  it('a promoted learner counts from the moment its configuration is in the log', () => {
    const bench = new Bench('a', { configuration: { ...voters('a', 'b'), learners: peers('c') } });
    bench.elect('b');
    bench.accept('b', 1);
    bench.raft.proposeConfiguration({ promote: peers('c') });
    bench.settle();
    bench.accept('c', 2);
    assert.equal(bench.raft.state.commitIndex, 2);
  });
});

describe('raft dissertation 4.2.2: removing the current leader', () => {
  it('a removed leader tells the voter with the longest log to campaign, and steps down', () => {
    const bench = new Bench('a', { configuration: voters('a', 'b', 'c', 'd') });
    bench.elect('b', 'c');
    for (const name of ['b', 'c']) bench.accept(name, 1);
    bench.raft.proposeConfiguration({ remove: peers('a') });
    bench.settle();
    bench.accept('c', 2);
    const sent = bench.accept('d', 2);
    assert.equal(bench.raft.state.role, 'follower');
    assert.deepEqual(
      ofType(sent, 'timeoutNow').map(({ to }) => to),
      ['c'],
    );
  });

  it('a node that an uncommitted change removed still campaigns (R11)', () => {
    const entry = { ...command(1, 1), kind: 'configuration' as const, configuration: voters('b') };
    const bench = new Bench('a', { configuration: voters('a', 'b'), entries: [entry], term: 1 });
    assert.ok(ofType(bench.ticks(20), 'preVote', 'b').length > 0);
  });

  it('a node whose removal is committed does not', () => {
    const entry = { ...command(1, 1), kind: 'configuration' as const, configuration: voters('b') };
    const bench = new Bench('a', { configuration: voters('a', 'b'), entries: [entry], term: 1, commit: 1 });
    assert.deepEqual(bench.ticks(40), []);
  });
});

describe('raft dissertation 4.2.3: disruptive servers', () => {
  const request = { term: 9, lastIndex: 99, lastTerm: 8 };

  it('a leader is not unseated by a request of a newer term', () => {
    const bench = leaderOf();
    assert.deepEqual(bench.step('c', voteRequest(request)), []);
    assert.equal(bench.raft.state.term, 1);
  });

  it('a follower that heard its leader within an election timeout neither votes nor pre-votes', () => {
    for (const asking of [voteRequest(request), preVoteRequest(request)]) {
      const bench = new Bench('b');
      bench.step('a', heartbeat());
      bench.ticks(9);
      assert.deepEqual(bench.step('c', asking), []);
      assert.equal(bench.raft.state.term, 1);
    }
  });

  it('after an election timeout of silence it does', () => {
    const bench = new Bench('b');
    bench.step('a', heartbeat());
    bench.ticks(10);
    assert.equal(ofType(bench.step('c', voteRequest(request)), 'voteReply')[0]?.isGranted, true);
  });
});
