import assert from 'node:assert/strict';
import {
  append,
  Bench,
  command,
  exchange,
  leaderOf,
  ofType,
  peers,
  termsOf,
  voteRequest,
  voters,
} from '../kit.ts';

const JOINT = { voters: peers('a', 'd', 'e'), outgoing: peers('a', 'b', 'c'), learners: [] };

const withConfiguration = (index: number, configuration: typeof JOINT | ReturnType<typeof voters>) => ({
  ...command(index, 1),
  kind: 'configuration' as const,
  configuration,
});

describe('raft paper 6: cluster membership changes', () => {
  it('a change of several votes goes through a joint configuration, which is left by itself', () => {
    const bench = leaderOf();
    bench.raft.proposeConfiguration({ promote: peers('d', 'e'), remove: peers('b', 'c') });
    assert.deepEqual(bench.raft.state.configuration, JOINT);
    bench.settle();
    for (const name of ['b', 'd']) bench.accept(name, 2);
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'd', 'e'));
    bench.accept('d', 3);
    assert.equal(bench.raft.state.commitIndex, 3);
  });

  it('while joint, an entry needs a majority of both', () => {
    const cases = [
      { holders: ['d', 'e'], isCommitted: false, why: 'none of the old majority but the leader' },
      { holders: ['b', 'c'], isCommitted: false, why: 'none of the new majority but the leader' },
      { holders: ['b', 'd'], isCommitted: true, why: 'one of each' },
    ];
    for (const { holders, isCommitted, why } of cases) {
      const bench = leaderOf();
      bench.raft.proposeConfiguration({ promote: peers('d', 'e'), remove: peers('b', 'c') });
      bench.settle();
      for (const name of holders) bench.accept(name, 2);
      assert.equal(bench.raft.state.commitIndex >= 2, isCommitted, why);
    }
  });

  it('while joint, an election needs a majority of both', () => {
    const cases = [
      { granted: ['d', 'e'], role: 'candidate' },
      { granted: ['b', 'c'], role: 'candidate' },
      { granted: ['c', 'e'], role: 'leader' },
    ];
    for (const { granted, role } of cases) {
      const bench = new Bench('a', { entries: [withConfiguration(1, JOINT)], term: 1 });
      bench.raft.campaign();
      bench.settle();
      for (const from of ['b', 'c', 'd', 'e'])
        bench.step(from, { type: 'preVoteReply', term: 2, isGranted: true });
      for (const from of granted) bench.step(from, { type: 'voteReply', term: 2, isGranted: true });
      assert.equal(bench.raft.state.role, role, granted.join());
    }
  });

  it('while joint, a candidate asks everybody of both', () => {
    const bench = new Bench('a', { entries: [withConfiguration(1, JOINT)], term: 1 });
    bench.raft.campaign();
    assert.deepEqual(
      ofType(bench.settle(), 'preVote').map(({ to }) => to),
      ['b', 'c', 'd', 'e'],
    );
  });

  it('a node uses the latest configuration in its log, committed or not (R6)', () => {
    const bench = new Bench('b', { configuration: voters('a', 'b', 'c') });
    bench.step('a', append({ entries: [withConfiguration(1, voters('a', 'b', 'c', 'd'))] }));
    assert.equal(bench.raft.state.commitIndex, 0);
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'b', 'c', 'd'));
  });

  it('a configuration that is cut away gives way to the one before, also after a restart (R6)', () => {
    const entries = [command(1, 1), withConfiguration(2, voters('a', 'b', 'c', 'd'))];
    const bench = new Bench('a', { entries, term: 1 });
    assert.equal(bench.raft.state.configuration.voters.length, 4);
    bench.step('b', append({ term: 2, previousIndex: 1, previousTerm: 1, entries: [command(2, 2)] }));
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'b', 'c'));
  });

  it('a leader that finds a joint configuration in its log, once committed, ends what another began', () => {
    const bench = new Bench('a', { entries: [withConfiguration(1, JOINT)], term: 1 });
    bench.elect('b', 'd');
    for (const name of ['b', 'd']) bench.accept(name, 2);
    assert.deepEqual(bench.raft.state.configuration, voters('a', 'd', 'e'));
    assert.equal(bench.raft.state.lastIndex, 3);
  });

  it('new servers first receive the log without a vote', () => {
    const bench = new Bench('a', { configuration: { ...voters('a', 'b'), learners: peers('c', 'd') } });
    const sent = bench.elect('b');
    assert.equal(ofType(sent, 'append', 'c').length, 1);
    bench.accept('c', 1);
    bench.accept('d', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
  });

  it('a leader that is not in the new configuration leads until that is committed, without counting itself', () => {
    const bench = leaderOf();
    bench.raft.proposeConfiguration({ remove: peers('a') });
    bench.settle();
    bench.accept('b', 2);
    assert.equal(bench.raft.state.role, 'leader');
    bench.accept('c', 2);
    assert.equal(bench.raft.state.role, 'follower');
    assert.deepEqual(ofType(bench.ticks(40), 'preVote'), []);
  });

  it('a removed server that never learnt of it unseats nobody', () => {
    const followers = ['b', 'c'].map((name) => new Bench(name, { configuration: voters('a', 'b', 'c') }));
    const leader = leaderOf();
    leader.raft.tick();
    exchange(leader, ...followers);
    for (const bench of [leader, ...followers]) {
      assert.deepEqual(bench.step('x', voteRequest({ term: 9, lastIndex: 99, lastTerm: 8 })), []);
      assert.equal(bench.raft.state.term, 1);
    }
  });

  it('a node without a configuration never campaigns and follows whoever leads', () => {
    const bench = new Bench('z', { configuration: { voters: [], outgoing: [], learners: [] } });
    assert.deepEqual(bench.ticks(60), []);
    bench.step('a', append({ term: 2, entries: [command(1, 2)], commitIndex: 1 }));
    assert.deepEqual(termsOf(bench), [2]);
    assert.equal(bench.applied.length, 1);
  });
});
