import assert from 'node:assert/strict';
import { at, Bench, command, ofType, peer, peers, term, voters } from './kit.ts';

const some = () => [new Uint8Array(8)];

/** A leader of term 1 whose empty entry everybody holds. */
function leader(given: ConstructorParameters<typeof Bench>[1] = {}): Bench {
  const bench = new Bench('a', given);
  bench.elect('b');
  for (const name of ['b', 'c']) bench.accept(name, bench.raft.state.lastIndex);
  return bench;
}

describe('raft: a leader', () => {
  it('that hears of no quorum for an election timeout steps down', () => {
    const bench = leader();
    bench.ticks(9);
    assert.equal(bench.raft.state.role, 'leader');
    bench.ticks(2);
    assert.equal(bench.raft.state.role, 'follower');
    assert.equal(bench.raft.state.hasQuorum, false);
  });

  it('that hears of one follower of two stays', () => {
    const bench = leader();
    for (let tick = 0; tick < 40; tick += 1) {
      bench.ticks(1);
      bench.step('b', { type: 'heartbeatReply', term: 1, round: 0 });
    }
    assert.equal(bench.raft.state.role, 'leader');
    assert.equal(bench.raft.state.progress.get(peer('c'))?.isRecentlyActive, false);
  });

  it('is not unseated by a vote of a newer term, nor are followers that heard it lately; a transfer is let through', () => {
    const vote = { type: 'vote', term: 9, lastIndex: 99, lastTerm: 8, isTransfer: false };
    const bench = leader();
    assert.deepEqual(bench.step('c', vote), []);
    assert.equal(bench.raft.state.term, 1);
    const follower = new Bench('b');
    follower.step('a', { type: 'heartbeat', term: 1, commitIndex: 0, round: 0 });
    assert.deepEqual(follower.step('c', vote), []);
    assert.equal(ofType(follower.step('c', { ...vote, isTransfer: true }), 'voteReply')[0]?.isGranted, true);
  });

  it('keeps a window of appends on the way to each peer, and goes on as answers come', () => {
    const bench = leader({ options: { inflightAppendsLimit: 2, appendBytesLimit: 1 } });
    bench.raft.propose([1, 2, 3, 4, 5].map((n) => new Uint8Array([n])));
    assert.equal(ofType(bench.settle(), 'append', 'b').length, 2);
    assert.equal(ofType(bench.accept('b', 2), 'append', 'b')[0]?.previousIndex, 3);
  });

  it('refuses proposals while too much is uncommitted, and takes them again afterwards', () => {
    const bench = leader({ options: { uncommittedBytesLimit: 100 } });
    assert.ok('term' in bench.raft.propose([new Uint8Array(200)]));
    assert.deepEqual(bench.raft.propose(some()), { refused: 'too-much-uncommitted' });
    bench.settle();
    bench.accept('b', 2);
    assert.ok('term' in bench.raft.propose(some()));
  });

  it('asks again at the next heartbeat when an append was lost, and starts over where the follower is', () => {
    const bench = leader();
    bench.raft.propose(some());
    bench.settle();
    const [asked] = ofType(bench.step('b', { type: 'heartbeatReply', term: 1, round: 0 }), 'append', 'b');
    assert.deepEqual([asked?.previousIndex, asked?.entries.length], [2, 0]);
    const sent = bench.step('b', {
      type: 'appendRejected',
      term: 1,
      rejectedIndex: 2,
      hintIndex: 1,
      hintTerm: 1,
    });
    assert.equal(ofType(sent, 'append', 'b')[0]?.entries[0]?.index, 2);
  });

  it('tells of both a leadership lost and one gained between two Readies, one after the other', () => {
    const bench = leader();
    assert.equal(
      bench.readies.some(({ leadership }) => leadership === 'gained'),
      true,
    );
    bench.raft.step({
      type: 'heartbeat',
      from: peer('b'),
      to: peer('a'),
      term: term(3),
      commitIndex: at(0),
      round: 0,
    });
    assert.equal(bench.take().leadership, 'lost');
  });

  it('hands over a peer that lacks compacted entries to the driver, once, and goes on behind the snapshot', () => {
    const entries = [1, 2, 3, 4].map((index) => command(index, 1));
    const bench = new Bench('a', { entries, term: 1, commit: 4 });
    bench.disk.compact(3, voters('a', 'b', 'c'));
    bench.elect('b');
    bench.step('b', {
      type: 'appendRejected',
      term: 2,
      rejectedIndex: 4,
      hintIndex: 0,
      hintTerm: 0,
    });
    assert.deepEqual(
      bench.readies.flatMap(({ snapshotTo }) => snapshotTo),
      ['b'],
    );
    bench.raft.reportSnapshot(peer('b'), { index: at(4) });
    const [next] = ofType(bench.settle(), 'append', 'b');
    assert.deepEqual([next?.previousIndex, next?.entries[0]?.index], [4, 5]);
  });
});

describe('raft: transfer of leadership', () => {
  it('tells a voter that has everything to campaign at once, and takes no proposals meanwhile', () => {
    const bench = leader();
    assert.equal(bench.raft.transferLeadership(peer('b')), true);
    assert.equal(ofType(bench.settle(), 'timeoutNow', 'b').length, 1);
    assert.deepEqual(bench.raft.propose(some()), { refused: 'transferring' });
    bench.ticks(10);
    assert.equal(bench.raft.state.transferee, null, 'given up after an election timeout');
  });

  it('waits until the voter has everything', () => {
    const bench = leader();
    bench.raft.propose(some());
    bench.raft.transferLeadership(peer('b'));
    assert.equal(ofType(bench.settle(), 'timeoutNow').length, 0);
    assert.equal(ofType(bench.accept('b', 2), 'timeoutNow', 'b').length, 1);
  });

  it('makes the voter campaign for real, with leave to unseat', () => {
    const bench = new Bench('b');
    bench.step('a', { type: 'heartbeat', term: 1, commitIndex: 0, round: 0 });
    const [vote] = ofType(bench.step('a', { type: 'timeoutNow', term: 1 }), 'vote');
    assert.deepEqual([vote?.term, vote?.isTransfer], [2, true]);
  });

  it('is refused for a learner, a stranger and by a follower', () => {
    const bench = leader({ configuration: { ...voters('a', 'b', 'c'), learners: peers('d') } });
    assert.equal(bench.raft.transferLeadership(peer('d')), false);
    assert.equal(bench.raft.transferLeadership(peer('x')), false);
    assert.equal(new Bench('b').raft.transferLeadership(peer('a')), false);
  });
});

describe('raft: reads', () => {
  it('are served only after a quorum has echoed a round begun afterwards (R3)', () => {
    const bench = leader();
    bench.raft.requestRead(41);
    bench.raft.requestRead(42);
    const rounds = ofType(bench.settle(), 'heartbeat').map(({ round }) => round);
    assert.deepEqual(rounds, [1, 1], 'one round for both');
    bench.step('b', { type: 'heartbeatReply', term: 1, round: 0 });
    assert.deepEqual(
      bench.readies.flatMap(({ reads }) => reads),
      [],
    );
    bench.step('b', { type: 'heartbeatReply', term: 1, round: 1 });
    assert.deepEqual(
      bench.readies.flatMap(({ reads }) => reads),
      [
        { context: 41, index: 1 },
        { context: 42, index: 1 },
      ],
    );
  });

  it('wait for an entry of the own term to be committed', () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.raft.requestRead(1);
    assert.equal(ofType(bench.settle(), 'heartbeat').length, 0);
    assert.equal(ofType(bench.accept('b', 1), 'heartbeat').length, 2);
  });

  it('fail with the leadership, and are refused by a follower', () => {
    const bench = leader();
    bench.raft.requestRead(1);
    bench.step('b', { type: 'heartbeat', term: 5, commitIndex: 0, round: 0 });
    assert.deepEqual(
      bench.readies.flatMap(({ failedReads }) => failedReads),
      [1],
    );
    assert.equal(bench.raft.requestRead(2), false);
  });

  it('confirmed just before the leadership ended are still handed out', () => {
    const bench = leader();
    bench.raft.requestRead(1);
    bench.settle();
    const from = { from: peer('b'), to: peer('a') };
    bench.raft.step({ type: 'heartbeatReply', ...from, term: term(1), round: 1 });
    bench.raft.step({ type: 'heartbeat', ...from, term: term(5), commitIndex: at(0), round: 0 });
    const { reads, failedReads } = bench.take();
    assert.deepEqual([reads, failedReads], [[{ context: 1, index: 1 }], []]);
  });

  it('of a single voter need nobody', () => {
    const bench = new Bench('a', { configuration: voters('a') });
    bench.elect();
    bench.raft.requestRead(7);
    bench.settle();
    assert.deepEqual(
      bench.readies.flatMap(({ reads }) => reads),
      [{ context: 7, index: 1 }],
    );
  });
});

describe('raft: membership changes', () => {
  it('a learner receives the log and never counts', () => {
    const bench = new Bench('a', { configuration: { ...voters('a', 'b'), learners: peers('c', 'd') } });
    const sent = bench.elect('b');
    assert.equal(ofType(sent, 'append', 'c').length, 1);
    bench.accept('c', 1);
    bench.accept('d', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
  });

  it('a learner never campaigns but votes: it may have been promoted without knowing', () => {
    const bench = new Bench('c', { configuration: { ...voters('a', 'b'), learners: peers('c') } });
    assert.deepEqual(bench.ticks(60), []);
    const vote = { type: 'vote', term: 1, lastIndex: 0, lastTerm: 0, isTransfer: false };
    assert.equal(ofType(bench.step('a', vote), 'voteReply')[0]?.isGranted, true);
  });

  it('a node without a configuration never campaigns and follows whoever leads', () => {
    const bench = new Bench('z', { configuration: { voters: [], outgoing: [], learners: [] } });
    assert.deepEqual(bench.ticks(60), []);
    bench.step('a', {
      type: 'append',
      term: 2,
      previousIndex: 0,
      previousTerm: 0,
      entries: [command(1, 2)],
      commitIndex: 1,
    });
    assert.equal(bench.applied.length, 1);
  });

  it('needs both majorities while joint, and leaves by itself', () => {
    const bench = leader();
    const change = { promote: peers('d', 'e'), remove: peers('b', 'c') };
    assert.ok('term' in bench.raft.proposeConfiguration(change));
    bench.settle();
    bench.accept('d', 2);
    bench.accept('e', 2);
    assert.equal(bench.raft.state.commitIndex, 1, 'the old majority has not agreed');
    assert.deepEqual(bench.raft.proposeConfiguration({ remove: peers('e') }), { refused: 'change-pending' });
    bench.accept('b', 2);
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'd', 'e'));
    bench.accept('d', 3);
    assert.equal(bench.raft.state.commitIndex, 3);
  });

  it('a removed leader steps down when its removal is committed, and names a successor', () => {
    const bench = leader();
    bench.raft.proposeConfiguration({ remove: peers('a') });
    bench.settle();
    bench.accept('b', 2);
    assert.equal(bench.raft.state.role, 'leader', 'it does not count itself');
    const sent = bench.accept('c', 2);
    assert.equal(bench.raft.state.role, 'follower');
    assert.equal(ofType(sent, 'timeoutNow').length, 1);
    assert.deepEqual(ofType(bench.ticks(40), 'preVote'), []);
  });

  it('none before an entry of the own term is committed, none that changes nothing', () => {
    const bench = new Bench('a');
    bench.elect('b');
    assert.deepEqual(bench.raft.proposeConfiguration({ remove: peers('c') }), { refused: 'change-pending' });
    bench.accept('b', 1);
    assert.deepEqual(bench.raft.proposeConfiguration({ demote: peers('x') }), { refused: 'no-change' });
  });

  it('a configuration that is cut away gives way to the one before, also after a restart (R6)', () => {
    const entry = {
      ...command(2, 1),
      kind: 'configuration' as const,
      configuration: voters('a', 'b', 'c', 'd'),
    };
    const bench = new Bench('a', { entries: [command(1, 1), entry], term: 1 });
    assert.equal(bench.raft.state.configuration.voters.length, 4);
    bench.step('b', {
      type: 'append',
      term: 2,
      previousIndex: 1,
      previousTerm: 1,
      entries: [command(2, 2)],
      commitIndex: 0,
    });
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'b', 'c'));
  });

  it('a node that an uncommitted change removed still campaigns (R11)', () => {
    const entry = { ...command(1, 1), kind: 'configuration' as const, configuration: voters('b') };
    const bench = new Bench('a', { configuration: voters('a', 'b'), entries: [entry], term: 1 });
    assert.ok(ofType(bench.ticks(20), 'preVote', 'b').length > 0);
  });
});
