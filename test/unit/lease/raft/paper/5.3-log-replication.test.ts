import assert from 'node:assert/strict';
import {
  append,
  Bench,
  command,
  exchange,
  heartbeat,
  leaderOf,
  ofType,
  peer,
  termsOf,
  voters,
} from '../kit.ts';

const indexesOf = (bench: Bench): number[] => bench.applied.map(({ index }) => index);

/** A log with one entry of each term, from index 1 on. */
const logOf = (...terms: number[]) => terms.map((term, at) => command(at + 1, term));

describe('raft paper 5.3: log replication', () => {
  it('a proposal is appended with the next index and the own term, and goes to everybody at once', () => {
    const bench = leaderOf({ term: 4 });
    assert.deepEqual(bench.raft.propose([new Uint8Array(1), new Uint8Array(2)]), {
      term: 5,
      firstIndex: 2,
      lastIndex: 3,
    });
    const sent = ofType(bench.settle(), 'append');
    assert.deepEqual(
      sent.map(({ to, previousIndex, previousTerm, entries }) => [
        to,
        previousIndex,
        previousTerm,
        entries.length,
      ]),
      [
        ['b', 1, 5, 2],
        ['c', 1, 5, 2],
      ],
    );
  });

  it('only a leader takes proposals', () => {
    assert.deepEqual(new Bench('a').raft.propose([new Uint8Array(1)]), { refused: 'not-leader' });
  });

  it('an entry is committed when a majority holds it, the leader not more than any other', () => {
    const bench = new Bench('a', { configuration: voters('a', 'b', 'c', 'd', 'e') });
    bench.elect('b', 'c');
    bench.accept('b', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
    bench.accept('c', 1);
    assert.equal(bench.raft.state.commitIndex, 1);
  });

  it('the same follower twice is no majority', () => {
    const bench = new Bench('a', { configuration: voters('a', 'b', 'c', 'd', 'e') });
    bench.elect('b', 'c');
    bench.accept('b', 1);
    bench.accept('b', 1);
    assert.equal(bench.raft.state.commitIndex, 0);
  });

  it('what is committed is told to followers, with the next append or heartbeat', () => {
    const bench = leaderOf();
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    const told = ofType(bench.accept('b', 2), 'append', 'b');
    assert.deepEqual(
      told.map(({ commitIndex, entries }) => [commitIndex, entries.length]),
      [[2, 0]],
    );
  });

  it('a heartbeat tells a follower no more than that follower is known to hold', () => {
    const bench = leaderOf();
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    bench.accept('b', 2);
    const told = ofType(bench.ticks(1), 'heartbeat').map(({ to, commitIndex }) => [to, commitIndex]);
    assert.deepEqual(told, [
      ['b', 2],
      ['c', 1],
    ]);
  });

  it('a follower applies in order what is committed, and nothing beyond what the append has proved', () => {
    const bench = new Bench('a', { entries: logOf(1, 1, 1), term: 1 });
    bench.step('b', append({ term: 2, previousIndex: 1, previousTerm: 1, commitIndex: 9 }));
    assert.equal(bench.raft.state.commitIndex, 1, 'entries 2 and 3 may be in conflict with the leader');
    bench.step('b', append({ term: 2, previousIndex: 2, previousTerm: 1, commitIndex: 9 }));
    assert.deepEqual(indexesOf(bench), [1, 2]);
  });

  it('a follower whose log is shorter than a heartbeat says commits nothing by it', () => {
    const bench = new Bench('a', { entries: logOf(1), term: 1 });
    bench.step('b', heartbeat({ commitIndex: 3 }));
    assert.equal(bench.raft.state.commitIndex, 0);
  });

  it('an append fits only where the previous entry is of the same term', () => {
    const cases = [
      { previousIndex: 0, previousTerm: 0, fits: true },
      { previousIndex: 2, previousTerm: 2, fits: true },
      { previousIndex: 2, previousTerm: 1, fits: false },
      { previousIndex: 2, previousTerm: 3, fits: false },
      { previousIndex: 3, previousTerm: 2, fits: false },
    ];
    for (const { fits, ...previous } of cases) {
      const bench = new Bench('a', { entries: logOf(1, 2), term: 2 });
      const sent = bench.step('b', append({ term: 3, ...previous }));
      assert.deepEqual(
        sent.map(({ type }) => type),
        [fits ? 'appendAccepted' : 'appendRejected'],
        JSON.stringify(previous),
      );
    }
  });

  it('a follower cuts what conflicts, and only that', () => {
    const bench = new Bench('a', { entries: logOf(1, 1, 1), term: 1 });
    bench.step('b', append({ term: 2, previousIndex: 1, previousTerm: 1, entries: [command(2, 2)] }));
    assert.deepEqual(termsOf(bench), [1, 2]);
  });

  it('an overtaken append does not cut what a newer one brought', () => {
    const bench = new Bench('a');
    bench.step('b', append({ entries: logOf(1, 1, 1) }));
    bench.step('b', append({ entries: logOf(1) }));
    assert.deepEqual(termsOf(bench), [1, 1, 1]);
  });

  it('a refusal names the term of the follower, and the leader skips a whole term of its own', () => {
    const leader = new Bench('a', { entries: logOf(1, 4, 4, 4), term: 4 });
    leader.elect('b');
    leader.step('b', { type: 'appendRejected', term: 5, rejectedIndex: 4, hintIndex: 4, hintTerm: 3 });
    assert.equal(leader.raft.state.progress.get(peer('b'))?.nextIndex, 2);
  });

  const LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const FIGURE_7: Readonly<Record<string, readonly number[]>> = {
    'a, one entry short': [1, 1, 1, 4, 4, 5, 5, 6, 6],
    'b, many entries short': [1, 1, 1, 4],
    'c, one entry too many': [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    'd, a term too many': [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    'e, short and in conflict': [1, 1, 1, 4, 4, 4, 4],
    'f, of other terms altogether': [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  };
  for (const [name, terms] of Object.entries(FIGURE_7)) {
    it(`figure 7, ${name}: the log becomes that of the leader`, () => {
      const leader = new Bench('a', { entries: logOf(...LEADER), term: 7 });
      const follower = new Bench('b', { entries: logOf(...terms), term: 7 });
      leader.elect('c');
      leader.raft.tick();
      exchange(leader, follower);
      assert.deepEqual(termsOf(follower), [...LEADER, 8]);
      assert.equal(follower.raft.state.commitIndex, 11);
    });
  }

  it("a leader's own disk counts only when it has written (R1)", () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.raft.propose([new Uint8Array(1)]);
    const ready = bench.take();
    bench.hear('b', { type: 'appendAccepted', term: 1, matchIndex: 2 });
    assert.equal(bench.raft.state.commitIndex, 1);
    bench.write(ready);
    assert.equal(bench.raft.state.commitIndex, 2);
  });

  it('followers alone may commit, but nothing is handed to apply before it is durable here', () => {
    const bench = new Bench('a');
    bench.elect('b');
    bench.raft.propose([new Uint8Array(1)]);
    const ready = bench.take();
    bench.accept('b', 2);
    bench.accept('c', 2);
    assert.equal(bench.raft.state.commitIndex, 2);
    assert.deepEqual(indexesOf(bench), [1]);
    bench.write(ready);
    bench.settle();
    assert.deepEqual(indexesOf(bench), [1, 2]);
  });

  it('a leader never cuts its own log, whatever followers say they hold', () => {
    const bench = leaderOf({ entries: logOf(1, 2), term: 2 });
    bench.step('b', { type: 'appendAccepted', term: 3, matchIndex: 99 });
    bench.step('b', { type: 'appendRejected', term: 3, rejectedIndex: 99, hintIndex: 98, hintTerm: 2 });
    assert.deepEqual(termsOf(bench), [1, 2, 3]);
    assert.equal(bench.raft.state.progress.get(peer('b'))?.matchIndex, 3);
  });
});
