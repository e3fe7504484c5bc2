import assert from 'node:assert/strict';
import fc from 'fast-check';
import { append, Bench, command, heartbeat, leaderOf, ofType, preVoteRequest, voteRequest } from '../kit.ts';

describe('raft paper 5.1: terms', () => {
  it('a node that meets a newer term follows it, a leader too', () => {
    const bench = leaderOf();
    bench.step('b', append({ term: 5 }));
    const { role, term, leader } = bench.raft.state;
    assert.deepEqual({ role, term, leader }, { role: 'follower', term: 5, leader: 'b' });
  });

  it('a newer term is on disk before anything that speaks of it leaves (R5)', () => {
    const bench = new Bench('a');
    bench.hear('b', append({ term: 5, entries: [command(1, 5)] }));
    const { persist, send, sendAfterPersist } = bench.take();
    assert.equal(persist?.hardState?.term, 5);
    assert.deepEqual([send, sendAfterPersist.length], [[], 1]);
  });

  it('an append of an older term is answered with the newer one, so that a node ahead is never stuck', () => {
    const bench = new Bench('a', { term: 7 });
    const [answer] = ofType(bench.step('b', append({ term: 3 })), 'appendRejected', 'b');
    assert.equal(answer?.term, 7);
    assert.equal(bench.raft.state.leader, null);
  });

  it('a request for a vote of an older term gets none', () => {
    const bench = new Bench('a', { term: 7 });
    assert.deepEqual(bench.step('b', voteRequest({ term: 3, lastIndex: 9, lastTerm: 3 })), []);
    const [refusal] = ofType(bench.step('b', preVoteRequest({ term: 3 })), 'preVoteReply');
    assert.deepEqual([refusal?.isGranted, refusal?.term], [false, 7]);
  });

  it('an answer to what was asked in an older term counts for nothing', () => {
    const bench = leaderOf({ term: 4 });
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    bench.step('b', { type: 'appendAccepted', term: 4, matchIndex: 2 });
    assert.equal(bench.raft.state.commitIndex, 1);
  });

  it('a message that is meant for another node, or comes from the node itself, is dropped', () => {
    const bench = new Bench('a');
    bench.hear('b', { ...append({ term: 5 }), to: 'c' });
    bench.hear('a', append({ term: 6 }));
    assert.equal(bench.raft.state.term, 0);
  });

  it('whatever arrives, the term never goes back and a vote of a term is not changed (R4, R8)', () => {
    const bodies = [append, heartbeat, voteRequest, preVoteRequest];
    const some = fc.record({
      from: fc.constantFrom('b', 'c'),
      body: fc.nat(bodies.length - 1),
      term: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 30 }), (messages) => {
        const bench = new Bench('a');
        const votes = new Map<number, unknown>();
        let highest = 0;
        for (const { from, body, term } of messages) {
          for (const reply of ofType(
            bench.step(from, { ...bodies[body]?.({ term }), isTransfer: true }),
            'voteReply',
          )) {
            if (!reply.isGranted) continue;
            assert.equal(votes.get(reply.term) ?? reply.to, reply.to);
            votes.set(reply.term, reply.to);
          }
          assert.ok(bench.raft.state.term >= highest);
          highest = bench.raft.state.term;
          assert.equal(bench.disk.hardState.term, highest);
        }
      }),
    );
  });
});
