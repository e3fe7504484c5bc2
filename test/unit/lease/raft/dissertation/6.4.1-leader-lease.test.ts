import assert from 'node:assert/strict';
import { Bench, ofType, peer, term } from '../kit.ts';

/** 9 ticks of 100 ms, less a tenth. */
const LEASE_MS = 810;

function leader(): { bench: Bench; clock: { ms: number }; echo: (from: string) => void } {
  const clock = { ms: 1_000 };
  const bench = new Bench('a', { monotonicMs: () => clock.ms });
  bench.elect('b');
  bench.accept('b', 1);
  let round = 0;
  const note = (sent: ReturnType<Bench['ticks']>): void => {
    round = ofType(sent, 'heartbeat', 'b')[0]?.round ?? round;
  };
  note(bench.ticks(1));
  const echo = (from: string): void =>
    void bench.step(from, { type: 'heartbeatReply', term: bench.raft.state.term, round });
  return { bench, clock, echo };
}

describe('raft dissertation 6.4.1: a lease', () => {
  it('counts from when the round left, not from its echo, and ends (R12)', () => {
    const { bench, clock, echo } = leader();
    assert.equal(bench.raft.state.leaseUntilMs, undefined);
    clock.ms += 300;
    echo('b');
    assert.equal(bench.raft.state.leaseUntilMs, 1_000 + LEASE_MS);
    clock.ms = 1_000 + LEASE_MS;
    assert.equal(bench.raft.state.leaseUntilMs, undefined);
  });

  it('is void for good once leadership was to be handed over (R12)', () => {
    const { bench, echo } = leader();
    echo('b');
    bench.raft.transferLeadership(peer('c'));
    assert.equal(bench.raft.state.leaseUntilMs, undefined);
    bench.ticks(11);
    echo('b');
    assert.equal(bench.raft.state.leaseUntilMs, undefined);
  });

  it('is void after a change of members until a later round is echoed (R12)', () => {
    const { bench, echo } = leader();
    echo('b');
    bench.raft.proposeConfiguration({ addLearners: [peer('d')] });
    echo('b');
    assert.equal(bench.raft.state.leaseUntilMs, undefined);
  });

  it('is not held without a clock', () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.accept('b', 1);
    assert.equal(bench.raft.state.leaseUntilMs, undefined);
  });

  it('is honoured by a node that was started again (R12)', () => {
    const bench = new Bench('b', { term: 1, monotonicMs: () => 0 });
    const vote = { type: 'preVote', term: term(2), lastIndex: 9, lastTerm: 1, isTransfer: false };
    assert.deepEqual(bench.step('c', vote), []);
    bench.ticks(10);
    assert.ok(bench.step('c', vote).some(({ type }) => type === 'preVoteReply'));
  });
});
