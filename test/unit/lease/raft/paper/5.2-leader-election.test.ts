import assert from 'node:assert/strict';
import {
  append,
  Bench,
  command,
  heartbeat,
  leaderOf,
  ofType,
  peer,
  preVoteRequest,
  voteRequest,
  voters,
} from '../kit.ts';

/** A core whose pre-vote b granted: its candidacy waits to be taken. */
function aboutToCampaign(): Bench {
  const bench = new Bench('a');
  bench.raft.campaign();
  bench.settle();
  bench.hear('b', { type: 'preVoteReply', term: 1, isGranted: true });
  return bench;
}

describe('raft paper 5.2: leader election', () => {
  it('every node starts as a follower, whatever it was before', () => {
    const { role, leader, term } = new Bench('a', { term: 3, votedFor: peer('a') }).raft.state;
    assert.deepEqual({ role, leader, term }, { role: 'follower', leader: null, term: 3 });
  });

  it('a follower that hears nothing asks within two election timeouts, without a new term', () => {
    const bench = new Bench('a');
    const sent = bench.ticks(20);
    assert.ok(ofType(sent, 'preVote').length >= 2);
    assert.equal(ofType(sent, 'vote').length, 0);
    assert.equal(bench.raft.state.term, 0);
  });

  it('a follower that hears its leader does not', () => {
    const bench = new Bench('a');
    for (let tick = 0; tick < 100; tick += 1) {
      assert.deepEqual(bench.ticks(1), []);
      bench.step('b', heartbeat());
    }
  });

  it('each election draws another patience', () => {
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

  it('a node votes once in a term, for the first that asks', () => {
    const bench = new Bench('a');
    const [first] = ofType(bench.step('b', voteRequest()), 'voteReply');
    const [second] = ofType(bench.step('c', voteRequest()), 'voteReply');
    const [again] = ofType(bench.step('b', voteRequest()), 'voteReply');
    assert.deepEqual([first?.isGranted, second?.isGranted, again?.isGranted], [true, false, true]);
  });

  it('a node that follows a leader of the term gives its vote of that term to nobody', () => {
    const bench = new Bench('a');
    bench.step('b', heartbeat());
    const [reply] = ofType(bench.step('c', voteRequest()), 'voteReply');
    assert.equal(reply?.isGranted, false);
  });

  it('a vote outlives a restart', () => {
    const bench = new Bench('a', { term: 1, votedFor: peer('b') });
    const [reply] = ofType(bench.step('c', voteRequest()), 'voteReply');
    assert.equal(reply?.isGranted, false);
  });

  it('a vote leaves only with the write that holds it (R5)', () => {
    const bench = new Bench('a');
    bench.hear('b', voteRequest());
    const ready = bench.take();
    assert.equal(ready.persist?.hardState?.votedFor, 'b');
    assert.deepEqual(ready.send, []);
    assert.equal(ready.sendAfterPersist[0]?.type, 'voteReply');
  });

  it('a candidate asks for votes only after its own vote is durable (R9)', () => {
    const ready = aboutToCampaign().take();
    assert.deepEqual(ready.persist?.hardState, { term: 1, votedFor: 'a', commitIndex: 0 });
    assert.deepEqual(ready.send, []);
    assert.equal(ready.sendAfterPersist.length, 2);
  });

  it('a single voter wins only when its own vote is on disk', () => {
    const bench = new Bench('a', { configuration: voters('a') });
    bench.raft.campaign();
    const ready = bench.take();
    assert.equal(bench.raft.state.role, 'candidate');
    bench.write(ready);
    assert.equal(bench.raft.state.role, 'leader');
  });

  it('votes of others may suffice before the own write is reported', () => {
    const bench = aboutToCampaign();
    const ready = bench.take();
    for (const from of ['b', 'c']) bench.hear(from, { type: 'voteReply', term: 1, isGranted: true });
    assert.equal(bench.raft.state.role, 'leader');
    bench.write(ready);
    assert.equal(bench.raft.state.role, 'leader');
  });

  it('a candidate wins with a majority of the whole group, the last vote that is missing decides', () => {
    const cases = [
      { group: 'abc', granted: 'b', role: 'leader' },
      { group: 'abc', granted: '', role: 'candidate' },
      { group: 'abcd', granted: 'b', role: 'candidate' },
      { group: 'abcd', granted: 'bc', role: 'leader' },
      { group: 'abcde', granted: 'b', role: 'candidate' },
      { group: 'abcde', granted: 'bc', role: 'leader' },
    ];
    for (const { group, granted, role } of cases) {
      const bench = new Bench('a', { configuration: voters(...group) });
      bench.raft.campaign();
      bench.settle();
      for (const from of group.slice(1)) bench.step(from, { type: 'preVoteReply', term: 1, isGranted: true });
      for (const from of granted) bench.step(from, { type: 'voteReply', term: 1, isGranted: true });
      assert.equal(bench.raft.state.role, role, `${granted || 'nobody'} of ${group}`);
    }
  });

  it('a vote that arrives twice counts once', () => {
    const bench = new Bench('a', { configuration: voters('a', 'b', 'c', 'd', 'e') });
    bench.raft.campaign();
    bench.settle();
    for (const from of ['b', 'c']) bench.step(from, { type: 'preVoteReply', term: 1, isGranted: true });
    bench.step('b', { type: 'voteReply', term: 1, isGranted: true });
    bench.step('b', { type: 'voteReply', term: 1, isGranted: true });
    assert.equal(bench.raft.state.role, 'candidate');
  });

  it('refused by a majority, a candidate follows again', () => {
    const bench = aboutToCampaign();
    bench.settle();
    bench.step('b', { type: 'voteReply', term: 1, isGranted: false });
    bench.step('c', { type: 'voteReply', term: 1, isGranted: false });
    assert.equal(bench.raft.state.role, 'follower');
  });

  it('a candidate that hears the leader of its term follows it', () => {
    for (const message of [append(), heartbeat()]) {
      const bench = aboutToCampaign();
      bench.settle();
      assert.equal(bench.raft.state.role, 'candidate');
      bench.step('c', message);
      const { role, leader, term } = bench.raft.state;
      assert.deepEqual({ role, leader, term }, { role: 'follower', leader: 'c', term: 1 });
    }
  });

  it('after a split vote a candidate tries again with patience drawn anew', () => {
    const bench = aboutToCampaign();
    bench.settle();
    bench.step('b', { type: 'voteReply', term: 1, isGranted: false });
    assert.equal(bench.raft.state.role, 'candidate');
    assert.ok(ofType(bench.ticks(20), 'preVote').length >= 2);
    bench.step('c', { type: 'preVoteReply', term: 2, isGranted: true });
    assert.deepEqual([bench.raft.state.role, bench.raft.state.term], ['candidate', 2]);
  });

  it('a new leader tells everybody at once, and again with every heartbeat', () => {
    const bench = new Bench('a', { options: { heartbeatTicks: 2 } });
    const sent = bench.elect('b');
    assert.deepEqual(
      ofType(sent, 'append').map(({ to }) => to),
      ['b', 'c'],
    );
    assert.equal(ofType(bench.ticks(1), 'heartbeat').length, 0);
    assert.equal(ofType(bench.ticks(1), 'heartbeat').length, 2);
  });

  it('a vote that was given puts off the own election, one that was refused does not', () => {
    const heldOff = new Bench('a');
    const patient = new Bench('a', { entries: [command(1, 1)], term: 1 });
    for (let tick = 0; tick < 19; tick += 1) {
      heldOff.ticks(1);
      patient.ticks(1);
      heldOff.step('b', voteRequest({ term: tick + 1 }));
      patient.step('b', preVoteRequest({ term: 2 }));
    }
    assert.equal(heldOff.raft.state.role, 'follower');
    assert.equal(patient.raft.state.role, 'preCandidate');
  });

  it('a leader tells of a leadership lost and one gained between two Readies, one after the other', () => {
    const bench = leaderOf();
    assert.ok(bench.readies.some(({ leadership }) => leadership === 'gained'));
    bench.hear('b', heartbeat({ term: 3 }));
    assert.equal(bench.take().leadership, 'lost');
    assert.equal(bench.take().leadership, null);
  });
});
