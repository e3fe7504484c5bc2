import assert from 'node:assert/strict';
import { type Bench, leaderOf, ofType, peer, voters } from './kit.ts';

const OPTIONS = { electionTicks: 10, restTicks: 3 };
const readsOf = (bench: Bench) => bench.readies.flatMap(({ reads }) => reads.map(({ context }) => context));

/** Followers that answer every beat, and hold all there is. @returns in which of the ticks b was sent a beat. */
function beatsIn(bench: Bench, ticks: number, answering: readonly string[] = ['b', 'c']): number[] {
  const beats: number[] = [];
  for (let tick = 1; tick <= ticks; tick += 1) {
    const sent = ofType(bench.ticks(1), 'heartbeat');
    if (sent.some(({ to }) => to === peer('b'))) beats.push(tick);
    for (const { to, round } of sent) if (answering.includes(to)) echo(bench, to, round);
  }
  return beats;
}

function echo(bench: Bench, from: string, round: number): void {
  bench.step(from, { type: 'heartbeatReply', term: bench.raft.state.term, round });
}

/** A leader for which nothing has been to do for an election timeout. */
function resting(given: Parameters<typeof leaderOf>[0] = {}): Bench {
  const bench = leaderOf({ ...given, options: { ...OPTIONS, ...given.options } });
  beatsIn(bench, 12);
  return bench;
}

describe('raft: a leader at rest (R14)', () => {
  it('beats with every tick until nothing was proposed for an election timeout, and then with every third', () => {
    const bench = leaderOf({ options: OPTIONS });
    assert.deepEqual(beatsIn(bench, 18), [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 18]);
  });

  it('never rests where it was not asked to', () => {
    const bench = leaderOf({ options: { electionTicks: 10 } });
    assert.equal(beatsIn(bench, 30).length, 30);
  });

  it('wakes with a proposal, and rests again when it was committed and an election timeout has passed', () => {
    const bench = resting();
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    assert.deepEqual(beatsIn(bench, 12).length, 12, 'what is not committed is waited for');
    for (const name of ['b', 'c']) bench.accept(name, 2);
    assert.deepEqual(beatsIn(bench, 6), [3, 6]);
  });

  it('is kept awake by a follower that answers and lacks entries, and not by one that is gone', () => {
    const bench = resting();
    bench.raft.propose([new Uint8Array(1)]);
    bench.settle();
    bench.accept('b', 2);
    assert.equal(beatsIn(bench, 20).length, 20);
    beatsIn(bench, 10, ['b']);
    assert.ok(beatsIn(bench, 12, ['b']).length <= 5);
  });

  it('still beats so often that two beats in a row may be lost before anybody campaigns', () => {
    for (const restTicks of [0, 4]) {
      assert.throws(() => leaderOf({ options: { electionTicks: 10, restTicks } }), {
        code: 'INVALID_PARAMS',
      });
    }
    assert.throws(() => leaderOf({ options: { electionTicks: 10, heartbeatTicks: 3, restTicks: 2 } }), {
      code: 'INVALID_PARAMS',
    });
  });

  it('keeps its lease all the time', () => {
    let nowMs = 0;
    const bench = leaderOf({ options: OPTIONS, monotonicMs: () => nowMs });
    for (let tick = 0; tick < 60; tick += 1) {
      nowMs += 100;
      beatsIn(bench, 1);
      assert.notEqual(bench.raft.state.leaseUntilMs, undefined, `after ${tick} ticks`);
    }
  });
});

describe('raft: a read that may wait for the next beat', () => {
  it('sends nothing by itself and is served by the echo of the next beat', () => {
    const bench = resting();
    bench.raft.requestRead(1, 'with-beat');
    assert.deepEqual(bench.settle(), []);
    assert.equal(beatsIn(bench, 3).length, 1);
    assert.deepEqual(readsOf(bench), [1]);
  });

  it('is not served by the echo of a beat that left before it was asked for (R3)', () => {
    const bench = resting({ monotonicMs: () => 0 });
    const [beat] = ofType(bench.ticks(3), 'heartbeat', 'b');
    bench.raft.requestRead(1, 'with-beat');
    bench.settle();
    echo(bench, 'b', beat?.round as number);
    assert.deepEqual(readsOf(bench), []);
  });

  it('goes with a round that somebody else cannot wait for, in the order in which they asked', () => {
    const bench = resting();
    bench.raft.requestRead(1, 'with-beat');
    bench.raft.requestRead(2, 'now');
    const [sent] = ofType(bench.settle(), 'heartbeat', 'b');
    echo(bench, 'b', sent?.round as number);
    assert.deepEqual(readsOf(bench), [1, 2]);
  });

  it('fails with the leadership', () => {
    const bench = resting();
    bench.raft.requestRead(1, 'with-beat');
    bench.step('b', { type: 'heartbeat', term: 9, commitIndex: 0, round: 0 });
    assert.deepEqual(
      bench.readies.flatMap(({ failedReads }) => failedReads),
      [1],
    );
  });

  it('waits for nobody where nobody else has a vote', () => {
    const bench = leaderOf({ configuration: voters('a'), options: OPTIONS });
    bench.raft.requestRead(1, 'with-beat');
    bench.settle();
    assert.deepEqual(readsOf(bench), [1]);
  });

  it('counts as the beat when it cannot wait, learners included', () => {
    const bench = resting({ configuration: { ...voters('a', 'b', 'c'), learners: [peer('d')] } });
    for (let tick = 0; tick < 3 && beatsIn(bench, 1).length === 0; tick += 1);
    beatsIn(bench, 2);
    bench.raft.requestRead(1, 'now');
    const sent = ofType(bench.settle(), 'heartbeat');
    assert.deepEqual(
      sent.map(({ to }) => to),
      ['b', 'c', 'd'],
    );
    for (const name of ['b', 'c']) echo(bench, name, sent[0]?.round as number);
    assert.deepEqual(beatsIn(bench, 6), [3, 6]);
  });
});
