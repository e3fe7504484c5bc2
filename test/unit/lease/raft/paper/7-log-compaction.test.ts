import assert from 'node:assert/strict';
import { InvariantError } from '../../../../../src/base/assert.ts';
import { append, at, Bench, command, ofType, peer, term, termsOf, voters } from '../kit.ts';

const meta = (index: number, ofTerm: number) => ({
  index: at(index),
  term: term(ofTerm),
  configuration: voters('a', 'b'),
});

const four = [1, 2, 3, 4].map((index) => command(index, 1));

describe('raft paper 7: log compaction, the leader', () => {
  /** It has compacted three of four entries, and b has none. */
  function leaderWithoutBeginning(): Bench {
    const bench = new Bench('a', { entries: four, term: 1, commit: 4 });
    bench.disk.compact(3, voters('a', 'b', 'c'));
    bench.elect('b');
    bench.step('b', { type: 'appendRejected', term: 2, rejectedIndex: 4, hintIndex: 0, hintTerm: 0 });
    return bench;
  }
  const asked = (bench: Bench) => bench.readies.flatMap(({ snapshotTo }) => snapshotTo);
  const modeOf = (bench: Bench) => bench.raft.state.progress.get(peer('b'))?.mode;

  it('hands a peer that lacks compacted entries over to the driver, once, and goes on behind the snapshot', () => {
    const bench = leaderWithoutBeginning();
    assert.deepEqual(asked(bench), ['b']);
    bench.ticks(3);
    assert.deepEqual(asked(bench), ['b']);
    bench.raft.reportSnapshot(peer('b'), { index: at(4) });
    const [next] = ofType(bench.settle(), 'append', 'b');
    assert.deepEqual([next?.previousIndex, next?.entries[0]?.index], [4, 5]);
  });

  it('sends no appends to a peer that receives one', () => {
    const bench = leaderWithoutBeginning();
    bench.raft.propose([new Uint8Array(1)]);
    assert.equal(ofType(bench.settle(), 'append', 'b').length, 0);
    assert.equal(modeOf(bench), 'snapshot');
  });

  it('tries again when one failed, but not before the peer was heard of', () => {
    const bench = leaderWithoutBeginning();
    bench.raft.reportSnapshot(peer('b'), 'failed');
    bench.settle();
    assert.deepEqual(asked(bench), ['b']);
    bench.step('b', { type: 'heartbeatReply', term: 2, round: 0 });
    assert.deepEqual(asked(bench), ['b', 'b']);
  });

  it('streams none to a peer that is silent: it would hold up compaction for nothing', () => {
    const bench = new Bench('a', { entries: four, term: 1, commit: 4 });
    bench.disk.compact(4, voters('a', 'b', 'c'));
    bench.elect('b');
    bench.ticks(5);
    assert.deepEqual(asked(bench), []);
  });

  it('goes on at once with a peer that turns out to have the rest', () => {
    const bench = leaderWithoutBeginning();
    bench.accept('b', 4);
    assert.equal(modeOf(bench), 'replicate');
  });

  it('still compares the last compacted entry, whose term it knows', () => {
    const bench = new Bench('a', { entries: four, term: 1, commit: 4 });
    bench.disk.compact(4, voters('a', 'b', 'c'));
    const [first] = ofType(bench.elect('b'), 'append', 'b');
    assert.deepEqual([first?.previousIndex, first?.previousTerm], [4, 1]);
  });
});

describe('raft paper 7: log compaction, a follower', () => {
  it('does not put in place a snapshot that its log already holds: entries after it may be acknowledged (R10)', () => {
    const bench = new Bench('a', { entries: [command(1, 1), command(2, 1)], term: 1 });
    assert.equal(bench.raft.beginSnapshot(meta(1, 1)), false);
    assert.equal(bench.raft.state.commitIndex, 1);
    assert.throws(() => bench.raft.installSnapshot(meta(1, 1)), InvariantError);
  });

  it('acknowledges nothing while one is written; afterwards the log goes on behind it', () => {
    const bench = new Bench('a');
    assert.equal(bench.raft.beginSnapshot(meta(5, 2)), true);
    assert.deepEqual(bench.step('b', append({ term: 2, entries: [command(1, 1)] })), []);
    bench.disk.install({
      meta: meta(5, 2),
      state: { index: 5, term: 2, chain: 0, configuration: voters('a', 'b') },
    });
    bench.raft.installSnapshot(meta(5, 2));
    const answer = bench.step(
      'b',
      append({ term: 2, previousIndex: 5, previousTerm: 2, entries: [command(6, 2)] }),
    );
    assert.equal(ofType(answer, 'appendAccepted', 'b')[0]?.matchIndex, 6);
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'b'));
    assert.equal(bench.raft.state.leader, peer('b'));
  });

  it('gives up the whole log for one that is in conflict with it', () => {
    const bench = new Bench('a', { entries: four, term: 1 });
    assert.equal(bench.raft.beginSnapshot(meta(3, 2)), true);
    bench.disk.install({
      meta: meta(3, 2),
      state: { index: 3, term: 2, chain: 0, configuration: voters('a', 'b') },
    });
    bench.raft.installSnapshot(meta(3, 2));
    const { lastIndex, commitIndex } = bench.raft.state;
    assert.deepEqual([lastIndex, commitIndex, termsOf(bench)], [3, 3, []]);
  });

  it('leaves its log as it was when one is given up', () => {
    const bench = new Bench('a');
    bench.raft.beginSnapshot(meta(5, 2));
    bench.raft.abandonSnapshot();
    const [answer] = ofType(bench.step('b', append({ entries: [command(1, 1)] })), 'appendAccepted');
    assert.equal(answer?.matchIndex, 1);
  });

  it('refuses an older one, and a second one beside the first; a leader refuses all', () => {
    const bench = new Bench('a', { entries: four, term: 1, commit: 3 });
    assert.equal(bench.raft.beginSnapshot(meta(2, 1)), false);
    assert.equal(bench.raft.beginSnapshot(meta(9, 1)), true);
    assert.equal(bench.raft.beginSnapshot(meta(10, 1)), false);
    const leader = new Bench('a');
    leader.elect('b');
    assert.equal(leader.raft.beginSnapshot(meta(9, 9)), false);
  });

  it('neither campaigns nor commits by a heartbeat while one is written', () => {
    const bench = new Bench('a', { entries: four, term: 1 });
    bench.raft.beginSnapshot(meta(9, 1));
    bench.step('b', { type: 'heartbeat', term: 1, commitIndex: 4, round: 0 });
    assert.equal(bench.raft.state.commitIndex, 0);
    assert.deepEqual(bench.ticks(60), []);
  });
});
