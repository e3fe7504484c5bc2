import assert from 'node:assert/strict';
import { append, at, Bench, command, leaderOf, ofType, termsOf } from '../kit.ts';

describe('raft paper 5.5: follower and candidate crashes', () => {
  it('an append that comes twice is acknowledged twice and held once', () => {
    const bench = new Bench('a');
    const message = append({ entries: [command(1, 1), command(2, 1)] });
    const acknowledged = [1, 2].map(() => ofType(bench.step('b', message), 'appendAccepted')[0]?.matchIndex);
    assert.deepEqual(acknowledged, [2, 2]);
    assert.deepEqual(termsOf(bench), [1, 1]);
  });

  it('an append of what is committed long since is acknowledged up to the commit index, and changes nothing', () => {
    const bench = new Bench('a', { entries: [command(1, 1), command(2, 1)], term: 1, commit: 2 });
    const [answer] = ofType(bench.step('b', append({ entries: [command(1, 1)] })), 'appendAccepted');
    assert.equal(answer?.matchIndex, 2);
    assert.deepEqual(termsOf(bench), [1, 1]);
  });

  it('a leader asks a silent follower with every heartbeat, without end', () => {
    const bench = leaderOf();
    for (let tick = 0; tick < 50; tick += 1) {
      assert.equal(ofType(bench.ticks(1), 'heartbeat', 'c').length, 1);
      bench.step('b', { type: 'heartbeatReply', term: 1, round: 0 });
    }
  });

  it('a follower that answers again is asked where it stands, and gets what it missed', () => {
    const bench = leaderOf();
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    const answer = { type: 'heartbeatReply', term: 1, round: 0 };
    const [asked] = ofType(bench.step('c', answer), 'append', 'c');
    assert.deepEqual([asked?.previousIndex, asked?.entries.length], [2, 0]);
    const refusal = { type: 'appendRejected', term: 1, rejectedIndex: 2, hintIndex: 1, hintTerm: 1 };
    assert.equal(ofType(bench.step('c', refusal), 'append', 'c')[0]?.entries[0]?.index, 2);
  });

  it('what was on disk is there after a restart: term, vote, entries and what was known as committed', () => {
    const bench = new Bench('a', { entries: [command(1, 1), command(2, 3)], term: 3, commit: 1 });
    const { term, lastIndex, commitIndex, role } = bench.raft.state;
    assert.deepEqual(
      { term, lastIndex, commitIndex, role },
      { term: 3, lastIndex: at(2), commitIndex: at(1), role: 'follower' },
    );
  });
});
